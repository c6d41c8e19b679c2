"""qmail-queued and qmail-queue alone, in a home of their own: no other service runs."""
import array
import fcntl
import os
import pwd
import re
import signal
import socket
import stat
import struct
import subprocess
import time

import pytest

from conftest import PATIENCE, SAN, public_folder, remove_tree, wait_for

OWNER, STRANGER = 4243, 4244
MESSAGE = b"Subject: x\n\nhello\n"
ENVELOPE = b"Fme@a.example\0Tyou@b.example\0\0"


def crc32c(data, table=[]):
    """CRC-32C, written from RFC 3720 and not from our code."""
    if not table:
        for byte in range(256):
            for _ in range(8):
                byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
            table.append(byte)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def parse(path):
    """Take a queue file apart as queue-file(5) says. returns message, {letter: [text]}"""
    data = path.read_bytes()
    footer = data[-64:]
    match = re.fullmatch(rb"pennypost 1 (\d{20}) (\d{10}) ([0-9a-f]{8}) {11}\n", footer)
    assert match, footer
    message_len, envelope_len = int(match[1]), int(match[2])
    assert message_len + envelope_len + 64 == len(data)
    message, envelope = data[:message_len], data[message_len:-64]
    assert envelope[:1] == b"H" and envelope[41:42] == b"\0"
    records = envelope[42:]
    assert crc32c(message + re.sub(rb"(^|\0)D", rb"\1T", records)) == int(match[3], 16)
    fields = {}
    for record in records[:-1].split(b"\0"):
        fields.setdefault(record[:1].decode(), []).append(record[1:].decode())
    return message, fields


