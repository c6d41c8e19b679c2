"""qmail-queued and the disk: full, failing, slow to flush."""
import os
import re
import signal
import subprocess

import pytest

from conftest import PATIENCE, wait_for
from queue_alone import ENVELOPE, Injected, memory_file
from queue_file import parse


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


def test_what_was_left_waits_for_room(new_queue):
    """A message in queue/drop that does not fit stays there, the log says so, others are taken in; it is
    itself when there is room."""
    new_queue.mount("8m")
    new_queue.start()
    new_queue.stop()
    assert new_queue.qmail_queue(b"x" * 3_000_000) == 0
    large, = new_queue.files("drop")
    assert new_queue.qmail_queue() == 0
    new_queue.start()
    wait_for(new_queue.files, "the small one")
    wait_for(lambda: f"unable to take in queue/drop/{large.name}: No space left" in new_queue.log(),
             lambda: f"a line in the log\n{new_queue.log()}")
    assert new_queue.files("drop") == [large] and len(new_queue.files()) == 1
    subprocess.run(["mount", "-o", "remount,size=64m", new_queue.home / "queue"], check=True)
    new_queue.process.send_signal(signal.SIGALRM)
    wait_for(lambda: not new_queue.files("drop"), "the large one")
    assert len(new_queue.files()) == 2


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
    with Injected(queue.flusher(), "fsync", "syncfs", "io_getevents", error=error):
        for client in clients:
            client.message()
        assert {client.answer()[0] for client in clients} == {"53"}
    assert not queue.files()
    refused = re.findall(r"flush failed; messages refused: (\d+): ", queue.log())
    assert sum(map(int, refused)) == 30
    for client in clients:
        client.message()
    assert {client.answer()[0] for client in clients} == {"0"}


@pytest.mark.parametrize("nth", [1, 2, 3, 4])
def test_data_that_cannot_be_written(queue, nth):
    """Of a file and its folder, at the begin and at the end: such an error is told once, before the fsync."""
    client = queue.client()
    with Injected(queue.flusher(), "sync_file_range", error=f"EIO:when={nth}"):
        client.message()
        assert client.answer()[0] == "53"
        assert not queue.files()
        client.message()
        assert client.answer()[0] == "0"


def test_a_sandbox_without_io_getevents(queue):
    """What was requested together has failed for all one knows; the next is flushed one after the other."""
    client = queue.client()
    with Injected(queue.flusher(), "io_getevents", error="EPERM"):
        client.message()
        client.answer()
        for _ in range(3):
            client.message()
            assert client.answer()[0] == "0"


def codes_without_syncfs(queue):
    """What 30 messages at a time are answered while syncfs fails."""
    clients = [queue.client() for _ in range(30)]
    with Injected(queue.flusher(), "syncfs", error="EIO"):
        os.kill(queue.flusher(), signal.SIGSTOP)
        for client in clients:
            client.message()
        os.kill(queue.flusher(), signal.SIGCONT)
        return [client.answer()[0] for client in clients]


def test_only_syncfs_fails(new_queue):
    """The batch is refused although each lone fsync would go well."""
    new_queue.mount("64m")
    codes = codes_without_syncfs(new_queue.start())
    assert set(codes) <= {"0", "53"} and "53" in codes
    assert len(new_queue.files()) == codes.count("0")


def test_no_syncfs_where_it_tells_of_no_errors(new_queue):
    """On an overlayfs, as on FUSE and over a network, only fsync does and tells what it should."""
    new_queue.mount_overlay()
    assert set(codes_without_syncfs(new_queue.start())) == {"0"}


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
