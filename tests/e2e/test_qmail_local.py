"""qmail-local called by hand, one message at a time: every rule of dot-qmail(5), every exit code."""
import fcntl
import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from conftest import PATIENCE, public_folder, remove_tree, wait_for

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


# -- which file -----------------------------------------------------------------------------


def test_the_exact_file_then_defaults_from_the_right(local):
    names = ["-a-b-c", "-a-b-default", "-a-default", "-default"]
    for name in names:
        local.write(".qmail" + name, f"|echo {name}\n")
    for name in names:
        assert local.answering("-", "a-b-c") == name
        (local.home / (".qmail" + name)).unlink()
    code, report = local.deliver("-", "a-b-c")
    assert code == 100 and report.endswith("(#5.1.1)\n")


def test_letters_are_lowered_and_dots_become_colons(local):
    local.write(".qmail-a:b", "|echo yes\n")
    assert local.answering("-", "A.b") == "yes"
    local.write(".qmail-x-default", "|echo default $DEFAULT\n")
    assert local.answering("-", "X-Y.Z") == "default Y.Z"


def test_no_ext_reaches_outside_the_home(local):
    (local.home / "in").mkdir()
    local.write("in/.qmail-x", "|echo no\n")
    assert local.answering("-", "x/../../in/.qmail-x") == 100
    assert local.answering("-", "../in/.qmail-x") == 100


@pytest.mark.parametrize("ext, seen", [("a-b", "b"), ("x", "x"), ("a-", ""), ("a-Default", "Default"),
                                       ("default", "default")])
def test_default_is_what_default_stands_for(local, ext, seen):
    local.write(".qmail-default", "|echo =${DEFAULT-unset}\n")
    local.write(".qmail-a-default", "|echo =${DEFAULT-unset}\n")
    assert local.answering("-", ext) == "=" + seen


def test_default_is_unset_for_other_files(local):
    """An inherited DEFAULT is removed."""
    local.write(".qmail-a", "|echo =${DEFAULT-unset}\n")
    assert local.answering("-", "a", env={"DEFAULT": "old"}) == "=unset"


def test_only_regular_files_count(local):
    """A folder, a FIFO, a socket, a dangling or endless link: the search goes on."""
    local.write(".qmail-default", "|echo default\n")
    (local.home / ".qmail-dir").mkdir()
    os.mkfifo(local.home / ".qmail-fifo", 0o666)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(local.home / ".qmail-socket"))
    (local.home / ".qmail-loop").symlink_to(".qmail-loop")
    (local.home / ".qmail-dangling").symlink_to("nothing")
    local.write(".qmail-file", "x@y.example\n")
    for ext in ("dir", "fifo", "socket", "loop", "dangling", "file/x", "n" * 300):
        assert local.answering("-", ext) == "default"
    (local.home / ".qmail-link").symlink_to(".qmail-default")
    assert local.answering("-", "link") == "default"


def test_an_empty_or_missing_file_means_the_default_delivery(local):
    assert local.deliver(default="|echo d1")[1] == "d1\ndid 0+0+1\n"
    local.write(".qmail", "")
    assert local.deliver(default="|echo d2\n./Maildir/\n")[1] == "d2\ndid 1+0+1\n"
    local.write(".qmail-a", "", 0o744)  # the x bit does not matter then
    assert local.deliver("-", "a")[1] == "did 1+0+0\n"
    assert local.deliver(default="")[0] == 111


def test_a_user_without_extension_has_one_file(local):
    """qmail tried .qmaildefault; we do not."""
    local.write(".qmaildefault", "|echo no\n")
    assert local.answering("", "", default="|echo yes") == "yes"


def test_a_dash_without_extension(local):
    local.write(".qmail-default", "|echo =$DEFAULT\n")
    assert local.answering("-", "") == "="
    local.write(".qmail-", "|echo exact\n")
    assert local.answering("-", "") == "exact"


