"""qmail-remote called by hand and as a delivery process, in a home of its own."""
import os
import subprocess

import pytest

from conftest import PATIENCE, public_folder, remove_tree
from smtp_peer import Session


MESSAGE = b"Subject: one\n\nbody\n"
ROUTE = ":127.0.0.2"


class Remote:
    """A home for qmail-remote alone."""

    def __init__(self, programs):
        self.folder = public_folder("pennypost-remote-")
        (self.folder / "control").mkdir()
        self.program = str(programs / "bin/qmail-remote")
        self.env = dict(os.environ, QMAILHOME=str(self.folder))
        self.control("me", "me.example")

    def control(self, name, text):
        (self.folder / "control" / name).write_text(text + "\n")

    def __call__(self, host="there.example", sender="me@here.example", recipients=("you@there.example",),
                 message=MESSAGE, env=None):
        """Run the classic form. returns [reports], the message's last"""
        done = subprocess.run([self.program, host, sender, *recipients], input=message,
                              stdout=subprocess.PIPE, env=env or self.env, timeout=PATIENCE * 2, check=False)
        assert done.returncode == 0
        assert done.stdout.endswith(b"\0")
        return done.stdout.decode()[:-1].split("\0")

    def session(self, **options):
        return Session(self.program, self.env, **options)


@pytest.fixture
def remote(programs):
    one = Remote(programs)
    yield one
    remove_tree(one.folder)


@pytest.fixture
def routed(remote):
    """All mail goes to 127.0.0.2, port 25: no DNS."""
    remote.control("smtproutes", ROUTE)
    return remote
