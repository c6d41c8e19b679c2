"""What an instance takes of the machine: memory, with what lies in memfds. Cgroups, where they can be had."""
import functools
import os
from pathlib import Path

from instance import NotPossible
from processes import Peak, fields_of

CGROUPS = Path("/sys/fs/cgroup")
MIB = 1 << 20


class Cgroup:
    """A group of a controller, "memory" or "pids": the processes of an instance, and all that they start. In
    version 2 both have the same, which goes away with the one that made it."""

    def __init__(self, controller, one):
        root = CGROUPS / controller
        if not (root / "cgroup.procs").exists():  # not version 1; in 2 the group must have got the controller
            root = CGROUPS
            try:
                given = (root / "cgroup.subtree_control").read_text().split()
            except OSError:
                given = []
            if controller not in given:
                raise NotPossible(f"no cgroup with {controller}")
        self.path = root / f"pennypost-crash-{os.getpid()}"
        try:
            self.is_shared = self.path.exists()
            self.path.mkdir(exist_ok=True)
            for pid in one.processes():
                self.add(pid)
        except OSError as error:
            raise NotPossible(f"no cgroup with {controller}: {error}") from error

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
        if self.is_shared:
            return
        for pid in self.pids():
            (self.path.parent / "cgroup.procs").write_text(str(pid))
        self.path.rmdir()


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


def look(one, group):
    """{program: private memory of its largest process}, and what all take together, in bytes. group: a
    Cgroup, or None: then the processes are added up, with the memfds that they hold."""
    total, held, sizes = 0, {}, {}
    for pid in group.pids() if group else one.processes():
        name, size = fields_of(pid, "status", "Name", "RssAnon")
        if not size:
            continue
        size = int(size) * 1024
        total += size
        if name.startswith(("qmail", "tcpserver", "s6-log")):
            sizes[name] = max(sizes.get(name, 0), size)
        if not group:
            held.update(memfds(pid))
    return sizes, group.memory() if group else total + sum(held.values())


def peak_of(one, group):
    """Ten times a second: what comes and goes between is not seen."""
    return Peak(functools.partial(look, one, group), rest=0)
