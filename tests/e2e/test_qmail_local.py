"""qmail-local called by hand: arguments, what it refuses, what programs see, mailboxes; every exit code."""
import fcntl
import os
import re
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

from conftest import PATIENCE, wait_for
from local_program import MESSAGE, UID

FLOCK = 32 if os.uname().machine == "aarch64" else 73  # the number of the system call

# -- call, gates ----------------------------------------------------------------------------


def test_wrong_arguments_are_permanent(local):
    for argv in ([], ["a"] * 7, ["-x", *["a"] * 8], ["-S", "a"], ["a"] * 9):
        done = subprocess.run([local.program, *argv], stdin=subprocess.DEVNULL,
                              stderr=subprocess.PIPE)
        assert done.returncode == 100 and b"usage" in done.stderr


def test_the_plan_is_printed_and_nothing_is_done(local):
    """-n names each instruction; -N takes it back."""
    local.write(".qmail", "# no\n./Maildir/\n./mbox\n|exit 1\n&a@b.example\nc@d.example\n+x\n\n")
    assert local.deliver(options=["-n"]) == (0, "maildir ./Maildir/\nmbox ./mbox\nprogram exit 1\n"
                                             "forward a@b.example\nforward c@d.example\n")
    assert not local.files() and not (local.home / "mbox").exists()
    assert local.deliver(options=["-nN"])[0] == 111


def test_the_plan_looks_for_no_loop_and_only_warns_of_a_sticky_home(local):
    local.home.chmod(0o1755)
    code, text = local.deliver(options=["-n"], message=b"Delivered-To: alice@me.example\n\n")
    assert code == 0 and "sticky" in text and text.endswith("maildir ./Maildir/\n")


@pytest.mark.parametrize("mode, code", [(0o755, 0), (0o775, 0), (0o700, 0), (0o311, 0), (0o757, 111),
                                        (0o1755, 111)])
def test_modes_of_the_home(local, mode, code):
    """Writable for others, or sticky: later. Writable for the group is accepted."""
    local.home.chmod(mode)
    got, text = local.deliver()
    assert got == code and len(local.files()) == (code == 0)
    assert code == 0 or re.search(r"\(#4\.[27]\.[01]\)\n$", text)
    local.home.chmod(0o755)


def test_a_missing_home_is_temporary(local):
    done = subprocess.run([local.program, "a", "/nonexistent", "a", "", "", "h", "s", "./Maildir/"],
                          stdin=(local.write("m", "x")).open("rb"), stdout=subprocess.PIPE)
    assert done.returncode == 111 and b"(#4.3.0)" in done.stdout


def test_a_message_that_cannot_be_rewound_is_temporary(local):
    done = subprocess.run([local.program, "a", local.home, "a", "", "", "h", "s", "./Maildir/"],
                          input=b"x", stdout=subprocess.PIPE)
    assert done.returncode == 111 and b"(#4.3.0)" in done.stdout


@pytest.mark.parametrize("mode, code", [(0o644, 0), (0o664, 0), (0o600, 0), (0o646, 111), (0o000, 111)])
def test_modes_of_the_qmail_file(local, mode, code):
    local.write(".qmail", "./Maildir/\n", mode)
    assert local.deliver()[0] == code


@pytest.mark.parametrize("line", ["./Maildir/", "./mbox", "|true"])
@pytest.mark.parametrize("text, mode", [("", 0o744), ("+list\n", 0o644), ("+list  \n#\n", 0o644)])
def test_a_forward_only_file_may_not_deliver(local, line, text, mode):
    """The owner's x bit, or +list, and then a file or program line: later, with 4.7.0."""
    local.write(".qmail", text + line + "\n", mode)
    code, report = local.deliver()
    assert code == 111 and report.endswith("(#4.7.0)\n")
    local.write(".qmail", text + "&a@b.example\n", mode)
    assert local.deliver()[0] == 0


