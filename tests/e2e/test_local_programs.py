"""The programs for .qmail lines, and those around Maildirs."""
import os
import pty
import re
import struct
import subprocess
import time
from pathlib import Path

import pytest

from conftest import PATIENCE, public_folder, remove_tree

MESSAGE = b"From: a@b.example\nSubject: hello\n\nbody\nFrom x\n"
QUEUE = """#!/bin/sh
cat >{0}/queued.message; tr '\\0' '|' <&1 >{0}/queued.envelope
exit $(cat {0}/queue.code 2>/dev/null || echo 0)
"""


class Place:
    """A folder to work in, and the variables of a .qmail program."""

    def __init__(self, programs):
        self.bin = programs / "bin"
        self.path = public_folder("pennypost-programs-")
        queue = self.path / "queue"
        queue.write_text(QUEUE.format(self.path))
        queue.chmod(0o755)
        self.env = {"PATH": os.environ["PATH"], "QMAILQUEUE": str(queue), "QMAILHOME": "/",
                    "SENDER": "s@r.example", "DTLINE": "Delivered-To: joe@me.example\n",
                    "RPLINE": "Return-Path: <s@r.example>\n", "UFLINE": "From s@r.example now\n",
                    "USER": "root"}

    def run(self, *argv, message=MESSAGE, unset=(), **env):
        file = self.path / "message"
        file.write_bytes(message)
        with file.open("rb") as stdin:
            return subprocess.run(
                [self.bin / argv[0], *argv[1:]], stdin=stdin, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, cwd=self.path, timeout=PATIENCE,
                env={k: v for k, v in {**self.env, **env}.items() if k not in unset})

    def queued(self):
        return (self.path / "queued.message").read_bytes(), (self.path / "queued.envelope").read_text()


@pytest.fixture
def place(programs):
    one = Place(programs)
    yield one
    remove_tree(one.path)


@pytest.mark.parametrize("name, argv", [
    ("except", []), ("bouncesaying", []), ("condredirect", ["a@b"]), ("preline", []),
    ("preline", ["-x", "cat"]),
    ("maildirmake", []), ("maildirmake", ["-f", "a/b", "x"]), ("maildir2mbox", ["x"]), ("qbiff", ["x"]),
    ("qreceipt", []), ("qreceipt", ["a", "b"])])
def test_wrong_usage_is_permanent(place, name, argv):
    done = place.run(name, *argv)
    assert done.returncode == 100 and b"usage" in done.stderr


@pytest.mark.parametrize("code, of_except, of_bouncesaying, of_condredirect", [
    ("exit 0", 100, 100, 99), ("exit 1", 0, 0, 0), ("exit 99", 0, 0, 0), ("exit 100", 0, 0, 0),
    ("exit 111", 111, 111, 111), ("kill -9 $$", 111, 111, 111)])
def test_conditions(place, code, of_except, of_bouncesaying, of_condredirect):
    """0 is yes, 111 and a crash are "later", everything else is no."""
    assert place.run("except", "sh", "-c", code).returncode == of_except
    done = place.run("bouncesaying", "no thanks", "sh", "-c", code)
    said = b"no thanks\n" if of_bouncesaying == 100 else b""
    assert (done.returncode, done.stdout) == (of_bouncesaying, said)
    assert place.run("condredirect", "new@x.example", "sh", "-c", code).returncode == of_condredirect


@pytest.mark.parametrize("argv", [["except"], ["bouncesaying", "x"], ["condredirect", "a@b.example"]])
def test_a_missing_program_is_temporary(place, argv):
    assert place.run(*argv, "/nonexistent/program").returncode == 111


def test_bouncesaying_alone_always_bounces(place):
    done = place.run("bouncesaying", "moved away")
    assert (done.returncode, done.stdout) == (100, b"moved away\n")


def test_condredirect_forwards_the_whole_message(place):
    """The program has read it; it is rewound. Sender is SENDER, DTLINE is on top."""
    done = place.run("condredirect", "new@x.example", "grep", "-q", "hello")
    assert done.returncode == 99 and re.fullmatch(rb"qp \d+\n", done.stdout)
    assert place.queued() == (b"Delivered-To: joe@me.example\n" + MESSAGE, "Fs@r.example|Tnew@x.example||")


