"""qmail-queued and its clients: what they hand over, how many there are, what they do wrong."""
import os
import re
import signal
import socket
import subprocess

import pytest

from conftest import wait_for
from queue_alone import ENVELOPE, MESSAGE, STRANGER, Injected, memory_file
from queue_file import parse


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


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("uid", [0, STRANGER])
def test_a_read_that_fails_for_a_moment_is_repeated(queue, uid, nth):
    """The client has spoken, and cannot be read: it is, a moment later."""
    with Injected(queue.process.pid, "recvmsg", error=f"EAGAIN:when={nth}"):
        for _ in range(3):
            assert queue.qmail_queue(uid=uid) == 0
    assert len(queue.files()) == 3


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
    for packet in (b"x", b"\xff\xff\xff\xff", b"\3\0\0\0abc", os.urandom(500)):
        client.socket.send(packet)
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


def test_nobody_waits_for_ever_for_company_that_does_not_come(queue):
    """One is flushed and does not come back; those who came meanwhile are flushed all the same."""
    clients = [queue.client() for _ in range(20)]
    flusher = queue.flusher()
    os.kill(flusher, signal.SIGSTOP)
    try:
        clients[0].message()
        wait_for(queue.files, "the first to be in hand")
        for client in clients[1:]:
            client.message()
        wait_for(lambda: len(queue.files()) == len(clients), "the others to be written")
    finally:
        os.kill(flusher, signal.SIGCONT)
    assert [client.answer()[0] for client in clients] == ["0"] * len(clients)


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
