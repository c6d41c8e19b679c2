"""qmail-queued in a home of its own: no other service runs. Its clients, and what it wrote."""
import fcntl
import os
import signal
import socket
import subprocess

import pytest

import handoff_packet
from conftest import PATIENCE, SAN, public_folder, remove_tree, wait_for
from processes import children_of, tracer_of
from queue_file import parse

OWNER, STRANGER = 4243, 4244
MESSAGE = b"Subject: x\n\nhello\n"
ENVELOPE = b"Fme@a.example\0Tyou@b.example\0\0"


class Client:
    """A connection to queue/inject."""

    def __init__(self, queue):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(str(queue.home / "queue/inject"))

    def send(self, *strings, body=b"", fds=()):
        handoff_packet.send(self.socket, *strings, body=body, fds=fds)

    def message(self, message=MESSAGE, envelope=ENVELOPE):
        self.send("queue", len(message), len(envelope), body=message + envelope)

    def descriptor(self, fd, message_len, envelope_len=len(ENVELOPE)):
        self.send("queue", message_len, envelope_len, fds=[fd])

    def answer(self):
        """The strings of the answer; [] when the connection is closed"""
        packet = self.socket.recv(65536)
        return handoff_packet.unpack(packet)[0] if packet else []

    def close(self):
        self.socket.close()


class Queue:
    """A home with a queue, and the qmail-queued of it."""

    def __init__(self, programs):
        self.folder = public_folder("pennypost-queue-")
        self.home = self.folder / "home"
        (self.home / "queue").mkdir(parents=True)
        (self.home / "control").mkdir()
        os.chown(self.home / "queue", OWNER, OWNER)
        (self.home / "queue").chmod(0o711)
        self.programs = programs
        self.env = dict(os.environ, QMAILHOME=str(self.home))
        if SAN:
            self.env["ASAN_OPTIONS"] = "detect_leaks=0:abort_on_error=1"
        self.process, self.clients, self.mounted = None, [], []

    def mount_on(self, place, kind, options):
        subprocess.run(["mount", "-t", kind, "-o", options, kind, str(place)], check=True)
        self.mounted.append(str(place))

    def mount(self, size):
        """Put queue/ on a small file system of its own."""
        self.mount_on(self.home / "queue", "tmpfs", f"size={size},mode=0711,uid={OWNER},gid={OWNER}")

    def mount_overlay(self):
        """Put queue/ on an overlayfs, as in a container without a volume."""
        layers = self.folder / "layers"
        layers.mkdir()
        self.mount_on(layers, "tmpfs", "size=64m")
        for name in ("lower", "upper", "work"):
            (layers / name).mkdir()
            os.chown(layers / name, OWNER, OWNER)
        self.mount_on(self.home / "queue", "overlay",
                      f"lowerdir={layers}/lower,upperdir={layers}/upper,workdir={layers}/work")

    def start(self, *options, limit=None, wrapper=()):
        ready, other = os.pipe()
        argv = [str(self.programs / "bin/qmail-queued"), "-d", str(other), *options]
        if limit:
            argv = ["sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh", *argv]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([*wrapper, *argv], stderr=log, env=self.env, cwd="/", user=OWNER,
                                            group=OWNER, extra_groups=[], pass_fds=[other])
        os.close(other)
        with os.fdopen(ready, "rb") as pipe:
            assert pipe.read(1) == b"\n", self.log()
        return self

    def stop(self, number=signal.SIGTERM):
        if self.process:
            self.process.send_signal(number)
            code = self.process.wait(PATIENCE)
            self.process = None
            with open(self.home / "queue/lock-queued", "rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH)  # its helpers die with it, an instant later
            return code

    def end(self):
        for client in self.clients:
            client.close()
        self.stop(signal.SIGKILL)
        for place in reversed(self.mounted):
            subprocess.run(["umount", "-l", place], check=False)
        remove_tree(self.folder)

    def client(self):
        self.clients.append(Client(self))
        return self.clients[-1]

    def log(self):
        return (self.folder / "log").read_text()

    def files(self, name="mess"):
        return sorted(p for p in (self.home / "queue" / name).rglob("*") if not p.is_dir())

    def file_of(self, answer):
        assert answer[0] == "0", answer
        return self.home / f"queue/mess/{(int(answer[1]) >> 24) % 23}/{answer[1]}"

    def children(self):
        return children_of(self.process.pid)

    def flusher(self):
        return self.children()[0]  # forked first, and the oldest child comes first

    def works(self):
        """A new client can queue a message."""
        client = self.client()
        client.message()
        answer = client.answer()
        assert answer[0] == "0", answer
        assert parse(self.file_of(answer))[1]["T"] == ["you@b.example"]
        client.close()

    def qmail_queue(self, message=MESSAGE, envelope=ENVELOPE, env=None, uid=STRANGER, argv=(), wrapper=()):
        """Run qmail-queue; returns its exit code."""
        reader, writer = os.pipe()
        os.write(writer, envelope)
        os.close(writer)
        child = subprocess.Popen(
            [*wrapper, str(self.programs / "bin/qmail-queue"), *argv],
            stdin=subprocess.PIPE if isinstance(message, bytes) else message, stdout=reader,
            stderr=subprocess.DEVNULL, env=env or self.env, cwd="/", user=uid, group=uid, extra_groups=[])
        os.close(reader)
        child.communicate(message if isinstance(message, bytes) else None, PATIENCE)
        return child.returncode


class Injected:
    """strace attached to a process, making system calls fail; path: only those that name it."""

    def __init__(self, pid, *calls, error, trace="/dev/null", path=None):
        argv = ["strace", "-q", "-p", str(pid), "-o", str(trace), *(("-P", path) if path else ())]
        for call in calls:
            argv += ["-e", f"inject={call}:error={error}"]
        self.pid = pid
        self.process = subprocess.Popen(argv, stderr=subprocess.DEVNULL)

    def __enter__(self):
        wait_for(lambda: tracer_of(self.pid) == self.process.pid, "strace")

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE)


@pytest.fixture
def new_queue(programs):
    one = Queue(programs)
    yield one
    one.end()


@pytest.fixture
def queue(new_queue):
    return new_queue.start()


def memory_file(content):
    fd = os.memfd_create("test")
    os.write(fd, content)
    return fd