def test_lines_before_list_may_deliver(local):
    local.write(".qmail", "./Maildir/\n+listen\n|true\n+list\nx@y.example\n")
    code, report = local.deliver()
    assert code == 0 and report.startswith("did 1+1+1\nqp ")


@pytest.mark.parametrize("header, code", [
    (b"Delivered-To: alice@me.example\n\n", 100),
    (b"A: b\nDelivered-To: alice@me.example\nC: d\n\n", 100),
    (b"Delivered-To: Alice@me.example\n\n", 0),
    (b"delivered-to: alice@me.example\n\n", 0),
    (b"Delivered-To: alice@me.example \n\n", 0),
    (b"Delivered-To: alice@me.example", 0),
    (b"A: b\n\nDelivered-To: alice@me.example\n", 0)])
def test_a_loop_is_an_equal_line_in_the_header(local, header, code):
    """Byte-exact; the body and an unterminated last line do not count."""
    got, report = local.deliver(message=header)
    assert got == code and (code == 0 or report.endswith("(#5.4.6)\n"))


def test_files_are_for_their_owner_only(local):
    local.write(".qmail", "./Maildir/\n./mbox\n|touch made\n")
    assert local.deliver()[0] == 0
    new, = (local.home / "Maildir/new").iterdir()
    for path in (new, local.home / "mbox", local.home / "made"):
        assert path.stat().st_mode & 0o777 == 0o600


# -- environment ----------------------------------------------------------------------------


def environment(home, dash="", ext="", **options):
    home.write(".qmail" + dash + ext.lower().replace(".", ":"), "|env -0 >env\n")
    assert home.deliver(dash, ext, **options)[0] == 0
    items = (home.home / "env").read_text().split("\0")
    return dict(item.split("=", 1) for item in items if item)


def test_the_environment_of_programs(local):
    env = environment(local, "-", "a-B-c-d-e", host="x.y.me.example", sender="s@r.example")
    want = {
        "SENDER": "s@r.example", "NEWSENDER": "s@r.example", "USER": "alice", "HOME": str(local.home),
        "RECIPIENT": "alice-a-B-c-d-e@x.y.me.example", "LOCAL": "alice-a-B-c-d-e",
        "HOST": "x.y.me.example", "HOST2": "x.y.me", "HOST3": "x.y", "HOST4": "x",
        "EXT": "a-B-c-d-e", "EXT2": "B-c-d-e", "EXT3": "c-d-e", "EXT4": "d-e",
        "DTLINE": "Delivered-To: alice-a-B-c-d-e@x.y.me.example\n", "RPLINE": "Return-Path: <s@r.example>\n"}
    assert {k: env.get(k) for k in want} == want and "DEFAULT" not in env
    assert re.fullmatch(r"From s@r\.example (Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} \d\d "
                        r"\d\d:\d\d:\d\d \d{4}\n", env["UFLINE"])


def test_the_environment_at_its_edges(local):
    """Parts that are not there; a bounce; bytes that must not make new lines."""
    env = environment(local, host="a.b", sender="")
    assert [env[k] for k in ("HOST2", "HOST3", "HOST4")] == ["a", "a", "a"]
    assert [env[k] for k in ("EXT", "EXT2", "EXT3", "EXT4")] == ["", "", "", ""]
    assert env["RPLINE"] == "Return-Path: <>\n" and env["UFLINE"].startswith("From MAILER-DAEMON ")
    env = environment(local, host="localhost", local="al\nice", sender="a b\t\nc@r.example")
    assert [env[k] for k in ("HOST2", "HOST3", "HOST4")] == ["localhost"] * 3
    assert env["DTLINE"] == "Delivered-To: al_ice@localhost\n" and env["RECIPIENT"] == "al\nice@localhost"
    assert env["UFLINE"].startswith("From a-b--c@r.example ")
    assert env["RPLINE"].startswith('Return-Path: <"a b') and env["RPLINE"].count("\n") == 1
    assert env["SENDER"] == "a b\t\nc@r.example"


# -- mailboxes ------------------------------------------------------------------------------


