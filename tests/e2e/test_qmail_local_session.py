"""qmail-local -S, driven over its socket as qmail-lspawn does it, without an instance."""
import os
import signal
import socket
import subprocess
import time

import pytest

from conftest import PATIENCE, public_folder, remove_tree, wait_for
from handoff_packet import receive_report, send

MESSAGE = b"From: a@b.example\nSubject: hello\n\nFrom the start\n.\nlast line without an end"


class Session:
    """One qmail-local -S and the other end of its socket."""

    def __init__(self, programs, home):
        self.home = home
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self.socket.settimeout(PATIENCE)
        self.process = subprocess.Popen([programs / "bin/qmail-local", "-S"], stdin=theirs, cwd="/",
                                        env={"PATH": os.environ["PATH"], "QMAILHOME": "/"})
        theirs.close()
        self.number = 0

    def job(self, ident, local="alice", dash="", ext="", domain="me.example", sender="s@r.example",
            default="./Maildir/", body=MESSAGE, fd=None, home=None):
        self.number += 1
        send(self.socket, "job", self.number, ident, "alice", home or self.home, local, dash, ext, domain,
             sender, default, body=b"" if fd is not None else body, fds=[] if fd is None else [fd])
        return str(self.number)

    def report(self):
        number, (text,) = receive_report(self.socket)
        return number, text

    def reports(self, count):
        return dict(self.report() for _ in range(count))

    def end(self):
        self.socket.close()
        return self.process.wait(PATIENCE)


@pytest.fixture
def home():
    folder = public_folder("pennypost-local-")
    for part in ("tmp", "new", "cur"):
        (folder / "Maildir" / part).mkdir(parents=True)
    yield folder
    remove_tree(folder)


@pytest.fixture
def start(programs, home):
    sessions = []

    def make():
        sessions.append(Session(programs, home))
        return sessions[-1]

    yield make
    for session in sessions:
        session.process.kill()
        session.process.wait()
        session.socket.close()


@pytest.fixture
def session(start):
    return start()


def now_id():
    return time.time_ns() // 1000


def files(home, part="new", box="Maildir"):
    return sorted((home / box / part).iterdir())


def test_a_lone_job_ends_as_one_file(session, home):
    """One job: the file holds Return-Path, Delivered-To and the message, byte for byte."""
    ident = now_id()
    session.job(ident)
    assert session.report() == ("1", "Kdid 1+0+0\n")
    [file] = files(home)
    assert file.read_bytes() == (b"Return-Path: <s@r.example>\nDelivered-To: alice@me.example\n" + MESSAGE)
    assert file.stat().st_mode & 0o777 == 0o600
    fields = file.name.split(".", 2)
    assert len(fields) == 3 and ":" not in file.name and f"Q{ident}R" in fields[1]
    assert not files(home, "tmp")


def test_a_thousand_jobs_at_once_are_all_delivered(session, home):
    """A burst fills many batches; every job gets its report and its own file."""
    first = now_id()
    got = {}
    for burst in range(10):
        for i in range(100):
            session.job(first + burst * 100 + i, body=b"Subject: %d\n\n" % (burst * 100 + i))
        got.update(session.reports(100))
    assert set(got.values()) == {"Kdid 1+0+0\n"} and len(got) == 1000
    assert len(files(home)) == 1000 and not files(home, "tmp")
    assert session.end() == 0


def test_a_message_given_as_a_descriptor_arrives_whole(session, home):
    """A message that is too large for a packet comes in a sealed memfd."""
    body = b"Subject: large\n\n" + b"0123456789abcde\n" * 20000
    fd = os.memfd_create("message", os.MFD_ALLOW_SEALING)
    os.write(fd, body)
    session.job(now_id(), fd=fd)
    os.close(fd)
    assert session.report()[1] == "Kdid 1+0+0\n"
    assert files(home)[0].read_bytes().endswith(body)


def test_several_maildir_lines_are_all_delivered(session, home):
    """Two lines with the same Maildir and one with another: three files."""
    for part in ("tmp", "new", "cur"):
        (home / "Second" / part).mkdir(parents=True)
    (home / ".qmail").write_text("./Maildir/\n# comment\n./Second/\n./Maildir/\n")
    session.job(now_id())
    assert session.report()[1] == "Kdid 3+0+0\n"
    assert len(files(home)) == 2 and len(files(home, box="Second")) == 1


def test_one_missing_maildir_defers_the_whole_job(session, home):
    """The job is tried again; what was delivered then is found, not repeated."""
    (home / ".qmail").write_text("./Maildir/\n./Second/\n")
    ident = now_id()
    session.job(ident)
    text = session.report()[1]
    assert text.startswith("Z") and text.endswith("(#4.2.1)\n")
    assert not files(home, "tmp")
    for part in ("tmp", "new", "cur"):
        (home / "Second" / part).mkdir(parents=True)
    session.job(ident)
    assert session.report()[1] == "Kdid 2+0+0\n"
    assert len(files(home)) == 1 and len(files(home, box="Second")) == 1