# -- lines ----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["\n./Maildir/\n", "  \t\n./Maildir/\n", "\0./Maildir/\n", " ", "\n"])
def test_a_blank_first_line_is_an_error(local, text):
    local.write(".qmail", text)
    code, report = local.deliver()
    assert code == 111 and report.endswith("(#4.2.1)\n") and not local.files()


@pytest.mark.parametrize("text", ["#\n./Mail\0dir/\n", "#\n|echo\0x\n", "#\n&\n", "#\n&  \n"])
def test_lines_that_mean_nothing_good_are_errors(local, text):
    """qmail cut a line at a NUL, and forwarded to the empty address."""
    local.write(".qmail", text)
    assert local.deliver()[0] == 111


def test_blank_lines_comments_and_plus_words_are_skipped(local):
    local.write(".qmail", "#./Maildir/\n\n  \n+word ./Maildir/\n# \0\n")
    assert local.deliver() == (0, "did 0+0+0\n")


def test_trailing_blanks_are_cut_and_the_last_newline_is_not_needed(local):
    local.write(".qmail", "./Maildir/ \t \n./mbox\t\n|echo 'a '  ")
    assert local.deliver() == (0, "a \ndid 2+0+1\n")
    assert len(local.files()) == 1 and (local.home / "mbox").exists()


def test_cr_is_not_cut(local):
    local.write(".qmail", "./mbox\r\n")
    assert local.deliver()[0] == 0 and (local.home / "mbox\r").exists()


def test_forward_lines(local):
    """With &, without, after blanks, with an odd first byte: raw addresses."""
    local.write(".qmail", "&a@x.example\nb@x.example\n  c@x.example\n!d@x.example\n9@x.example\n"
                "\"e f\"@x.example\n& g@x.example\n")
    code, report = local.deliver()
    assert code == 0 and re.fullmatch(r"did 0\+7\+0\nqp \d+\n", report)
    message, envelope = local.queued()
    assert envelope == ("Fs@r.example|Ta@x.example|Tb@x.example|Tc@x.example|T!d@x.example|"
                        "T9@x.example|T\"e f\"@x.example|Tg@x.example||")
    assert message == b"Delivered-To: alice@me.example\n" + MESSAGE


def test_an_earlier_failure_prevents_forwards(local):
    local.write(".qmail", "&a@x.example\n|exit 111\n")
    assert local.deliver()[0] == 111
    local.write(".qmail", "&a@x.example\n./nowhere/\n")
    assert local.deliver()[0] == 111
    assert not (local.home / "queued.envelope").exists()


def test_99_stops_but_earlier_forwards_happen(local):
    local.write(".qmail", "&a@x.example\n|exit 99\n&b@x.example\n./Maildir/\n\0\n")
    code, report = local.deliver()
    assert code == 0 and report.startswith("did 0+1+1\nqp ")
    assert local.queued()[1] == "Fs@r.example|Ta@x.example||" and not local.files()


@pytest.mark.parametrize("queue, code", [(0, 0), (11, 100), (31, 100), (40, 100), (51, 111), (53, 111),
                                         (71, 111), (91, 111), (120, 111), (1, 111)])
def test_codes_of_the_queue(local, queue, code):
    local.write(".qmail", "&a@x.example\n")
    local.write("queue.code", str(queue))
    got, report = local.deliver()
    assert got == code and (code == 0 or re.search(r"unable to forward: .*\(#[45]\.\d\.\d\)\n$", report))


@pytest.mark.parametrize("letter, code", [("D", 100), ("Z", 111)])
def test_a_queue_program_with_its_own_words(local, letter, code):
    local.write(".qmail", "&a@x.example\n")
    local.write("queue.code", "82")
    local.write("queue.text", letter + "no viruses (#5.7.1)")
    got, report = local.deliver()
    assert got == code and "no viruses (#5.7.1)" in report


@pytest.mark.parametrize("code, want", [
    (0, 0), (99, 0), (100, 100), (64, 100), (65, 100), (70, 100), (76, 100), (77, 100), (78, 100),
    (112, 100), (111, 111), (71, 111), (74, 111), (75, 111), (1, 111), (2, 111), (101, 111), (127, 111)])
