"""qmail-local called by hand, one message at a time."""
import os
import subprocess

import pytest

from conftest import PATIENCE, public_folder, remove_tree


MESSAGE = b"Subject: hello\n\nFrom here\n>From there\nno end"
UID = 5001
QUEUE = """#!/bin/sh
cat >{0}/queued.message; tr '\\0' '|' <&1 >{0}/queued.envelope
test -e {0}/queue.text && cat {0}/queue.text >&6
exit $(cat {0}/queue.code 2>/dev/null || echo 0)
"""


class Local:
    """A home, and a way to deliver to it as an ordinary user."""

    def __init__(self, programs):
        self.program = programs / "bin/qmail-local"
        self.home = public_folder("pennypost-argv-")
        os.chown(self.home, UID, UID)
        self.maildir("Maildir")
        queue = self.write("queue", QUEUE.format(self.home))
        queue.chmod(0o755)
        self.env = {"PATH": os.environ["PATH"], "QMAILQUEUE": str(queue), "QMAILHOME": "/"}

    def write(self, name, text, mode=0o644):
        path = self.home / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(mode)
        os.chown(path, UID, UID)
        return path

    def maildir(self, name):
        for part in ("tmp", "new", "cur"):
            (self.home / name / part).mkdir(parents=True)
        for path in [self.home / name, *(self.home / name).iterdir()]:
            os.chown(path, UID, UID)

    def files(self, name="Maildir"):
        return [f.read_bytes() for f in sorted((self.home / name / "new").iterdir())]

    def deliver(self, dash="", ext="", *, local=None, host="me.example", sender="s@r.example",
                default="./Maildir/", options=(), message=MESSAGE, env=None):
        """Returns (exit code, report)."""
        local = local if local is not None else "alice" + dash + ext
        stdin = self.write("message", message).open("rb")
        done = subprocess.run(
            [self.program, *options, "alice", self.home, local, dash, ext, host, sender, default],
            stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/", timeout=PATIENCE,
            env={**self.env, **(env or {})}, user=UID, group=UID, extra_groups=[])
        return done.returncode, done.stdout.decode(errors="surrogateescape")

    def answering(self, dash, ext, **options):
        """Which of the .qmail files answers? Each holds one program line that prints its name."""
        code, text = self.deliver(dash, ext, **options)
        return text.splitlines()[0] if code == 0 else code

    def queued(self):
        return ((self.home / "queued.message").read_bytes(),
                (self.home / "queued.envelope").read_text())


@pytest.fixture
def local(programs):
    one = Local(programs)
    yield one
    remove_tree(one.home)