def test_a_maildir_gets_the_message_as_it_is(local):
    assert local.deliver() == (0, "did 1+0+0\n")
    assert local.files() == [b"Return-Path: <s@r.example>\nDelivered-To: alice@me.example\n" + MESSAGE]
    name, = os.listdir(local.home / "Maildir/new")
    assert len(name.split(".")) >= 3 and not set(name) & set(":/")
    assert local.deliver()[0] == 0 and len(local.files()) == 2  # by hand nothing is a repetition


@pytest.mark.parametrize("size", [0, 1, 48 * 1024, 48 * 1024 + 1, 300_000, 5_000_000])
def test_messages_of_every_size(local, size):
    """To a Maildir and to a program, byte for byte."""
    body = (b"0123456789abcde\n" * (size // 16 + 1))[:size]
    local.write(".qmail", "./Maildir/\n|cat >copy\n")
    assert local.deliver(message=body) == (0, "did 1+0+1\n")
    assert local.files()[0].split(b"\n", 2)[2] == body
    assert (local.home / "copy").read_bytes() == body


@pytest.mark.parametrize("line", ["./nowhere/", "./message/", "/nonexistent/Maildir/", "./half/"])
def test_a_maildir_that_is_none_is_temporary(local, line):
    (local.home / "half/new").mkdir(parents=True)
    code, report = local.deliver(default=line)
    assert code == 111 and report.endswith("(#4.2.1)\n")


def test_an_absolute_maildir(local):
    assert local.deliver(default=f"{local.home}/Maildir/")[0] == 0 and len(local.files()) == 1


def test_an_mbox_in_mboxrd_form(local):
    assert local.deliver(default="./mbox") == (0, "did 1+0+0\n")
    assert local.deliver(default="./mbox", sender="", message=b"") == (0, "did 1+0+0\n")
    text = (local.home / "mbox").read_bytes()
    date = rb"\w{3} \w{3} \d\d \d\d:\d\d:\d\d \d{4}\n"
    assert re.fullmatch(
        rb"From s@r\.example " + date + rb"Return-Path: <s@r\.example>\nDelivered-To: alice@me\.example\n"
        rb"Subject: hello\n\n>From here\n>>From there\nno end\n\n"
        rb"From MAILER-DAEMON " + date + rb"Return-Path: <>\nDelivered-To: alice@me\.example\n\n", text)


def test_an_mbox_that_cannot_be_written_is_cut_back(local):
    """The disk is full: the old content stays whole."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=64k,uid={UID}", "none", local.home / "Maildir"],
                   check=True)
    try:
        assert local.deliver(default="./Maildir/mbox", message=b"x\n" * 15000)[0] == 0
        before = (local.home / "Maildir/mbox").read_bytes()
        code, report = local.deliver(default="./Maildir/mbox", message=b"x\n" * 30000)
        assert code == 111 and report.endswith("(#4.3.0)\n")
        assert (local.home / "Maildir/mbox").read_bytes() == before
    finally:
        subprocess.run(["umount", local.home / "Maildir"], check=True)


@pytest.mark.parametrize("end, missing", [
    (b"", b""), (b"part of", b"\n\n"), (b"a line\n", b"\n"), (b"line\n\n", b""), (b"\0" * 9, b"\n\n")])
def test_a_message_behind_one_that_was_cut_off_begins_on_its_own(local, end, missing):
    """A crash leaves part of a message; what comes next is separated from it."""
    path = local.write("mbox", b"From a@b.example Fri Nov 20 10:39:14 2026\nSubject: x\n\n" + end)
    before = path.read_bytes()
    assert local.deliver(default="./mbox")[0] == 0
    assert path.read_bytes().startswith(before + missing + b"From s@r.example ")


def test_an_mbox_that_may_not_be_read(local):
    """It gets its message all the same."""
    local.write("mbox", b"").chmod(0o200)
    assert local.deliver(default="./mbox")[0] == 0 and local.deliver(default="./mbox")[0] == 0
    assert (local.home / "mbox").read_bytes().count(b"\nSubject: hello\n") == 2


def test_odd_mboxes(local):
    """A folder, a FIFO: temporary. /dev/null takes everything."""
    os.mkfifo(local.home / "fifo", 0o666)
    for line in ("./Maildir", "./fifo", "./no/mbox"):
        code, report = local.deliver(default=line)
        assert code == 111 and re.search(r"\(#4\.[23]\.[01]\)\n$", report)
    assert local.deliver(default="/dev/null") == (0, "did 1+0+0\n")


@contextmanager
def waiting_for_lock(local, path):
    """A delivery to an mbox that we have locked; gives the process, and our file."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        child = subprocess.Popen([local.program, "a", local.home, "a", "", "", "h", "s", f"./{path.name}"],
                                 stdin=local.write("m", "x").open("rb"), stdout=subprocess.PIPE)
        locks = Path(f"/proc/{child.pid}/syscall")
        wait_for(lambda: locks.read_text().startswith(f"{FLOCK} "), "flock")
        yield child, file


def test_a_locked_mbox_is_temporary(local):
    """After half a minute SIGALRM ends the wait; the test sends it earlier."""
    path = local.write("mbox", "")
    with waiting_for_lock(local, path) as (child, _):
        child.send_signal(signal.SIGALRM)
        report = child.communicate(timeout=PATIENCE)[0]
    assert child.returncode == 111 and b"locked" in report and path.stat().st_size == 0


def test_an_mbox_that_is_replaced_before_it_is_locked_loses_nothing(local):
    """As maildir2mbox does: what would be written to the old file would be gone."""
    path = local.write("mbox", "")
    with waiting_for_lock(local, path) as (child, file):
        local.write("new", "").rename(path)
        file.close()
        report = child.communicate(timeout=PATIENCE)[0]
    assert child.returncode == 111 and b"replaced" in report and path.stat().st_size == 0


@pytest.mark.parametrize("text, want", [
    (None, "1000 +1000"), ("40", "40 +40"), ("0", None), ("many", None)])
def test_a_program_has_a_limit_of_processes(local, text, want):
    """1000 unless control/maxprocesses says otherwise, and the user cannot raise it; nonsense there is not
    "no limit"."""
    (local.home / "control").mkdir()
    if text:
        local.write("control/maxprocesses", text + "\n")
    code, report = local.deliver(default="|grep 'Max processes' /proc/self/limits",
                                 env={"QMAILHOME": str(local.home)})
    assert code == (111 if text == "many" else 0)
    if text == "many":
        assert report.startswith("unable to read control/maxprocesses")
    elif want:
        assert re.match(f"Max processes +{want} ", report)
    else:
        assert not re.match("Max processes +1?000 ", report)


def running_in(folder):
    """Processes that programs of this home have left."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            found += [entry.name] if os.readlink(entry / "cwd") == str(folder) else []
        except OSError:  # it has ended
            pass
    return found


def test_a_program_that_starts_too_many_fails_and_leaves_none(local):
    """Its user gets no more than the limit; the rest of the machine is not concerned."""
    (local.home / "control").mkdir()
    local.write("control/maxprocesses", "30\n")
    bomb = "|i=0; while [ $i -lt 60 ]; do sleep 300 & i=$((i+1)); echo $i >count; done"
    code, report = local.deliver(default=bomb, env={"QMAILHOME": str(local.home)})
    assert code == 111 and "fork" in report
    assert 0 < int((local.home / "count").read_text()) < 30
    wait_for(lambda: not running_in(local.home), "the end of what it has started")


def test_what_a_program_leaves_running(local):
    """After a success it goes on; a failure, which may come again every few minutes, takes it along."""
    for code, goes_on in ((0, True), (99, True), (100, False), (1, False)):
        local.deliver(default=f"|sleep 300 >/dev/null 2>&1 & echo $! >pid; exit {code}")
        pid = int((local.home / "pid").read_text())
        if goes_on:
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not running_in(local.home), "the end of what it has started")
