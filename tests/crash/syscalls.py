"""Parts 1 and 2: every program of the chain is killed at each of its system calls, or the call fails."""
import os
import random
import time

from tracing import Trap, calls, ordinals
from world import Tally, World

MOST = int(os.environ.get("CRASH_MOST", "0"))  # cases of each program; 0: all of them
# name: the service it belongs to (restarted for a case), or None: it starts with the next message.
# qmail-queue-down: qmail-queue while qmail-queued is down, so that it leaves the message in queue/drop.
CHAIN = {
    "qmail-queue": None, "qmail-smtpd": None, "qmail-local": None, "qmail-remote": None,
    "qmail-queue-down": None, "qmail-queued": "qmail-queued", "qmail-send": "qmail-send", "qmail-lspawn": "qmail-send",
    "qmail-rspawn": "qmail-send",
}
# Helpers that are the same program; the children of the spawners are programs of their own.
WITH_CHILDREN = ("qmail-queued", "qmail-local")
# Waits may return these although nothing is wrong; the other calls as their manual pages say.
ERRORS = {
    "openat": ("ENOSPC", "EMFILE", "ENOMEM", "EIO", "EACCES"), "open": ("EMFILE", "ENOMEM", "EIO", "EACCES"),
    "write": ("ENOSPC", "EIO", "EINTR"), "writev": ("ENOSPC", "EIO", "EINTR"),
    "pwrite64": ("ENOSPC", "EIO"), "read": ("EIO", "EINTR"), "readv": ("EIO", "EINTR"), "pread64": ("EIO",),
    "fsync": ("EIO", "ENOSPC"), "fdatasync": ("EIO",), "syncfs": ("EIO", "ENOSPC"),
    "rename": ("ENOSPC", "EIO", "EACCES"), "renameat2": ("ENOSPC", "EIO", "EACCES"),
    "unlink": ("EIO", "EACCES"), "unlinkat": ("EIO", "EACCES"), "flock": ("ENOMEM", "EINTR"),
    "getdents64": ("EIO",), "fstat": ("EIO", "ENOMEM"), "newfstatat": ("EIO", "ENOMEM"), "stat": ("EIO",),
    "mmap": ("ENOMEM",), "brk": ("ENOMEM",), "memfd_create": ("ENOMEM", "EMFILE"), "sendfile": ("EIO", "ENOMEM"),
    "copy_file_range": ("EIO", "ENOSPC"), "ftruncate": ("EIO",),
    "socket": ("EMFILE", "ENOMEM"), "socketpair": ("EMFILE", "ENOMEM"), "connect": ("EAGAIN", "EACCES"),
    "bind": ("EACCES", "ENOSPC"), "accept4": ("EMFILE", "ENOMEM"),
    "sendmsg": ("ENOMEM", "EINTR"), "sendto": ("ENOMEM", "EINTR"), "recvmsg": ("ENOMEM", "EINTR", "EMFILE"),
    "recvfrom": ("ENOMEM", "EINTR"), "poll": ("EINTR", "ENOMEM"), "ppoll": ("EINTR",),
    "epoll_wait": ("EINTR",), "epoll_pwait": ("EINTR",), "epoll_create1": ("EMFILE",), "epoll_ctl": ("ENOMEM",),
    "timerfd_create": ("EMFILE",), "timerfd_settime": ("EIO",),
    "fork": ("EAGAIN", "ENOMEM"), "vfork": ("EAGAIN", "ENOMEM"), "clone": ("EAGAIN", "ENOMEM"),
    "pipe2": ("EMFILE",), "dup2": ("EMFILE",), "fcntl": ("EMFILE",), "chdir": ("EACCES", "EIO"),
    "setgroups": ("ENOMEM",), "setresuid": ("EAGAIN",), "setuid": ("EAGAIN",),
}