@pytest.mark.parametrize("queue, code", [("31", 100), ("11", 100), ("53", 111), ("71", 111)])
def test_condredirect_when_the_queue_refuses(place, queue, code):
    (place.path / "queue.code").write_text(queue)
    assert place.run("condredirect", "new@x.example", "true").returncode == code


@pytest.mark.parametrize("missing", ["SENDER", "DTLINE"])
def test_condredirect_needs_its_variables(place, missing):
    assert place.run("condredirect", "a@b.example", "true", unset=[missing]).returncode == 100


@pytest.mark.parametrize("options, want", [
    ([], b"From s@r.example now\nReturn-Path: <s@r.example>\nDelivered-To: joe@me.example\n"),
    (["-f"], b"Return-Path: <s@r.example>\nDelivered-To: joe@me.example\n"),
    (["-r"], b"From s@r.example now\nDelivered-To: joe@me.example\n"),
    (["-d"], b"From s@r.example now\nReturn-Path: <s@r.example>\n"),
    (["-dfr"], b"")])
def test_preline_puts_lines_before_the_message(place, options, want):
    done = place.run("preline", *options, "cat")
    assert (done.returncode, done.stdout) == (0, want + MESSAGE)


def test_preline_passes_the_exit_code_on(place):
    """Also when the program does not read; 100 when it is missing; 111 when it crashes."""
    large = b"x" * 1000000
    assert place.run("preline", "sh", "-c", "exit 42", message=large).returncode == 42
    assert place.run("preline", "/nonexistent/program").returncode == 100
    assert place.run("preline", "sh", "-c", "kill -9 $$").returncode == 111
    for name in ("UFLINE", "RPLINE", "DTLINE"):
        assert place.run("preline", "-dfr", "cat", unset=[name]).returncode == 100


def test_maildirmake(place):
    """Maildirs and folders for their owner only; an existing one is an error."""
    assert place.run("maildirmake", "A", "B").returncode == 0
    assert place.run("maildirmake", "-f", "Drafts", "A").returncode == 0
    for name in ("A", "B/tmp", "B/new", "B/cur", "A/.Drafts/new"):
        assert (place.path / name).stat().st_mode & 0o7777 == 0o700
    assert (place.path / "A/.Drafts/maildirfolder").is_file()
    assert place.run("maildirmake", "A").returncode == 111
    assert place.run("maildirmake", "no/where").returncode == 111


def test_maildir2mbox_moves_in_order(place):
    """Old content stays, messages follow by age, quoted; the Maildir is empty after that."""
    place.run("maildirmake", "Maildir")
    for i, name in enumerate(["new/b", "cur/a:2,S", "new/c"]):
        file = place.path / "Maildir" / name
        file.write_bytes(b"Return-Path: <s%d@r.example>\nSubject: %d\n\nFrom x\nend" % (i, i))
        os.utime(file, (i * 86400, i * 86400))
    (place.path / "Maildir/new/.dot").write_text("no")
    (place.path / "mbox").write_text("From old\n\nold\n\n")
    (place.path / "mbox").chmod(0o640)
    variables = {"MAILDIR": "Maildir", "MAIL": "mbox", "MAILTMP": "mbox.tmp"}
    assert place.run("maildir2mbox", **variables).returncode == 0
    text = "From old\n\nold\n\n"
    for i in range(3):
        date = time.strftime("%a %b %d %H:%M:%S %Y", time.gmtime(i * 86400))
        text += (f"From s{i}@r.example {date}\nReturn-Path: <s{i}@r.example>\nSubject: {i}\n\n"
                 ">From x\nend\n\n")
    assert (place.path / "mbox").read_text() == text
    assert (place.path / "mbox").stat().st_mode & 0o777 == 0o640
    assert os.listdir(place.path / "Maildir/new") == [".dot"] and not os.listdir(place.path / "Maildir/cur")
    assert not (place.path / "mbox.tmp").exists()
    assert place.run("maildir2mbox", **variables).returncode == 0
    assert (place.path / "mbox").read_text() == text


