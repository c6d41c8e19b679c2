"""qmail-logpace: nothing is lost between those who write and the logger, and it wakes seldom."""
import fcntl
import os
import pty
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time

import pytest

from conftest import PATIENCE, run, wait_for
from processes import children_of

LOGGER = "service/qmail-smtpd/log"


@pytest.fixture
def pacer(programs, tmp_path):
    """pacer(*argv, stdin=, ...): a Popen of it; its standard input is a pipe whose end is .pipe"""
    made = []

    def start(*argv, stdin=None, **options):
        reader, writer = os.pipe() if stdin is None else (stdin, None)
        child = subprocess.Popen([programs / "bin/qmail-logpace", *argv], stdin=reader, cwd=tmp_path,
                                 stderr=subprocess.PIPE, text=True, **options)
        if stdin is None:
            os.close(reader)
        child.pipe = writer
        made.append(child)
        return child

    yield start
    for child in made:
        child.kill()
        child.wait()


def end(child):
    """Close its input; returns its exit code and what it said."""
    if child.pipe is not None:
        os.close(child.pipe)
    said = child.communicate(timeout=PATIENCE)[1]
    return child.returncode, said


# A logger that counts how often it is woken.
COUNTER = """
import os, sys
reads = total = 0
while (got := os.read(0, 1 << 16)):
    reads, total = reads + 1, total + got.count(b"\\n")
print(reads, total)
"""


def test_every_line_arrives_once_and_in_order(pacer, tmp_path):
    """100,000 lines of four writers, each written by itself, all arrive, those of one writer in order."""
    with open(tmp_path / "out", "wb") as out:
        child = pacer("cat", stdout=out)
    code = ("import os\n"
            "for i in range(25000): os.write(1, b'%s %d of some text that a line has\\n' % (b'NAME', i))")
    writers = [subprocess.Popen([sys.executable, "-c", code.replace("NAME", name)], stdout=child.pipe)
               for name in "abcd"]
    assert all(writer.wait(PATIENCE) == 0 for writer in writers)
    assert end(child) == (0, "")
    lines = (tmp_path / "out").read_text().splitlines()
    assert len(lines) == 100000
    for name in "abcd":
        assert [int(line.split()[1]) for line in lines if line[0] == name] == list(range(25000))


def test_a_lone_line_arrives_though_nothing_follows(pacer, tmp_path):
    """A line is passed on without another one after it, the first as well as a later one."""
    with open(tmp_path / "out", "wb") as out:
        child = pacer("cat", stdout=out)
    for text in ("one\n", "one\ntwo\n"):
        os.write(child.pipe, text[-4:].encode())
        wait_for(lambda: (tmp_path / "out").read_text() == text, text)
    assert end(child) == (0, "")


def test_the_logger_wakes_seldom(pacer):
    """Lines written one by one make no more reads than one in 20 ms, however many lines they are."""
    began = time.monotonic()
    child = pacer(sys.executable, "-c", COUNTER, stdout=subprocess.PIPE)
    for number in range(20000):
        os.write(child.pipe, b"%d a line\n" % number)
        if number % 10 == 0:
            time.sleep(0.001)  # so long that a logger without it would have read the line
    os.close(child.pipe)
    reads, total = map(int, child.communicate(timeout=PATIENCE)[0].split())
    assert total == 20000 and reads <= (time.monotonic() - began) * 50 + 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_term_passes_on_what_stands_there_and_waits(pacer, tmp_path, number):
    """At TERM and HUP lines that stand in the input arrive, and the exit code is the logger's;
    what is written later stays in the input."""
    # The logger does not read before the signal: all lines stand in one pipe or the other.
    with open(tmp_path / "out", "wb") as out:
        child = pacer("sh", "-c", "touch ready; until test -e go; do sleep 0.1; done; cat; exit 7",
                      stdout=out)
    keep = os.open(f"/proc/{child.pid}/fd/0", os.O_RDONLY | os.O_NONBLOCK)
    wait_for((tmp_path / "ready").exists, "the logger")
    text = b"".join(b"%d a line\n" % i for i in range(1000))
    os.write(child.pipe, text[:9])  # the rest comes while the pacer pauses
    wait_for(lambda: not waiting(keep), "the first line to go")
    os.write(child.pipe, text[9:])
    child.send_signal(number)
    wait_for(lambda: not output_of(child.pid), "the end of the pipe")
    os.write(child.pipe, b"later\n")
    (tmp_path / "go").touch()
    assert end(child) == (7, "")
    assert (tmp_path / "out").read_bytes() == text
    assert os.read(keep, 100) == b"later\n"
    os.close(keep)


