"""What the kernel tells of processes, by their numbers: names, children, memory. One that is gone has
none."""
import re
import threading
import time


def text_of(pid, name):
    """The content of /proc/PID/NAME; "" if the process is gone."""
    try:
        with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""


def fields_of(pid, name, *fields):
    """The first words of these fields in /proc/PID/NAME, None for what is not there."""
    text = text_of(pid, name)
    found = [re.search(rf"^{field}:\s+(\S+)", text, re.M) for field in fields]
    return [match and match[1] for match in found]


def name_of(pid):
    return text_of(pid, "comm").strip()


def children_of(pid):
    """The oldest first."""
    return [int(child) for child in text_of(pid, f"task/{pid}/children").split()]


def tracer_of(pid):
    """Who traces it: a process id, or 0."""
    return int(fields_of(pid, "status", "TracerPid")[0] or 0)


def memory_of(pid, *fields):
    """The sum of fields of /proc/PID/smaps_rollup (Pss, Private_Clean, Private_Dirty) in bytes."""
    return sum(int(size or 0) for size in fields_of(pid, "smaps_rollup", *fields)) * 1024


def private_bytes(pid):
    """Memory that no other process shares."""
    return memory_of(pid, "Private_Clean", "Private_Dirty")


class Peak:
    """Calls look() again and again while its block lasts, which returns {name: bytes} and what all take
    together; sizes and most are the largest of them. A pause is at least `rest` times as long as a look, so
    that a server with many processes is not slowed down by being looked at."""
    PAUSE_S = 0.1

    def __init__(self, look, rest=50):
        self.look, self.rest = look, rest
        self.sizes, self.most = {}, 0
        self.over, self.thread = threading.Event(), threading.Thread(target=self.watch, daemon=True)

    def note(self):
        sizes, together = self.look()
        self.most = max(self.most, together)
        for name, size in sizes.items():
            self.sizes[name] = max(self.sizes.get(name, 0), size)

    def watch(self):
        pause = self.PAUSE_S
        while not self.over.wait(pause):
            start = time.monotonic()
            self.note()
            pause = max(self.PAUSE_S, (time.monotonic() - start) * self.rest)

    def __enter__(self):
        self.note()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.note()
