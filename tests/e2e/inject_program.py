"""qmail-inject with -n, or with a QMAILQUEUE that records what it gets."""
import os
import re
import subprocess

import pytest

from conftest import SAN, public_folder, remove_tree


RECORDER = """#!/usr/bin/python3
import os, sys
here = os.path.dirname(sys.argv[0])
def slurp(fd):
    parts = []
    while part := os.read(fd, 65536):
        parts.append(part)
    return b"".join(parts)
open(here + "/message", "wb").write(slurp(0))
open(here + "/envelope", "wb").write(slurp(1))
os.write(6, os.environ.get("TEXT6", "").encode())
sys.exit(int(os.environ.get("EXIT", "0")))
"""
DATE = rb"\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d -0000"
# short-lived programs end without giving memory back
SAN_ENV = {"ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1"} if SAN else {}
OURS = ("USER", "LOGNAME", "NAME", "MAILUSER", "MAILHOST", "MAILNAME")


class Injector:
    """A home with control/ files and no services."""

    def __init__(self, programs):
        self.home = public_folder("pennypost-inject-")
        (self.home / "bin").symlink_to(programs / "bin")
        (self.home / "control").mkdir()
        self.control("me", "me.example")
        self.recorder = self.home / "recorder"
        self.recorder.write_text(RECORDER)
        self.recorder.chmod(0o755)

    def control(self, name, text):
        (self.home / "control" / name).write_text(text + "\n")

    def run(self, message, *argv, program="qmail-inject", cwd="/", **env):
        clean = {k: v for k, v in os.environ.items() if k not in OURS and not k.startswith("QMAIL")}
        clean.update({"QMAILHOME": str(self.home), "USER": "joe", **SAN_ENV, **env})
        for name in [n for n, v in clean.items() if v is None]:
            del clean[name]
        if isinstance(message, str):
            message = message.encode()
        return subprocess.run([self.home / "bin" / program, *argv], input=message, env=clean, cwd=cwd,
                              capture_output=True, timeout=60, check=False)

    def show(self, message, *argv, **env):
        """The output of -n."""
        done = self.run(message, "-n", *argv, **env)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def field(self, name, value, **env):
        """How one field comes out."""
        out = self.show(f"{name}: {value}\n", **env).decode()
        return re.search(rf"^{name}: ?((?:.|\n[ \t])*)", out, re.M).group(1)

    def queue(self, message, *argv, code=0, program="qmail-inject", **env):
        """Queue with the recorder. returns (sender, recipients)"""
        for old in ("message", "envelope"):
            (self.home / old).unlink(missing_ok=True)
        env.setdefault("QMAILQUEUE", str(self.recorder))
        done = self.run(message, *argv, program=program, **env)
        assert done.returncode == code, done.stderr
        if code:
            return done.stderr.decode()
        return self.envelope()

    def envelope(self):
        parts = (self.home / "envelope").read_bytes().decode().split("\0")
        assert parts[-2:] == ["", ""] and parts[0][0] == "F"
        assert all(p[0] == "T" for p in parts[1:-2])
        return parts[0][1:], [p[1:] for p in parts[1:-2]]

    def message(self):
        return (self.home / "message").read_bytes()


@pytest.fixture
def inject(programs):
    one = Injector(programs)
    yield one
    remove_tree(one.home)
