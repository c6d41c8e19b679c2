"""Run one of an instance's programs under strace: to count its system calls, or to make one go wrong.

bin/NAME becomes a script that runs the program under strace when it finds the file armed/NAME, and takes
that file away: so it happens once, and the next process of that name is an ordinary one.
"""
import os
import re
import shutil
import signal
import subprocess
import threading
import time

from instance import comes_true
from processes import children_of, fields_of, tracer_of

SCRIPT = """#!/bin/sh
set -f
if [ -e {armed}/{name} ] && /bin/mv {armed}/{name} {armed}/{name}.now 2>/dev/null; then
  read -r options <{armed}/{name}.now
  exec /usr/bin/strace -D -b execve -o {armed}/{name}.trace $options {real} "$@"
fi
exec {real} "$@"
"""
FORKS = ("fork", "vfork", "clone", "clone3")
LATE = 1  # second after which nobody is stopped any more
# To strace: not every machine has all of these.
FORK_CALLS = ",".join(f"?{name}" for name in FORKS)


class Trap:
    """For one program of one instance."""

    def __init__(self, one, name):
        self.one, self.name = one, name
        bin_folder = one.home / "bin"
        if bin_folder.is_symlink():  # the programs are shared with other instances
            shared = bin_folder.resolve()
            bin_folder.unlink()
            shutil.copytree(shared, bin_folder, symlinks=True)
        self.armed = one.folder / "armed"
        self.armed.mkdir(exist_ok=True)
        self.armed.chmod(0o777)
        self.real = self.armed / "real" / name
        self.real.parent.mkdir(exist_ok=True)
        if not self.real.exists():
            shutil.copy2(one.home / "bin" / name, self.real)
        self.hunt, self.aim, self.child_trace = None, "", self.armed / (name + ".child.trace")
        self.install(SCRIPT.format(armed=self.armed, name=name, real=self.real))

    def install(self, text):
        new = self.one.home / "bin" / ".new"
        new.write_text(text)
        new.chmod(0o755)
        os.rename(new, self.one.home / "bin" / self.name)

    def remove(self):
        new = self.one.home / "bin" / ".new"
        shutil.copy2(self.real, new)
        os.rename(new, self.one.home / "bin" / self.name)

    def arm(self, options):
        """The next process of this name runs under strace with these options."""
        self.disarm()
        for end in (".now", ".trace"):
            (self.armed / (self.name + end)).unlink(missing_ok=True)
        self.child_trace.unlink(missing_ok=True)
        new = self.armed / (self.name + ".new")
        new.write_text(options + "\n")
        new.chmod(0o666)
        os.rename(new, self.armed / self.name)
        self.aim = options

    def arm_child(self, nth, first, options):
        """The nth process that the next process of this name forks runs under strace with these options.
        first: the first call of all those children; there `strace -f` stops each."""
        self.arm(f"-f -I 2 -e trace={first},{FORK_CALLS} -e inject={first}:signal=SIGSTOP:when=1")
        self.aim = options
        self.hunt = Hunt(self, nth, options)

    def disarm(self):
        (self.armed / self.name).unlink(missing_ok=True)
        if self.hunt:
            self.hunt.end()
            self.hunt = None

    def is_armed(self):
        return (self.armed / self.name).exists()

    def main_trace(self):
        try:
            return (self.armed / (self.name + ".trace")).read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def trace(self):
        """What strace wrote of the process that is aimed at."""
        if not self.hunt:
            return self.main_trace()
        return self.child_trace.read_text(errors="replace") if self.child_trace.exists() else ""

    def has_struck(self):
        """Was the call reached that goes wrong? A helper is killed by the end of its parent, too: then it has
        made fewer calls of that name."""
        text = self.trace()
        aim = re.search(r"inject=(\w+):signal=SIGKILL:when=(\d+)", self.aim)
        if not aim:
            return "(INJECTED)" in text
        made = len(re.findall(rf"^{aim[1]}\(", text, re.M))
        return "+++ killed by SIGKILL" in text and made >= int(aim[2])

    def wait_started(self, seconds):
        """Until the program runs; returns whether it does."""
        return comes_true(lambda: not self.is_armed(), seconds, pause=0.01)

    def has_ended(self):
        """Is it over with the process, which therefore will not make the call? Of a trace made with -f nobody
        knows."""
        return bool(re.search(r"^\+\+\+ (?:exited with|killed by) ", self.trace(), re.M))

    def wait_struck(self, seconds):
        comes_true(lambda: self.has_struck() or self.has_ended(), seconds)
        return self.has_struck()


