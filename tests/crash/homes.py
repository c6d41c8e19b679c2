"""Several worlds at a time, since a case mostly waits. Each lives in a process of its own with a network,
a mount table and an /etc of its own, so that all use the same ports and each mounts its own /etc/passwd."""
import ctypes
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing.util import Finalize

from instance import public_folder, remove_tree, run
from world import World

HOMES = int(os.environ.get("CRASH_HOMES") or 8)
CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
OURS = []  # the one World of a process


def move_in(programs):
    """In a new process."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS | CLONE_NEWNET) < 0:
        raise OSError(ctypes.get_errno(), "unshare")
    run("ip", "link", "set", "lo", "up")
    # Not only the files: a mount on /etc/passwd ends when somebody adds an account to the real one.
    etc = public_folder("pennypost-etc-")
    Finalize(None, remove_tree, (etc,), exitpriority=0)
    run("cp", "-a", "/etc/.", etc)
    run("mount", "--bind", etc, "/etc")
    OURS.append(World(programs))
    Finalize(None, OURS[0].close, exitpriority=1)


def work(function, arguments):
    return function(OURS[0], *arguments)


class Homes:
    """At most so many homes; call function(world, *arguments) in them."""

    def __init__(self, programs, most):
        self.pool = ProcessPoolExecutor(max(1, min(HOMES, most)), multiprocessing.get_context("fork"),
                                        move_in, (programs,))

    def each(self, function, tasks):
        """tasks: [arguments]. Yields arguments, what was returned, as they come."""
        waiting = {self.pool.submit(work, function, arguments): arguments for arguments in tasks}
        for done in as_completed(waiting):
            yield waiting[done], done.result()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.pool.shutdown(cancel_futures=True)