class Client:
    """A connection to queue/inject."""

    def __init__(self, queue):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(str(queue.home / "queue/inject"))

    def send(self, *strings, body=b"", fds=()):
        text = b"".join(str(s).encode() + b"\0" for s in strings)
        self.raw(struct.pack("=I", len(text)) + text + body, fds)

    def raw(self, packet, fds=()):
        extra = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.socket.sendmsg([packet], extra)

    def message(self, message=MESSAGE, envelope=ENVELOPE):
        self.send("queue", len(message), len(envelope), body=message + envelope)

    def descriptor(self, fd, message_len, envelope_len=len(ENVELOPE)):
        self.send("queue", message_len, envelope_len, fds=[fd])

    def answer(self):
        """The strings of the answer; [] when the connection is closed"""
        packet = self.socket.recv(65536)
        return packet[4:-1].decode().split("\0") if packet else []

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
        self.process, self.clients, self.mounted = None, [], False

    def mount(self, size):
        """Put queue/ on a small file system of its own."""
        subprocess.run(["mount", "-t", "tmpfs", "-o",
                        f"size={size},mode=0711,uid={OWNER},gid={OWNER}", "tmpfs",
                        str(self.home / "queue")], check=True)
        self.mounted = True

    def start(self, *options, limit=None):
        ready, other = os.pipe()
        argv = [str(self.programs / "bin/qmail-queued"), "-d", str(other), *options]
        if limit:
            argv = ["sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh", *argv]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(argv, stderr=log, env=self.env, cwd="/", user=OWNER,
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
            return code

    def end(self):
        for client in self.clients:
            client.close()
        self.stop(signal.SIGKILL)
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.home / "queue")], check=False)
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
        return [int(p) for p in
                open(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read().split()]

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

    def qmail_queue(self, message=MESSAGE, envelope=ENVELOPE, env=None, uid=STRANGER, argv=()):
        """Run qmail-queue; returns its exit code."""
        reader, writer = os.pipe()
        os.write(writer, envelope)
        os.close(writer)
        child = subprocess.Popen(
            [str(self.programs / "bin/qmail-queue"), *argv], stdout=reader, stderr=subprocess.DEVNULL,
            stdin=subprocess.PIPE if isinstance(message, bytes) else message, env=env or self.env,
            cwd="/", user=uid, group=uid, extra_groups=[])
        os.close(reader)
        child.communicate(message if isinstance(message, bytes) else None, PATIENCE)
        return child.returncode


class Injected:
    """strace attached to a process, making system calls fail."""

    def __init__(self, pid, *calls, error, trace="/dev/null"):
        argv = ["strace", "-q", "-p", str(pid), "-o", str(trace)]
        for call in calls:
            argv += ["-e", f"inject={call}:error={error}"]
        self.pid = pid
        self.process = subprocess.Popen(argv, stderr=subprocess.DEVNULL)

    def __enter__(self):
        wait_for(lambda: f"TracerPid:\t{self.process.pid}\n"
                 in open(f"/proc/{self.pid}/status").read(), "strace")

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


# -- qmail-queue ----------------------------------------------------------------------------


def test_qmail_queue_queues(queue):
    """A message arrives byte for byte, with our line at the top and its sender's uid."""
    assert queue.qmail_queue() == 0
    message, fields = parse(queue.files()[0])
    first, rest = message.split(b"\n", 1)
    assert re.fullmatch(rb"Received: \(qmail \d+ invoked by uid %d\); "
                        rb"\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d -0000" % STRANGER, first)
    assert rest == MESSAGE
    assert fields["F"] == ["me@a.example"] and fields["T"] == ["you@b.example"]
    assert fields["U"] == [str(STRANGER)]
    assert fields["P"] == [first.split()[2].decode()]


@pytest.mark.parametrize("size", [0, 1, 48 * 1024 - len(ENVELOPE), 48 * 1024, 2**21 - 40, 2**21,
                                  2**21 + 1, 5 * 2**20])
def test_any_size_arrives_whole(queue, size):
    """In a packet, in memory, or on disk: every way a message can come keeps every byte."""
    message = (bytes(range(256)) * (size // 256 + 1))[:size]
    assert queue.qmail_queue(message) == 0
    data = queue.files()[0].read_bytes()
    assert data.split(b"\n", 1)[1].startswith(message + b"H0")
    if size < 2**20:
        parse(queue.files()[0])


LONGEST = b"a" * 1002


@pytest.mark.parametrize("code, envelope", [
    (0, b"F\0\0"), (0, b"F" + LONGEST + b"\0T" + LONGEST + b"\0\0"),
    (11, b"F" + LONGEST + b"x\0\0"), (11, b"Fa\0T" + LONGEST + b"x\0\0"),
    (54, b""), (54, b"F"), (54, b"Fa\0Tb\0"), (54, b"Fa\0Tb"),
    (91, b"T\0\0"), (91, b"Fa\0F\0\0"), (91, b"\0"), (91, b"x")], ids=range(12))
def test_exit_codes_of_an_envelope(queue, code, envelope):
    """Too long 11, cut off 54, wrong letter 91; and what is refused leaves nothing."""
    assert queue.qmail_queue(envelope=envelope) == code
    assert len(queue.files()) == (code == 0)


def test_exit_codes_of_trouble(new_queue):
    """Unreadable message 54, no home 61, no queue 62, arguments 100."""
    with open("/dev/null", "wb") as unreadable:
        assert new_queue.qmail_queue(unreadable) == 54
    absent = dict(new_queue.env, QMAILHOME=str(new_queue.home / "absent"))
    assert new_queue.qmail_queue(env=absent) == 61
    assert new_queue.qmail_queue() == 62  # neither qmail-queued nor queue/drop
    assert new_queue.qmail_queue(argv=["x"]) == 100


def test_QMAILQUEUE_does_not_count_for_qmail_queue_itself(queue):
    """A filter that ends in qmail-queue must not call itself for ever."""
    assert queue.qmail_queue(env=dict(queue.env, QMAILQUEUE="/bin/false")) == 0
    assert len(queue.files()) == 1


# -- queue/drop -----------------------------------------------------------------------------


def test_what_is_left_while_the_queue_is_down_is_taken_in(new_queue):
    """Promise: messages injected while the system is down are queued at start, under their sender's uid."""
    new_queue.start()
    new_queue.stop()
    assert new_queue.qmail_queue() == 0
    assert new_queue.qmail_queue(b"x" * 3000000, uid=STRANGER + 1) == 0
    assert len(new_queue.files("drop")) == 2 and not new_queue.files()
    new_queue.start()
    wait_for(lambda: not new_queue.files("drop"), "an empty queue/drop")
    small, large = sorted(new_queue.files(), key=lambda p: p.stat().st_size)
    message, fields = parse(small)
    assert message.split(b"\n", 1)[1] == MESSAGE
    assert b"invoked by uid %d)" % STRANGER in message and fields["U"] == [str(STRANGER)]
    assert b"by uid %d)" % (STRANGER + 1) in large.read_bytes()[:100]


def test_nobody_can_list_what_others_left(new_queue):
    """queue/drop takes files of everybody and shows them to nobody."""
    new_queue.start()
    mode = (new_queue.home / "queue/drop").stat().st_mode
    assert stat.S_IMODE(mode) == 0o1733


def test_garbage_in_drop_harms_nobody(new_queue):
    """Symlinks, hard links, FIFOs, folders, wrong lengths: set aside or left, never followed."""
    new_queue.start()
    new_queue.stop()
    drop = new_queue.home / "queue/drop"
    secret = new_queue.folder / "secret"
    content = MESSAGE + ENVELOPE
    footer = b"pennypost drop 1 %020d %010d %010d" % (len(MESSAGE), len(ENVELOPE), 7)
    secret.write_bytes(content + footer.ljust(63) + b"\n")
    os.link(secret, drop / "hardlink")
    (drop / "symlink").symlink_to(secret)
    os.mkfifo(drop / "fifo")
    (drop / "folder").mkdir()
    (drop / "empty").write_bytes(b"")
    (drop / "garbage").write_bytes(os.urandom(5000))
    (drop / "cut").write_bytes(content[1:] + footer.ljust(63) + b"\n")
    bad_envelope = content.replace(b"\0T", b"\0X")
    (drop / "wrong").write_bytes(bad_envelope + footer.ljust(63) + b"\n")
    (drop / "x\ny").write_bytes(b"")
    (drop / ".hidden").write_bytes(b"")
    (drop / "good").write_bytes(content + footer.ljust(63) + b"\n")
    (drop / "good").chmod(0o644)
    os.chown(drop / "good", STRANGER, STRANGER)
    new_queue.start()
    wait_for(lambda: len(list(drop.iterdir())) == 2, f"queue/drop to be cleared\n{new_queue.log()}")
    assert {p.name for p in drop.iterdir()} == {"folder", ".hidden"}
    files = new_queue.files()
    assert len(files) == 1 and parse(files[0])[1]["U"] == [str(STRANGER)]
    assert {p.name for p in (new_queue.home / "queue/bad").iterdir()} == {
        "drop-" + name for name in
        ("hardlink", "symlink", "fifo", "empty", "garbage", "cut", "wrong", "x\ny")}
    assert "drop/x_y\n" in new_queue.log()
    assert secret.exists()
    new_queue.works()


# -- what clients hand over -----------------------------------------------------------------


def test_descriptors_that_could_block_are_refused(queue):
    """A pipe, a FIFO, a socket, a device, a kernel file: 54 at once, and the next client is served."""
    reader, writer = os.pipe()
    pair = socket.socketpair()
    os.mkfifo(queue.folder / "fifo")
    fds = [reader, pair[0].fileno(), os.open(queue.folder / "fifo", os.O_RDWR),
           os.open("/dev/zero", os.O_RDONLY), os.open("/proc/self/status", os.O_RDONLY),
           os.open("/", os.O_RDONLY), os.open("/", os.O_PATH)]
    client = queue.client()
    for fd in fds:
        client.descriptor(fd, 10)
        assert client.answer()[0] == "54"
    client.message()
    assert client.answer()[0] == "0"
    os.close(writer)
    for fd in fds[2:] + [reader]:
        os.close(fd)
    assert len(queue.files()) == 1


def test_descriptors_of_files_are_taken(queue):
    """Sealed or not, in memory or on a disk: what is copied is what is checked."""
    on_disk = queue.folder / "file"
    on_disk.write_bytes(MESSAGE + ENVELOPE)
    client = queue.client()
    for fd in (memory_file(MESSAGE + ENVELOPE), os.open(on_disk, os.O_RDONLY)):
        client.descriptor(fd, len(MESSAGE))
        message, _ = parse(queue.file_of(client.answer()))
        assert message.endswith(MESSAGE)
        os.close(fd)
    write_only = os.open(on_disk, os.O_WRONLY)
    client.descriptor(write_only, len(MESSAGE))
    assert client.answer()[0] == "54"
    os.close(write_only)


@pytest.mark.parametrize("place", ["memory", "disk"])
def test_a_file_that_shrinks(queue, place):
    """54, and nothing is left."""
    client = queue.client()
    if place == "memory":
        fd = memory_file(b"x" * 1000)
        os.ftruncate(fd, 999)
        client.descriptor(fd, 1000 - len(ENVELOPE))
    else:
        fd = os.open(queue.folder / "sparse", os.O_RDWR | os.O_CREAT)
        os.ftruncate(fd, 2**28)
        client.descriptor(fd, 2**28 - len(ENVELOPE))
        os.ftruncate(fd, 2**20)
    assert client.answer()[0] == "54"
    os.close(fd)
    assert not queue.files()
    queue.works()


def copier(queue, helpers):
    """The process that copies a large message, once it is there."""
    found = [pid for pid in queue.children() if pid not in helpers]
    return found[0] if found else None


def test_a_large_message_delays_nobody(queue):
    """While a large message is being copied (its copier even stands still), others are queued."""
    helpers = queue.children()
    fd = os.open(queue.folder / "large", os.O_RDWR | os.O_CREAT)
    os.ftruncate(fd, 2**28)
    os.pwrite(fd, ENVELOPE, 2**28)
    large = queue.client()
    large.descriptor(fd, 2**28)
    os.close(fd)
    pid = wait_for(lambda: copier(queue, helpers), "a copier")
    os.kill(pid, signal.SIGSTOP)
    for _ in range(20):
        queue.works()
    os.kill(pid, signal.SIGCONT)
    path = queue.file_of(large.answer())
    assert path.stat().st_size > 2**28
    path.unlink()


def test_a_copier_that_dies(queue):
    """53, and nothing is left."""
    helpers = queue.children()
    with open(queue.folder / "large", "w+b") as file:
        file.truncate(2**28)
        client = queue.client()
        client.descriptor(file.fileno(), 2**28 - len(ENVELOPE))
        os.kill(wait_for(lambda: copier(queue, helpers), "a copier"), signal.SIGKILL)
    assert client.answer()[0] == "53"
    assert not queue.files()
    queue.works()


def test_a_wrong_envelope_behind_a_large_message(queue):
    """What turns out wrong at the end of a copy is taken away again."""
    client = queue.client()
    with open(queue.folder / "large", "w+b") as file:
        file.truncate(2**23)
        for envelope, code in ((b"Fa\0X\0\0", "91"), (b"F" + b"a" * 1003 + b"\0\0", "11")):
            os.pwrite(file.fileno(), envelope, 2**23)
            file.truncate(2**23 + len(envelope))
            client.descriptor(file.fileno(), 2**23, len(envelope))
            assert client.answer()[0] == code
    assert not queue.files()


def test_a_client_that_goes_away(queue):
    """Its request was complete: the message is queued; and nobody else notices."""
    for _ in range(3):
        client = queue.client()
        client.message()
        client.close()
    client = queue.client()
    with open(queue.folder / "large", "w+b") as file:
        file.truncate(2**23)
        os.pwrite(file.fileno(), ENVELOPE, 2**23)
        client.descriptor(file.fileno(), 2**23)
        client.close()
    wait_for(lambda: len(queue.files()) == 4, "the messages")
    queue.works()


def test_nonsense_is_refused_and_the_connection_stays(queue):
    """Whatever a packet holds, the answer is 91 (or 11), and qmail-queued goes on."""
    client = queue.client()
    content = MESSAGE + ENVELOPE
    size, rest = len(MESSAGE), len(ENVELOPE)
    for strings in (["queue"], ["queue", size], ["queue", size, "x"], ["queue", -1, rest],
                    ["queue", size + 1, rest], ["queue", size - 1, rest + 1],
                    ["queue", 2**64 - 1, rest], ["queue", 2**64 + size, rest],
                    ["queue", size, 2**63], ["drop", size, rest, 0, 1], ["settled"], ["x" * 9000]):
        client.send(*strings, body=content)
        assert client.answer()[0] == "91", strings
    for packet in (b"x", b"\xff\xff\xff\xff", struct.pack("=I", 3) + b"abc", os.urandom(500)):
        client.raw(packet)
        assert client.answer()[0] == "91"
    client.send("queue", size, rest, body=content, fds=[0])
    assert client.answer()[0] == "91"
    client.send("queue", size, rest, fds=[0, 0])
    assert client.answer()[0] == "91"
    client.send("queue", 0, 1006, body=b"F" + b"a" * 1003 + b"\0\0")
    assert client.answer()[0] == "11"
    client.message()
    assert client.answer()[0] == "0"
    assert len(queue.files()) == 1


def test_two_requests_without_waiting(queue):
    """A client that does not wait for its answer hurts itself at most; a patient one gets each answer."""
    client = queue.client()
    for _ in range(5):
        client.message()
    client.socket.settimeout(1)
    first = client.answer()
    assert first[0] == "0"
    queue.works()


def test_many_clients_at_the_same_time(queue):
    """200 clients, 5 messages each: all get an id of their own, every file is sound."""
    clients = [queue.client() for _ in range(200)]
    ids = set()
    for round_number in range(5):
        for client in clients:
            client.message(b"%d\n" % round_number)
        for client in clients:
            answer = client.answer()
            assert answer[0] == "0"
            ids.add(answer[1])
    assert len(ids) == 1000
    assert {p.name for p in queue.files()} == ids
    for path in queue.files()[::50]:
        parse(path)


def test_more_clients_than_places(new_queue):
    """Further clients wait until one leaves."""
    new_queue.start("-c", "3")
    clients = [new_queue.client() for _ in range(12)]
    for client in clients:
        client.message()
    for client in clients:
        assert client.answer()[0] == "0"
        client.close()
    new_queue.works()


def test_an_ordinary_user_cannot_take_all_places(new_queue):
    """A stranger who holds connections open leaves places for others."""
    new_queue.start("-c", "8")
    script = ("import socket,sys,time\n"
              "held = []\n"
              "for _ in range(20):\n"
              "  s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect(sys.argv[1])\n"
              "  held.append(s)\n"
              "print(1, flush=True); time.sleep(600)\n")
    child = subprocess.Popen(
        ["/usr/bin/python3", "-c", script, str(new_queue.home / "queue/inject")],
        stdout=subprocess.PIPE, user=STRANGER, group=STRANGER, extra_groups=[])
    child.stdout.read(1)
    new_queue.works()
    child.kill()
    child.wait()
    child.stdout.close()


def test_few_descriptors(new_queue):
    """With a low limit there are fewer places, and no turning in circles."""
    new_queue.start(limit=170)
    clients = [new_queue.client() for _ in range(30)]
    for client in clients:
        client.message()
    for client in clients:
        assert client.answer()[0] == "0"
        client.close()
    assert len(new_queue.files()) == 30


def test_no_descriptor_for_a_new_client(queue):
    """Out of descriptors qmail-queued does not turn in circles, serves whom it has, and recovers."""
    old = queue.client()
    old.message()
    assert old.answer()[0] == "0"
    trace = queue.folder / "trace"
    with Injected(queue.process.pid, "accept4", error="EMFILE", trace=trace):
        new = queue.client()
        new.message()
        wait_for(lambda: trace.read_text().count("accept4(") >= 3, "three attempts")
        old.message()
        assert old.answer()[0] == "0"
        calls = re.findall(r"^(accept4|epoll_p?wait.* = 0$)", trace.read_text(), re.M)
        failed = [i for i, call in enumerate(calls[:-1]) if call == "accept4"]
        assert failed and all(calls[i + 1] != "accept4" for i in failed)  # a wait between two
    assert new.answer()[0] == "0"


# -- the disk -------------------------------------------------------------------------------


def test_disk_full(new_queue):
    """53 for what does not fit, nothing is left of it, and smaller messages go on."""
    new_queue.mount("1m")
    new_queue.start()
    client = new_queue.client()
    fd = memory_file(b"x" * 1900000 + ENVELOPE)
    client.descriptor(fd, 1900000)
    assert client.answer()[0] == "53"
    os.close(fd)
    assert not new_queue.files()
    assert "No space left on device" in new_queue.log()
    assert new_queue.qmail_queue(b"x" * 5000000) == 53
    assert not new_queue.files()
    codes = set()
    for _ in range(300):
        client.message(b"x" * 10000)
        codes.add(client.answer()[0])
    assert codes == {"0", "53"}
    for path in new_queue.files():
        parse(path)
        path.unlink()
    new_queue.works()


@pytest.mark.parametrize("call, error, code", [
    ("openat", "EROFS", "53"), ("openat", "EDQUOT", "53"), ("openat", "EMFILE", "53"),
    ("openat", "ENOENT", "64"), ("openat", "EACCES", "64"), ("openat", "ENOMEM", "51"),
    ("writev", "ENOSPC", "53"), ("writev", "EIO", "53"), ("flock", "ENOLCK", "53")])
def test_errors_of_the_file_system(queue, call, error, code):
    """Each gives its code, leaves nothing, and is over when the cause is over."""
    client = queue.client()
    with Injected(queue.process.pid, call, error=error):
        client.message()
        assert client.answer()[0] == code
    assert not queue.files()
    client.message()
    assert client.answer()[0] == "0"


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_a_flush_that_fails(queue, error):
    """Promise: everyone whom the flush covered gets 53, nothing of it stays, and the log says so."""
    clients = [queue.client() for _ in range(30)]
    with Injected(queue.flusher(), "fsync", "syncfs", error=error):
        for client in clients:
            client.message()
        assert {client.answer()[0] for client in clients} == {"53"}
    assert not queue.files()
    refused = re.findall(r"flush failed; messages refused: (\d+): ", queue.log())
    assert sum(map(int, refused)) == 30
    for client in clients:
        client.message()
    assert {client.answer()[0] for client in clients} == {"0"}


def test_only_syncfs_fails(queue):
    """The batch is refused although each lone fsync would go well."""
    clients = [queue.client() for _ in range(30)]
    codes = set()
    with Injected(queue.flusher(), "syncfs", error="EIO"):
        os.kill(queue.flusher(), signal.SIGSTOP)
        for client in clients:
            client.message()
        os.kill(queue.flusher(), signal.SIGCONT)
        codes = {client.answer()[0] for client in clients}
    assert "53" in codes
    accepted = len(queue.files())
    assert accepted < 30


def test_the_flusher_dies(queue):
    """Nobody is told "queued"; qmail-queued ends with 111, to be started again."""
    client = queue.client()
    os.kill(queue.flusher(), signal.SIGSTOP)
    client.message()
    wait_for(queue.files, "the file")
    os.kill(queue.flusher(), signal.SIGKILL)
    assert client.answer() == []
    assert queue.process.wait(PATIENCE) == 111
    queue.process = None
    queue.start().works()


# -- start and end --------------------------------------------------------------------------


def test_torn_files_are_set_aside(new_queue):
    """Files that a crash tore go to queue/bad; sound, locked, and settled ones stay."""
    new_queue.start()
    new_queue.works()
    good = new_queue.files()[0]
    new_queue.stop()
    data = good.read_bytes()
    number = int(good.name) + 1000000

    def put(content):
        nonlocal number
        number += 1
        path = new_queue.home / f"queue/mess/{(number >> 24) % 23}/{number}"
        path.write_bytes(content)
        os.chown(path, OWNER, OWNER)
        return path

    torn = [put(data[:-1]), put(data[:100]), put(b""), put(b"\0" * len(data)),
            put(data.replace(b"hello", b"jello"))]
    sound = [good, put(data), put(data.replace(b"\0Tyou", b"\0Dyou"))]
    foreign = new_queue.home / "queue/mess/0/README"
    foreign.write_bytes(b"")
    settled = new_queue.home / "queue/mess/0/17"
    settled.write_bytes(b"from long ago")
    locked = put(b"being written")
    fd = os.open(locked, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    (new_queue.home / "queue/lock-queued").write_bytes(b"%020d\n" % 1000)
    time.sleep(1.1)  # ids are times: those above lie a second in the future
    new_queue.start()
    new_queue.works()
    wait_for(lambda: len(new_queue.files("bad")) == len(torn), f"queue/bad\n{new_queue.log()}")
    assert {p.name for p in new_queue.files("bad")} == {p.name for p in torn}
    for path in [*sound, foreign, settled, locked]:
        assert path.exists()
    assert new_queue.log().count("set aside in queue/bad") == len(torn)
    os.close(fd)


def test_killed_under_load(new_queue):
    """Promise: after SIGKILL of every process, what was answered with 0 is there, whole."""
    accepted = set()
    for _ in range(3):
        new_queue.start()
        clients = [new_queue.client() for _ in range(50)]
        for client in clients:
            client.message()
        for client in clients[:25]:
            answer = client.answer()
            assert answer[0] == "0"
            accepted.add(answer[1])
            client.message()
        for pid in [new_queue.process.pid, *new_queue.children()]:
            os.kill(pid, signal.SIGKILL)
        for client in clients:
            try:
                while answer := client.answer():
                    accepted.add(answer[1])
            except ConnectionError:
                pass
            client.close()
        new_queue.process.wait()
        new_queue.process = None
    new_queue.start().works()
    names = {p.name for p in new_queue.files()}
    assert accepted <= names
    for path in new_queue.files():
        if path.name in accepted:
            parse(path)


def test_one_queue_one_qmail_queued(queue):
    """A second one dies with 111 and says why; the first goes on."""
    done = subprocess.run([str(queue.programs / "bin/qmail-queued")], env=queue.env, user=OWNER,
                          group=OWNER, extra_groups=[], capture_output=True, text=True,
                          timeout=PATIENCE, check=False)
    assert done.returncode == 111
    assert "another qmail-queued" in done.stderr
    queue.works()


def test_usage(queue):
    """Wrong options: 100 and one line."""
    for argv in (["-x"], ["x"], ["-c", "0"], ["-d"], ["-c", "many"]):
        done = subprocess.run([str(queue.programs / "bin/qmail-queued"), *argv], env=queue.env,
                              capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 100 and done.stderr.startswith("qmail-queued: usage: ")


def test_TERM_finishes_what_is_in_hand(queue):
    """What has been written is flushed and answered before the end; the exit code is 0."""
    flusher = queue.flusher()
    clients = [queue.client() for _ in range(10)]
    idle = queue.client()
    os.kill(flusher, signal.SIGSTOP)
    for client in clients:
        client.message()
    wait_for(lambda: len(queue.files()) == 10, "the files")
    queue.process.send_signal(signal.SIGTERM)
    os.kill(flusher, signal.SIGCONT)
    for client in clients:
        assert parse(queue.file_of(client.answer()))
    assert queue.stop() == 0
    assert idle.answer() == []


def test_the_scheduler_hears_of_new_messages(queue):
    """Their ids come as datagrams at queue/trigger, when the files are safe."""
    wait_for((queue.home / "queue/lock-queued").read_bytes, "the end of the verification")
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.settimeout(PATIENCE)
    receiver.bind(str(queue.home / "queue/trigger"))
    os.chmod(queue.home / "queue/trigger", 0o777)
    client = queue.client()
    for _ in range(3):
        client.message()
        answer = client.answer()
        assert receiver.recv(4096) == answer[1].encode() + b"\n"
    receiver.close()


def test_the_received_line_knows_the_accounts(programs, make_instance):
    """qmaild is "from network", alias "by alias", qmailq "for bounce", others "by uid"."""
    one = make_instance(start=False)
    one.start()
    names = {"qmaild": "from network", "alias": "by alias", "qmailq": "for bounce"}
    accounts = {}
    table = one.home / "control/accounts"
    if table.exists():
        accounts = dict(line.split(":", 1) for line in table.read_text().split() if ":" in line)
    one.run("s6-svc", "-d", "-wD", one.home / "service/qmail-send")
    fake = Queue(programs)
    fake.home, fake.env = one.home, one.env
    for name, words in names.items():
        uid = pwd.getpwnam(accounts.get(name, name)).pw_uid
        before = set(fake.files())
        assert fake.qmail_queue(uid=uid) == 0
        path = (set(fake.files()) - before).pop()
        assert f" invoked {words}); ".encode() in path.read_bytes()
    remove_tree(fake.folder)