def waiting(fd):
    """How many bytes stand in a pipe."""
    return struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0" * 4))[0]


def output_of(pid):
    """The pipe to the logger: descriptors of a pacer beyond 0 to 2 that are pipes."""
    return [fd for fd in os.listdir(f"/proc/{pid}/fd")
            if int(fd) > 2 and os.readlink(f"/proc/{pid}/fd/{fd}").startswith("pipe:")]


def test_the_exit_code_is_that_of_the_logger(pacer):
    """At the end of the input the logger's code is passed on; death by a signal is 111."""
    assert end(pacer("sh", "-c", "cat >/dev/null; exit 3")) == (3, "")
    assert end(pacer("sh", "-c", "cat >/dev/null; kill -9 $$"))[0] == 111


def test_a_logger_that_ends_unasked(pacer):
    """A logger that ends, or closes its input, is noticed; nothing is taken from the input then."""
    for script, word in (("exit 0", "has ended"), ("kill -9 $$", "has ended"),
                         ("exec <&-; touch closed; exec sleep 1000", "does not read")):
        reader, writer = os.pipe()
        child = pacer("sh", "-c", script, stdin=reader)
        if "sleep" in script:
            closed = os.path.join(f"/proc/{child.pid}/cwd", "closed")
            wait_for(lambda: os.path.exists(closed), "a closed pipe")
            (logger,) = children_of(child.pid)
            os.write(writer, b"line\n")
        said = child.stderr.readline()
        assert child.wait(PATIENCE) == 111 and word in said, said
        if "sleep" in script:
            os.kill(logger, signal.SIGKILL)
            assert os.read(reader, 100) == b"line\n"
        os.close(writer)
        os.close(reader)


def test_usage(pacer):
    """Wrong usage is 100; a program that is not there is 111, and is named."""
    for argv in ((), ("-x", "cat")):
        code, said = end(pacer(*argv))
        assert code == 100 and "usage: qmail-logpace program" in said
    code, said = end(pacer("/nonexistent/logger"))
    assert code == 111
    assert "qmail-logpace: fatal: unable to run /nonexistent/logger: No such file" in said


def test_a_file_or_a_socket_as_input(pacer, tmp_path):
    """An input that is no pipe works, however long it is."""
    text = b"".join(b"%d a line\n" % i for i in range(300000))
    (tmp_path / "in").write_bytes(text)
    for kind in ("file", "socket"):
        ours, theirs = socket.socketpair()
        with open(tmp_path / "in", "rb") as file, open(tmp_path / "out", "wb") as out:
            child = pacer("cat", stdin=file if kind == "file" else theirs, stdout=out)
        theirs.close()
        if kind == "socket":
            ours.sendall(text)
        ours.close()
        assert end(child) == (0, "")
        assert (tmp_path / "out").read_bytes() == text, kind


def test_another_kind_of_input(pacer, tmp_path):
    """A terminal works where the kernel can splice it; else, as for a folder, there is a clear error."""
    ours, theirs = pty.openpty()
    with open(tmp_path / "out", "wb") as out:
        child = pacer("cat", stdin=theirs, stdout=out)
    os.write(ours, b"hello\n\x04")
    code, said = end(child)
    assert (code, said, (tmp_path / "out").read_text()) == (0, "", "hello\n") or (
        code == 100 and "has to be a pipe" in said)
    os.close(ours)
    os.close(theirs)
    folder = os.open(tmp_path, os.O_RDONLY)
    code, said = end(pacer("cat", stdin=folder))
    assert code in (100, 111) and "standard input" in said
    os.close(folder)


def test_descriptor_3_is_only_the_loggers(pacer, tmp_path):
    """The logger gets descriptors 0 to 3 and no more; here, 3 is closed; no signal is left blocked."""
    notice_reader, notice_writer = os.pipe()
    child = pacer("sh", "-c", "grep SigBlk /proc/self/status >out; ls /proc/$$/fd >>out; echo >&3; "
                  "exec cat 3>&- >/dev/null",
                  preexec_fn=lambda: os.dup2(notice_writer, 3), pass_fds=(3,))
    os.close(notice_writer)
    assert os.read(notice_reader, 10) == b"\n"
    blocked, *fds = (tmp_path / "out").read_text().splitlines()
    assert int(blocked.split()[1], 16) == 0
    assert set(fds) - {"10"} == {"0", "1", "2", "3"}  # 10: the shell's own
    wait_for(lambda: len(os.listdir(f"/proc/{child.pid}/fd")) == 5, "0, 1, 2, signals and the pipe alone")
    assert os.read(notice_reader, 10) == b""  # nobody has its other end any more
    os.close(notice_reader)
    assert end(child) == (0, "")


