"""Run one of an instance's programs under strace: to count its system calls, or to make one go wrong.

bin/NAME becomes a script that runs the program under strace when it finds the file armed/NAME, and takes
that file away: so it happens once, and the next process of that name is an ordinary one.
"""
import os
import re
import shutil
import time

SCRIPT = """#!/bin/sh
if [ -e {armed}/{name} ] && /bin/mv {armed}/{name} {armed}/{name}.now 2>/dev/null; then
  read -r options <{armed}/{name}.now
  exec /usr/bin/strace -D -o {armed}/{name}.trace $options {real} "$@"
fi
exec {real} "$@"
"""


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
        for end in (".now", ".trace"):
            (self.armed / (self.name + end)).unlink(missing_ok=True)
        new = self.armed / (self.name + ".new")
        new.write_text(options + "\n")
        new.chmod(0o666)
        os.rename(new, self.armed / self.name)

    def disarm(self):
        (self.armed / self.name).unlink(missing_ok=True)

    def is_armed(self):
        return (self.armed / self.name).exists()

    def trace(self):
        try:
            return (self.armed / (self.name + ".trace")).read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def has_struck(self):
        """Was the call reached that goes wrong?"""
        text = self.trace()
        return "+++ killed by SIGKILL" in text or "(INJECTED)" in text

    def wait_started(self, seconds=10):
        deadline = time.monotonic() + seconds
        while self.is_armed() and time.monotonic() < deadline:
            time.sleep(0.01)
        return not self.is_armed()


def calls(trace):
    """The system calls of a trace made with -f: {pid: [name, ...]}, the program itself first."""
    found = {}
    for line in trace.splitlines():
        match = re.match(r"(\d+) +([a-z0-9_]+)\(", line)
        if match:
            found.setdefault(int(match[1]), []).append(match[2])
    return found


def ordinals(names):
    """[(name, which of its calls)] in the order of time."""
    seen, pairs = {}, []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        pairs.append((name, seen[name]))
    return pairs
