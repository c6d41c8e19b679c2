"""A spawner with a scripted program in the place of the delivery process; the test is qmail-send."""
import os
import socket
import subprocess

import pytest

import handoff_packet
from conftest import PATIENCE


# A delivery process that says what it was given. Words in the sender's address make it misbehave.
FAKE = """#!/usr/bin/python3
import os, socket, struct, sys, time
jobs = socket.socket(fileno=0)
while True:
    packet, fds, _, _ = socket.recv_fds(jobs, 200000, 4)
    if not packet:
        break
    length, = struct.unpack("I", packet[:4])
    strings = packet[4:4 + length].split(b"\\0")[:-1]
    body = packet[4 + length:]
    if fds:
        body = os.read(fds[0], 1 << 24)
        os.close(fds[0])
    is_local = sys.argv[0].endswith("local")
    sender = strings[9 if is_local else 4]
    count = 1 if is_local else len(strings) - 5
    if b"crash" in sender:
        os.kill(os.getpid(), 9)
    if b"leave" in sender:
        sys.exit(0)
    while b"wait" in sender and os.path.exists("alias/wait"):
        time.sleep(0.02)
    facts = "|".join(["pid=%d" % os.getpid(), "uid=%d" % os.getuid(), "gid=%d" % os.getgid(),
                      "groups=%r" % os.getgroups(), "env=%s" % ",".join(sorted(os.environ)),
                      "fds=%d" % len(os.listdir("/proc/self/fd")), "len=%d" % len(body)]).encode()
    answers = [b"K" + facts + b"|" + b"|".join(strings)] * count
    number = strings[1]
    if b"mangled" in sender:
        answers = [b"X"] * count
    if b"short" in sender:
        answers = answers[1:]
    if b"stranger" in sender:
        number = b"999999"
    if b"long" in sender:
        answers = [b"K" + b"y" * 20000]
    strings = [b"report", number, *answers]
    packet = b"".join(s + b"\\0" for s in strings)
    jobs.send(struct.pack("I", len(packet)) + packet)
    if b"stranger" in sender:
        os.kill(os.getpid(), 9)
"""


class Spawner:
    """A qmail-lspawn or qmail-rspawn, and we are its qmail-send."""

    def __init__(self, home, *argv, **environment):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(PATIENCE)
        self.socket = ours
        self.number = 0
        self.process = subprocess.Popen(
            [str(home / "bin" / argv[0]), *argv[1:]], stdin=theirs, cwd="/",
            env=dict(os.environ, QMAILHOME=str(home), SECRET="of root", **environment))
        theirs.close()

    def job(self, recipients, sender="s@x.example", body=b"hello\n", destination="", fd=None, length=None):
        """Send a job; returns its number."""
        self.number += 1
        if isinstance(recipients, str):
            recipients = [recipients]
        length = len(body) if length is None else length
        handoff_packet.send(self.socket, "job", self.number, "1234567", length, sender, destination,
                            destination, *recipients, body=body, fds=[] if fd is None else [fd])
        return str(self.number)

    def report(self):
        """The next report: number, then one text per recipient."""
        number, texts = handoff_packet.receive_report(self.socket)
        return number, *texts

    def ask(self, *argv, **options):
        """A job and its report's texts."""
        number = self.job(*argv, **options)
        got, *texts = self.report()
        assert got == number
        return texts if len(texts) > 1 else texts[0]

    def end(self):
        """Go away, and see the spawner follow."""
        self.socket.close()
        return self.process.wait(PATIENCE)


def fact(text, name):
    return text.split(f"{name}=", 1)[1].split("|", 1)[0]


def own_programs(home):
    """Let bin/ be a folder of this home alone, of links into the one that all instances share."""
    shared = (home / "bin").resolve()
    if (home / "bin").is_symlink():
        (home / "bin").unlink()
        (home / "bin").mkdir()
        for program in shared.iterdir():
            (home / "bin" / program.name).symlink_to(program)


def install(home, name, text):
    path = home / "bin" / name
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def home(make_instance):
    """A home with users alice, bob and carol, and scripted delivery programs. Nothing runs."""
    one = make_instance(start=False)
    own_programs(one.home)
    install(one.home, "qmail-local", FAKE)
    install(one.home, "qmail-remote", FAKE)
    one.control("sessionidle", "60")
    return one


@pytest.fixture
def spawners():
    """A function that makes Spawners; they are ended afterwards."""
    made = []

    def make(*argv, **environment):
        made.append(Spawner(*argv, **environment))
        return made[-1]

    yield make
    for one in made:
        one.socket.close()
        if one.process.poll() is None:
            one.process.wait(PATIENCE)