# -- in an instance ---------------------------------------------------------------------------


class Feed:
    """Writes numbered lines into the pipe of qmail-smtpd's logger, as tcpserver does."""

    def __init__(self, instance, name):
        self.pipe = os.open(f"/proc/{the_pacer(instance)}/fd/0", os.O_WRONLY)
        self.instance, self.name, self.count = instance, name, 0

    def write(self, lines):
        for _ in range(lines):
            os.write(self.pipe, b"%s %d\n" % (self.name.encode(), self.count))
            self.count += 1

    def check(self):
        """All lines are in the log, once and in order."""
        os.close(self.pipe)
        self.instance.wait_log(f"{self.name} {self.count - 1}", "qmail-smtpd")
        lines = [line for line in self.instance.log("qmail-smtpd") if line.startswith(self.name)]
        assert lines == [f"{self.name} {number}" for number in range(self.count)]


def the_pacer(instance):
    """The process id of the logger as s6-supervise knows it."""
    def found():
        text = run("s6-svstat", "-o", "up,ready,pid", instance.home / LOGGER).stdout.split()
        return text[:2] == ["true", "true"] and int(text[2])
    return wait_for(found, "the logger")


def svc(instance, option, *more):
    run("s6-svc", option, *more, instance.home / LOGGER, timeout=PATIENCE + 10)


def test_no_line_is_lost_when_the_logger_is_restarted(instance):
    """TERM (s6-svc -t, -r, -d and -u) while lines are written: each is in the log once and in order."""
    feed = Feed(instance, "restart")
    stop = threading.Event()

    def go_on():
        while not stop.is_set():
            feed.write(50)
            time.sleep(0.01)

    writer = threading.Thread(target=go_on, daemon=True)
    writer.start()
    try:
        for option in ("-t", "-r", "-h"):
            before = the_pacer(instance)
            svc(instance, option)
            wait_for(lambda: the_pacer(instance) != before, "another logger")
        svc(instance, "-d", "-wD", "-T", str(PATIENCE * 1000))
        feed_at = feed.count
        wait_for(lambda: feed.count > feed_at + 100, "lines while there is no logger")
        svc(instance, "-u", "-wU", "-T", str(PATIENCE * 1000))
    finally:
        stop.set()
        writer.join()
    feed.write(1)
    feed.check()


def test_alrm_rotates(instance):
    """s6-svc -a has s6-log begin a new file; the logger goes on."""
    feed = Feed(instance, "rotate")
    pid = the_pacer(instance)
    feed.write(10)
    instance.wait_log("rotate 9", "qmail-smtpd")
    before = set((instance.home / "log/qmail-smtpd").glob("@*"))
    svc(instance, "-a")
    wait_for(lambda: set((instance.home / "log/qmail-smtpd").glob("@*")) - before, "an old file")
    feed.write(10)
    feed.check()
    assert the_pacer(instance) == pid


@pytest.mark.parametrize("victim", ["s6-log", "qmail-logpace"])
def test_a_killed_logger_comes_back(instance, victim):
    """KILL of s6-log or of qmail-logpace: the service comes back, and what was not yet passed on appears."""
    feed = Feed(instance, "kill-" + victim)
    pid = the_pacer(instance)
    (logger,) = children_of(pid)
    os.kill(pid, signal.SIGSTOP)  # what is written now is not passed on
    wait_for(lambda: state_of(pid) == "T", "the pacer to stop")
    feed.write(1000)
    if victim == "s6-log":
        os.kill(logger, signal.SIGKILL)
        wait_for(lambda: state_of(logger) == "Z", "its end")
        os.kill(pid, signal.SIGCONT)
    else:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: the_pacer(instance) != pid, "another logger")
    feed.write(10)
    feed.check()


def state_of(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return file.read().rpartition(")")[2].split()[0]


def test_term_to_s6_log_itself_does_not_end_it(instance):
    """Only the end of its input ends s6-log: a TERM to all processes loses no line."""
    feed = Feed(instance, "stray")
    pid = the_pacer(instance)
    (logger,) = children_of(pid)
    os.kill(logger, signal.SIGTERM)
    feed.write(1000)
    feed.check()
    assert children_of(pid) == [logger]