class Hunt(threading.Thread):
    """Hands the nth child of a traced program over to a strace of its own, and lets all others go on."""

    def __init__(self, trap, nth, options):
        super().__init__(daemon=True)
        self.trap, self.nth, self.options = trap, nth, options
        self.strace, self.is_over, self.released = None, False, set()
        self.start()

    def run(self):
        while not self.is_over:
            text = self.trap.main_trace()
            children = forks(text)
            for pid in stopped(text):
                if pid in self.released:
                    continue
                if len(children) >= self.nth and pid == children[self.nth - 1]:
                    self.hand_over(pid)
                    self.release_late(main_process(text))
                    return
                if pid in children or pid == main_process(text):  # that may make such a call, too
                    self.release(pid)
            time.sleep(0.003)

    def release(self, pid):
        self.released.add(pid)
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass

    def hand_over(self, pid):
        both = tracer_of(pid)
        if both:
            os.kill(both, signal.SIGTERM)  # it lets go of all
        while tracer_of(pid):
            time.sleep(0.002)
        self.strace = subprocess.Popen(
            ["strace", "-b", "execve", "-o", self.trap.child_trace, *self.options.split(), "-p", str(pid)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not tracer_of(pid) and self.strace.poll() is None:
            time.sleep(0.002)
        for child in {pid, *stopped(self.trap.main_trace()), *forks(self.trap.main_trace())}:
            self.release(child)

    def release_late(self, main):
        """The strace that let go of all may have stopped one more just then, and its trace does not say so.
        That one would hold all our locks for ever."""
        deadline, known = time.monotonic() + LATE, set()
        while not self.is_over and time.monotonic() < deadline:
            known.update(children_of(main))
            for pid in known:
                if fields_of(pid, "status", "State")[0] == "T":
                    self.release(pid)
            time.sleep(0.01)

    def end(self):
        self.is_over = True
        self.join()
        if self.strace:
            self.strace.terminate()
            self.strace.wait()


def stopped(trace):
    return [int(pid) for pid in re.findall(r"^(\d+) +--- stopped by SIGSTOP", trace, re.M)]


def main_process(trace):
    """The process that a trace made with -f begins with, or None."""
    found = re.match(r"\d+", trace)
    return int(found[0]) if found else None


def forks(trace):
    """The processes that the program and its children have forked, in order, by a trace made with -f."""
    pattern = rf"^\d+ +(?:<\.\.\. )?(?:{'|'.join(FORKS)})\b.* = (\d+)$"
    return [int(pid) for pid in re.findall(pattern, trace, re.M)]


def calls(trace):
    """The system calls of a trace made with -f: [[name, ...], ...], the program itself first, then its
    children in the order of their forks, each until it becomes another program."""
    found = {}
    for line in trace.splitlines():
        match = re.match(r"(\d+) +([a-z0-9_]+)\(", line)
        if match and match[2] != "restart_syscall":
            found.setdefault(int(match[1]), []).append(match[2])
    if not found:
        return []
    main = next(iter(found))
    return [found[main][1:]] + [found.get(child, []) for child in forks(trace)]


def ordinals(names):
    """[(name, which of its calls)] in the order of time."""
    seen, pairs = {}, []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        pairs.append((name, seen[name]))
    return pairs
