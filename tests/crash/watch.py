"""What an instance takes of the machine: memory, with what lies in memfds. Cgroups, where they can be had."""
import os
import re
import threading
from pathlib import Path

from world import Skipped

CGROUPS = Path("/sys/fs/cgroup")
MIB = 1 << 20


class Cgroup:
    """A group of a controller, "memory" or "pids": the processes of an instance, and all that they start."""

    def __init__(self, controller, one):
        root = CGROUPS / controller
        if not (root / "cgroup.procs").exists():  # not version 1; in 2 the group must have got the controller
            root = CGROUPS
            try:
                given = (root / "cgroup.subtree_control").read_text().split()
            except OSError:
                given = []
            if controller not in given:
                raise Skipped(f"no cgroup with {controller}")
        self.path = root / f"pennypost-crash-{os.getpid()}"
        try:
            self.path.mkdir(exist_ok=True)
            for pid in one.processes():
                self.add(pid)
        except OSError as error:
            raise Skipped(f"no cgroup with {controller}: {error}") from error

    def add(self, pid):
        try:
            (self.path / "cgroup.procs").write_text(str(pid))
        except ProcessLookupError:
            pass

    def pids(self):
        return [int(pid) for pid in (self.path / "cgroup.procs").read_text().split()]

    def read(self, name):
        return (self.path / name).read_text()

    def write(self, name, text):
        (self.path / name).write_text(text)

    def memory(self):
        """Bytes that are no cache of files: processes, and memfds, also those on their way in a socket."""
        stat = dict(line.split() for line in self.read("memory.stat").splitlines())
        return int(stat["rss"] if "rss" in stat else stat["anon"]) + int(stat["shmem"])

    def close(self):
        """Its processes have ended, or go back."""
        for pid in self.pids():
            (self.path.parent / "cgroup.procs").write_text(str(pid))
        self.path.rmdir()


def status(pid, *fields):
    """Values of /proc/PID/status, None for what is not there."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return [None] * len(fields)
    found = [re.search(rf"^{field}:\s+(\S+)", text, re.M) for field in fields]
    return [match and match[1] for match in found]


def memfds(pid):
    """{inode: bytes} of the memfds that a process holds."""
    found = {}
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            if os.readlink(entry).startswith("/memfd:"):
                stat = os.stat(entry)
                found[stat.st_ino] = stat.st_blocks * 512
    except OSError:  # it, or the descriptor, is gone
        pass
    return found


class Watch(threading.Thread):
    """The largest private memory of one process of each program, and of all together, in bytes.

    Ten times a second: what comes and goes between is not seen. group: a Cgroup, or None: then the
    processes are added up, with the memfds that they hold."""

    def __init__(self, one, group):
        super().__init__(daemon=True)
        self.one, self.group = one, group
        self.peak, self.sum, self.is_over = {}, 0, threading.Event()

    def look(self):
        total, held = 0, {}
        for pid in self.group.pids() if self.group else self.one.processes():
            name, size = status(pid, "Name", "RssAnon")
            if not size:
                continue
            size = int(size) * 1024
            total += size
            if name.startswith(("qmail", "tcpserver", "s6-log")):
                self.peak[name] = max(self.peak.get(name, 0), size)
            if not self.group:
                held.update(memfds(pid))
        self.sum = max(self.sum, self.group.memory() if self.group else total + sum(held.values()))

    def run(self):
        while not self.is_over.wait(0.1):
            self.look()

    def __enter__(self):
        self.look()
        self.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.join()
        self.look()