def test_exit_codes_of_programs(local, code, want):
    local.write(".qmail", f"|echo because; exit {code}\n")
    got, report = local.deliver()
    assert got == want and report.startswith("because\n")


def test_a_program_that_crashes_is_temporary(local):
    local.write(".qmail", "|kill -9 $$\n")
    code, report = local.deliver()
    assert code == 111 and report.endswith("(#4.3.0)\n")


def test_each_program_gets_the_whole_message(local):
    """From its start, without lines on top, in the home, by /bin/sh."""
    local.write(".qmail", "|cat >one; pwd >where\n|cat >two; echo $0 >shell\n")
    assert local.deliver() == (0, "did 0+0+2\n")
    assert (local.home / "one").read_bytes() == (local.home / "two").read_bytes() == MESSAGE
    assert (local.home / "where").read_text() == f"{local.home}\n"
    assert (local.home / "shell").read_text() == "sh\n"


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


# -- owner and VERP -------------------------------------------------------------------------


@pytest.mark.parametrize("files, sender, want", [
    ([], "s@r.example", "s@r.example"),
    (["-owner"], "s@r.example", "alice-list-owner@me.example"),
    (["-owner", "-owner-default"], "s@r.example", "alice-list-owner-@me.example-@[]"),
    (["-owner-default"], "s@r.example", "s@r.example"),
    (["-owner", "-owner-default"], "", ""),
    (["-owner", "-owner-default"], "#@[]", "#@[]")])
def test_the_owner_file_gives_the_sender(local, files, sender, want):
    local.write(".qmail-list", "|echo $NEWSENDER >new\n&a@x.example\n")
    for name in files:
        local.write(".qmail-list" + name, "")
    assert local.deliver("-", "list", sender=sender)[0] == 0
    assert local.queued()[1] == f"F{want}|Ta@x.example||"
    assert (local.home / "new").read_text() == want + "\n"


def test_owner_files_go_by_the_full_extension(local):
    """Not by what -default matched, and without a dash .qmail-owner."""
    local.write(".qmail-default", "&a@x.example\n")
    local.write(".qmail-default-owner", "")
    assert local.deliver("-", "list")[0] == 0
    assert local.queued()[1].startswith("Fs@r.example|")
    local.write(".qmail-list-owner", "")
    assert local.deliver("-", "LIST")[0] == 0
    assert local.queued()[1].startswith("Falice-LIST-owner@me.example|")
    local.write(".qmail", "&a@x.example\n")
    local.write(".qmail-owner", "")
    assert local.deliver()[0] == 0
    assert local.queued()[1].startswith("Falice-owner@me.example|")


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


def test_odd_mboxes(local):
    """A folder, a FIFO: temporary. /dev/null takes everything."""
    os.mkfifo(local.home / "fifo", 0o666)
    for line in ("./Maildir", "./fifo", "./no/mbox"):
        code, report = local.deliver(default=line)
        assert code == 111 and re.search(r"\(#4\.[23]\.[01]\)\n$", report)
    assert local.deliver(default="/dev/null") == (0, "did 1+0+0\n")


def test_a_locked_mbox_is_temporary(local):
    """After half a minute SIGALRM ends the wait; the test sends it earlier."""
    path = local.write("mbox", "")
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        child = subprocess.Popen([local.program, "a", local.home, "a", "", "", "h", "s", "./mbox"],
                                 stdin=local.write("m", "x").open("rb"), stdout=subprocess.PIPE)
        locks = Path(f"/proc/{child.pid}/syscall")
        wait_for(lambda: locks.read_text().startswith("73 "), "flock")  # its number on x86-64
        child.send_signal(signal.SIGALRM)
        report = child.communicate(timeout=PATIENCE)[0]
    assert child.returncode == 111 and b"locked" in report and path.stat().st_size == 0
