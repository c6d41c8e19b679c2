"""Several worlds at a time, since a case mostly waits. Each lives in a process of its own with a network
and a mount table of its own, so that all use the same ports and each has its own /etc/passwd."""
import ctypes
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing.util import Finalize

from instance import run
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