def test_maildir2mbox_separates_what_a_crash_has_cut_off(place):
    """Else the first message of the Maildir would be part of it."""
    place.run("maildirmake", "Maildir")
    (place.path / "Maildir/new/a").write_text("x\n")
    (place.path / "mbox").write_text("From old\n\nhalf a li")
    assert place.run("maildir2mbox", MAILDIR="Maildir", MAIL="mbox", MAILTMP="mbox.tmp").returncode == 0
    assert (place.path / "mbox").read_text().startswith("From old\n\nhalf a li\n\nFrom MAILER-DAEMON ")


def test_maildir2mbox_in_trouble(place):
    """A missing variable is permanent; a place that cannot be written leaves the Maildir whole."""
    place.run("maildirmake", "Maildir")
    (place.path / "Maildir/new/a").write_text("x\n")
    variables = {"MAILDIR": "Maildir", "MAIL": "mbox", "MAILTMP": "no/where"}
    for name in variables:
        assert place.run("maildir2mbox", unset=[name], **variables).returncode == 100
    assert place.run("maildir2mbox", **variables).returncode == 111
    assert (place.path / "Maildir/new/a").exists()


@pytest.mark.parametrize("field, answered", [
    (b"Notice-Requested-Upon-Delivery-To: joe@me.example\n", True),
    (b"notice-requested-upon-delivery-to: X <a@b.example>,\n Joe (x) <JOE@me.example>\n", True),
    (b"Notice-Requested-Upon-Delivery-To: jo@me.example\n", False),
    (b"Notice-Requested-Upon-Delivery-To: joe\n", False),
    (b"X: y\n", False), (b"X: y\n\nNotice-Requested-Upon-Delivery-To: joe@me.example\n", False)])
def test_qreceipt_answers_a_request(place, field, answered):
    """To the sender, from nobody, with the header and without the body."""
    done = place.run("qreceipt", "joe@me.example", message=field + MESSAGE)
    assert done.returncode == 0
    assert (place.path / "queued.envelope").exists() == answered
    if answered:
        message, envelope = place.queued()
        assert envelope == "F|Ts@r.example||"
        assert b"To: <s@r.example>\n" in message and message.endswith(b"Subject: hello\n")
        assert b"<joe@me.example>" in message and b"body" not in message


def test_qreceipt_does_not_answer_bounces(place):
    request = b"Notice-Requested-Upon-Delivery-To: joe@me.example\n\n"
    for sender in ("", "#@[]"):
        assert place.run("qreceipt", "joe@me.example", message=request, SENDER=sender).returncode == 0
    assert not (place.path / "queued.envelope").exists()
    assert place.run("qreceipt", "joe@me.example", message=request, unset=["SENDER"]).returncode == 100
    (place.path / "queue.code").write_text("53")
    assert place.run("qreceipt", "joe@me.example", message=request).returncode == 111


def test_qbiff_tells_who_wants_to_know(place):
    """Only a terminal in utmp with the x bit; no control bytes reach it."""
    ours, theirs = pty.openpty()
    line = os.ttyname(theirs)
    record = struct.pack("=hxxi32s4s32s256s", 7, os.getpid(), line[5:].encode(), b"x", b"root", b"")
    utmp = place.path / "utmp"
    utmp.write_bytes(record.ljust(384, b"\0"))
    real = Path("/var/run/utmp")
    made = not real.exists()
    if made:
        real.touch()
    subprocess.run(["mount", "--bind", utmp, real], check=True)
    try:
        os.set_blocking(ours, False)
        os.chmod(line, 0o600)
        assert place.run("qbiff").returncode == 0
        with pytest.raises(BlockingIOError):
            os.read(ours, 1000)
        os.chmod(line, 0o700)
        evil = b"Subject: \x1b[2J " + b"y" * 500 + b"\n\n"
        assert place.run("qbiff", message=evil, EXT="x").returncode == 0
        text = os.read(ours, 4000)
        assert b"*** TO root-x" in text and b"s@r.example" in text and b"Subject: _[2J yyy" in text
        assert b"\x1b" not in text and len(text) < 300
    finally:
        subprocess.run(["umount", real], check=True)
        if made:
            real.unlink()
        os.close(ours)
        os.close(theirs)