class Series:
    """All cases of one program."""

    def __init__(self, world, name, tally):
        self.is_down = name.endswith("-down")
        self.world, self.one, self.name, self.tally = world, world.one, name.removesuffix("-down"), tally
        self.service = CHAIN[name]
        self.folder = self.one.home / "service" / (self.service or "qmail-queued")
        self.trap = Trap(self.one, self.name)

    def service_down(self):
        self.one.run("s6-svc", "-wd", "-T", "20000", "-d", self.folder, check=False)

    def service_up(self):
        """Until it is ready, or the call was reached."""
        self.one.run("s6-svc", "-u", self.folder)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not self.trap.has_struck():
            done = self.one.run("s6-svstat", "-o", "ready", self.folder, check=False)
            if done.stdout.strip() == "true":
                return
            time.sleep(0.02)

    def end_sessions(self):
        """Have the next delivery start a new process."""
        if self.name in ("qmail-local", "qmail-remote"):
            self.one.kill(self.name)
            self.one.wait_for(lambda: not self.one.processes(self.name), f"the end of {self.name}")

    def send(self, sent):
        if self.name == "qmail-queue":
            return self.world.by_queue(sent)
        return self.world.by_smtp(sent)

    def run(self, options):
        """One case. returns the messages that were sent"""
        messages = []
        if self.service:
            self.service_down()
            messages.append(self.world.new(bounce=True))  # it waits in the queue, or in queue/drop
            self.world.by_queue(messages[0])
            self.trap.arm(options)
            self.service_up()
        else:
            self.end_sessions()
            if self.is_down:
                self.service_down()
            self.trap.arm(options)
        messages.append(self.send(self.world.new()))
        if not self.service:
            self.trap.wait_started()
        if self.is_down:
            self.service_up()
        return messages

    def record(self):
        """The pairs (call, which of them) of an undisturbed run: of the program itself, of its children."""
        messages = self.run("-f")
        self.world.check(self.tally, "undisturbed", messages)
        if self.name in ("qmail-local", "qmail-remote"):
            time.sleep(1.5)  # it ends by itself
        if not messages[-1].acknowledged:
            self.tally.fault("undisturbed", messages[-1].answer)
        found = list(calls(self.trap.trace()).values())
        main = ordinals(found[0][1:])  # without its execve
        if self.name not in WITH_CHILDREN:
            return main, []
        own = set(main)
        children = [pair for names in found[1:] for pair in ordinals(names) if pair not in own]
        return main, list(dict.fromkeys(children))

    def case(self, call, nth, what, follow=False):
        self.tally.cases += 1
        messages = self.run(f"{'-f ' if follow else ''}-e trace={call} -e inject={call}:{what}:when={nth}")
        if follow and self.service:
            self.one.restart(self.service)  # a helper that is started anew would be killed again
        self.world.check(self.tally, f"{call} {nth} {what}", messages, may_be_torn=True)
        self.tally.hit += self.trap.has_struck()
        self.trap.disarm()

    def end(self):
        self.trap.disarm()
        self.trap.remove()


def sample(cases, most):
    """At most so many, spread evenly over the run, from a random start."""
    if not most or len(cases) <= most:
        return cases
    step = len(cases) / most
    start = random.uniform(0, step)
    return [cases[int(start + i * step)] for i in range(most)]


def kill_cases(series):
    main, children = series.record()
    return [(call, nth, "signal=SIGKILL", False) for call, nth in main] + \
        [(call, nth, "signal=SIGKILL", True) for call, nth in children]


def error_cases(series):
    main, _ = series.record()
    return [(call, nth, f"error={error}", False) for call, nth in main for error in ERRORS.get(call, ())]


def run_part(programs, title, make_cases, most, names):
    tallies = []
    world = World(programs)
    try:
        for name in names:
            tally = Tally(f"{title} {name}")
            tallies.append(tally)
            series = Series(world, name, tally)
            for case in sample(make_cases(series), most):
                series.case(*case)
            series.end()
            swept = world.check_temporary(tally)
            print(f"{tally.line()}, {swept} temporary files swept", flush=True)
    finally:
        world.close()
    return tallies


def kill(programs, is_short, names=None):
    """Every system call."""
    return run_part(programs, "killed:", kill_cases, MOST or (2 if is_short else 0), names or CHAIN)


def fail(programs, is_short, names=None):
    """Every failing call."""
    return run_part(programs, "failing:", error_cases, MOST or (2 if is_short else 0), names or CHAIN)