def test_only_comments_throw_the_message_away(session, home):
    (home / ".qmail").write_text("# nothing\n")
    session.job(now_id())
    assert session.report()[1] == "Kdid 0+0+0\n"
    assert not files(home)


def test_failures_are_reported_with_their_codes(session, home):
    """No mailbox: permanent. A loop: permanent. A sticky home: temporary. No home: temporary."""
    session.job(now_id(), local="alice-x", dash="-", ext="x")
    assert session.report()[1].startswith("D") and True
    session.job(now_id(), body=b"Delivered-To: alice@me.example\n\n")
    text = session.report()[1]
    assert text.startswith("D") and "(#5.4.6)" in text
    home.chmod(0o1755)
    session.job(now_id())
    assert session.report()[1].startswith("Z")
    home.chmod(0o755)
    session.job(now_id(), home="/nonexistent")
    assert session.report()[1].startswith("Z")
    session.job(now_id())
    assert session.report()[1].startswith("K")


def test_a_mangled_job_is_answered_and_survived(session):
    send(session.socket, "job", "7", "x")
    send(session.socket, "job", "8", "not-a-number", *["x"] * 8)
    assert session.report() == ("8", "Zthe job is mangled (#4.3.0)\n")
    session.socket.send(b"\xff\xff\xff\xff")
    session.job(now_id())
    assert session.report()[1] == "Kdid 1+0+0\n"


def test_slow_jobs_do_not_delay_maildirs(session, home):
    """Twelve programs that wait: all run at once, Maildir jobs pass them."""
    (home / ".qmail-slow").write_text(
        "|echo x >>started; while ! test -e go; do sleep 0.05; done; echo done\n")
    slow = {session.job(now_id(), local="alice-slow", dash="-", ext="slow") for _ in range(12)}
    started = home / "started"
    wait_for(lambda: started.exists() and len(started.read_text()) == 24, "all programs")
    quick = {session.job(now_id() + i) for i in range(20)}
    assert set(session.reports(20)) == quick
    (home / "go").touch()
    got = session.reports(12)
    assert set(got) == slow and set(got.values()) == {"Kdone\ndid 0+0+1\n"}


def test_program_mbox_and_maildir_lines_in_one_job(session, home):
    (home / ".qmail").write_text("./Maildir/\n./mbox\n|cat >copy; echo hi; echo err >&2\n")
    session.job(now_id())
    assert session.report()[1] == "Khi\nerr\ndid 2+0+1\n"
    assert (home / "copy").read_bytes() == MESSAGE
    assert b"\n>From the start\n" in (home / "mbox").read_bytes()
    assert len(files(home)) == 1


@pytest.mark.parametrize("code, letter", [
    (0, "K"), (99, "K"), (100, "D"), (64, "D"), (65, "D"), (70, "D"), (76, "D"), (77, "D"), (78, "D"),
    (112, "D"), (111, "Z"), (71, "Z"), (74, "Z"), (75, "Z"), (1, "Z")])
def test_exit_codes_of_programs_become_letters(session, home, code, letter):
    (home / ".qmail").write_text(f"|exit {code}\n")
    session.job(now_id())
    assert session.report()[1][0] == letter


def test_a_child_that_is_killed_is_a_temporary_failure(session, home):
    """Killing the delivery process itself, not only the program."""
    (home / ".qmail").write_text("|kill -9 $PPID; sleep 1\n")
    session.job(now_id())
    text = session.report()[1]
    assert text.startswith("Z") and "crashed" in text
    (home / ".qmail").unlink()
    session.job(now_id())
    assert session.report()[1] == "Kdid 1+0+0\n"


def test_endless_output_is_cut(session, home):
    (home / ".qmail").write_text("|echo first; yes | head -c 200000; echo last; exit 100\n")
    session.job(now_id())
    text = session.report()[1]
    assert len(text) <= 3001 and text.startswith("Dfirst\n") and text.endswith("last\n")


def test_a_program_in_the_background_does_not_hold_the_report(session, home):
    """A left-over process keeps the output open; the delivery is over all the same."""
    (home / ".qmail").write_text("|sleep 300 & echo $! >pid\n")
    session.job(now_id())
    assert session.report()[1] == "Kdid 0+0+1\n"
    os.kill(int((home / "pid").read_text()), signal.SIGKILL)


def test_a_repetition_after_a_kill_finds_the_first_file(start, home):
    """The process is killed before anybody learned of its success; the same jobs given to
    another process make no second copy, whether the reader has seen the first or not."""
    first = start()
    base = now_id() - 10_000_000
    for i in range(50):
        first.job(base + i)
    wait_for(lambda: len(files(home)) == 50, "50 files")
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    for file in files(home)[:25]:
        file.rename(home / "Maildir/cur" / (file.name + ":2,S"))
    second = start()
    for i in range(50):
        second.job(base + i)
    assert set(second.reports(50).values()) == {"Kdid 1+0+0\n"}
    assert len(files(home)) == 25 and len(files(home, "cur")) == 25 and not files(home, "tmp")


def test_what_was_done_before_a_failure_is_not_done_again(session, home):
    """A Maildir line, and then a program that fails for now: one copy, however often it is tried,
    also when the reader has moved it meanwhile."""
    (home / ".qmail").write_text("./Maildir/\n|test -e go || exit 111\n")
    ident = now_id()
    session.job(ident)
    assert session.report()[1].startswith("Z")
    session.job(ident)
    assert session.report()[1].startswith("Z")
    [file] = files(home)
    file.rename(home / "Maildir/cur" / (file.name + ":2,"))
    (home / "go").touch()
    session.job(ident)
    assert session.report()[1] == "Kdid 1+0+1\n"
    assert not files(home) and len(files(home, "cur")) == 1


def test_a_torn_file_in_tmp_is_replaced(session, home):
    """What a killed delivery left in tmp/ has the name that its repetition uses."""
    ident = now_id()
    session.job(ident)
    session.report()
    [file] = files(home)
    torn = home / "Maildir/tmp" / file.name
    file.unlink()
    torn.write_bytes(b"torn" * 1000)
    session.job(ident)
    assert session.report()[1] == "Kdid 1+0+0\n"
    assert files(home)[0].read_bytes().endswith(MESSAGE) and not torn.exists()


def test_the_same_recipient_twice_gets_one_copy(session, home):
    ident = now_id()
    for _ in range(3):
        session.job(ident)
    assert set(session.reports(3).values()) == {"Kdid 1+0+0\n"}
    assert len(files(home)) == 1
    session.job(ident, local="alice-x", dash="", ext="")
    session.report()
    assert len(files(home)) == 2  # another recipient, another copy


def test_a_maildir_that_is_replaced_is_noticed(session, home):
    """Open directories are kept between jobs, but not beyond the life of the Maildir."""
    session.job(now_id())
    session.report()
    (home / "Maildir").rename(home / "Old")
    session.job(now_id())
    assert session.report()[1].endswith("(#4.2.1)\n")
    for part in ("tmp", "new", "cur"):
        (home / "Maildir" / part).mkdir(parents=True)
    session.job(now_id())
    assert session.report()[1].startswith("K")
    assert len(files(home)) == 1 and len(files(home, box="Old")) == 1


def test_more_maildirs_than_can_be_open(session, home):
    """200 homes under one uid, all in one burst: each gets its mail."""
    homes = [home / str(i) for i in range(200)]
    for folder in homes:
        for part in ("tmp", "new", "cur"):
            (folder / "Maildir" / part).mkdir(parents=True)
    for folder in homes:
        session.job(now_id(), home=folder)
    assert set(session.reports(200).values()) == {"Kdid 1+0+0\n"}
    assert all(len(files(folder)) == 1 for folder in homes)


def test_old_files_in_tmp_are_removed_at_the_end(session, home):
    """Files in tmp/ that nobody touched for 36 hours go, younger ones stay."""
    for name, hours in (("old", 37), ("young", 35)):
        file = home / "Maildir/tmp" / name
        file.touch()
        os.utime(file, (time.time() - hours * 3600,) * 2)
    session.job(now_id())
    session.report()
    assert session.end() == 0
    assert [f.name for f in files(home, "tmp")] == ["young"]


def test_a_full_disk_is_a_temporary_failure(start, home):
    """Nothing of the message is left in new/ or tmp/."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", home / "Maildir"], check=True)
    try:
        for part in ("tmp", "new", "cur"):
            (home / "Maildir" / part).mkdir()
        session = start()
        session.job(now_id(), body=b"x" * 40000)
        assert session.report()[1].startswith("K")
        session.job(now_id(), body=b"x" * 40000)
        text = session.report()[1]
        assert text.startswith("Z") and text.endswith("(#4.3.0)\n")
        assert len(files(home)) == 1 and not files(home, "tmp")
        session.end()
    finally:
        subprocess.run(["umount", home / "Maildir"], check=True)


def test_jobs_at_hand_are_finished_when_the_spawner_closes(session, home):
    (home / ".qmail-p").write_text("|sleep 0.3; echo x >ran\n")
    session.job(now_id(), local="alice-p", dash="-", ext="p")
    session.job(now_id())
    assert session.end() == 0
    assert (home / "ran").exists() and len(files(home)) == 1
