"""queue/drop and queue/taking: a message is taken in once, whoever dies meanwhile."""
import fcntl
import os
import re
import signal
import socket
import stat
import subprocess
import time

import pytest

from conftest import PATIENCE, wait_for
from processes import tracer_of
from queue_alone import ENVELOPE, MESSAGE, OWNER, STRANGER, Injected
from queue_file import parse

FOOTER = (b"pennypost drop 1 %020d %010d %010d" % (len(MESSAGE), len(ENVELOPE), 7)).ljust(63) + b"\n"


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def put(queue, name, uid=STRANGER):
    path = queue.home / "queue" / name
    path.write_bytes(MESSAGE + ENVELOPE + FOOTER)
    os.chown(path, uid, uid)
    path.chmod(0o644)
    return path


def keeper_of(queue):
    [keeper] = set(queue.children()) - {queue.flusher()}
    return keeper


def wait_taken(queue):
    wait_for(lambda: not queue.files("drop") and not queue.files("taking"),
             f"an empty queue/drop and queue/taking\n{queue.log()}")


class Keeper:
    """qmail-queued has started, and its helper waits for the lock of queue/taking. When strace is
    attached, it goes on."""

    def __init__(self, queue, *options):
        self.queue = queue
        lock = os.open(queue.home / "queue/taking", os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        queue.start()
        self.pid = queue.children()[1]
        wait_for(lambda: any("->" in line and f" {self.pid} " in line
                             for line in read("/proc/locks").splitlines()),
                 "the helper at its lock")
        self.path = queue.folder / "trace"
        self.path.unlink(missing_ok=True)
        self.strace = subprocess.Popen(["strace", "-q", "-y", "-o", str(self.path), *options,
                                        "-p", str(self.pid)],
                                       stderr=subprocess.DEVNULL)
        wait_for(lambda: self.has_ended() or tracer_of(self.pid) == self.strace.pid, "strace")
        os.close(lock)

    def trace(self):
        return read(self.path)

    def has_ended(self):
        return self.strace.poll() is not None

    def kill_all(self):
        self.queue.stop(signal.SIGKILL)  # its helpers die with it
        self.strace.wait(PATIENCE)

    def calls(self):
        """[(name, which of the calls of this name, line)]"""
        seen, found = {}, []
        for line in self.trace().splitlines():
            match = re.match(r"([a-z0-9_]+)\(", line)
            if match:
                seen[match[1]] = seen.get(match[1], 0) + 1
                found.append((match[1], seen[match[1]], line))
        return found


def record(queue):
    """The calls by which a message is taken in, to the one that tells of it."""
    queue.start()
    queue.stop()
    assert queue.qmail_queue() == 0
    keeper = Keeper(queue)
    wait_for(lambda: "queued\\0" in keeper.trace(), f"the message in the queue\n{queue.log()}")
    keeper.kill_all()
    path, = queue.files()
    path.unlink()
    calls = keeper.calls()
    told = next(i for i, (*_, line) in enumerate(calls) if "queued\\0" in line)
    calls = calls[:told + 1]
    assert not [line for *_, line in calls if " = -1 E" in line and "ENOENT" not in line]
    return calls


def test_killed_while_a_message_is_taken_in(new_queue):
    """Promise: it is in the queue once when qmail-queued and its helper were killed at any system call."""
    for call, nth, line in record(new_queue):
        assert new_queue.qmail_queue() == 0
        keeper = Keeper(new_queue, "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={nth}")
        wait_for(keeper.has_ended, f"the death at {line}")
        keeper.kill_all()
        before = {path.name for path in new_queue.files()}
        new_queue.start()
        wait_taken(new_queue)
        path, = new_queue.files()
        assert parse(path)[1]["U"] == [str(STRANGER)], line
        assert before <= {path.name} and not new_queue.files("bad"), line
        new_queue.stop(signal.SIGKILL)
        path.unlink()


def test_each_step_begins_when_the_last_one_is_on_the_disk(new_queue):
    """Promise: no power cut takes a message, or brings one back that was delivered."""
    steps = []
    for call, _, line in record(new_queue):
        match = re.search(r"queue/((?:drop|taking|mess)[^>\"]*)", line)
        if call in ("writev", "fsync", "unlink", "rename") and match:
            steps.append((call, re.sub(r"/.+", "/*", match[1])))
        if "queued\\0" in line:
            steps.append("told")
    assert steps == [("writev", "taking/*"), ("fsync", "taking/*"), ("fsync", "taking"), ("unlink", "drop/*"),
                     ("fsync", "drop"), ("rename", "taking/*"), ("fsync", "mess/*"), "told"]


def test_a_scan_leaves_it_alone_until_it_is_on_the_disk(new_queue):
    """The file is locked as long as the flush of its folder takes; qmail-send leaves a locked one alone."""
    count = sum(call == "fsync" for call, *_ in record(new_queue))
    assert new_queue.qmail_queue() == 0
    keeper = Keeper(new_queue, "-e", "trace=fsync", "-e", f"inject=fsync:signal=STOP:when={count}")
    wait_for(new_queue.files, "the message in queue/mess")
    path, = new_queue.files()
    assert not new_queue.files("drop") and not new_queue.files("taking")
    with open(path, "rb") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    keeper.kill_all()


def test_alrm_looks_at_once(new_queue):
    """Four looks do not last four times the half minute between two, and each process may get the signal."""
    new_queue.start()
    new_queue.stop()
    put(new_queue, "drop/1")
    new_queue.start()
    wait_for(lambda: len(new_queue.files()) == 1, "the first look")
    deadline = time.monotonic() + PATIENCE
    for count in (2, 3, 4, 5):
        put(new_queue, f"drop/{count}")
        for pid in (*new_queue.children(), new_queue.process.pid):
            os.kill(pid, signal.SIGALRM)
        wait_for(lambda: len(new_queue.files()) == count, f"{count} in the queue\n{new_queue.log()}")
    assert time.monotonic() < deadline
    new_queue.works()


def test_alrm_replaces_a_helper_that_has_died(new_queue):
    """Not after a minute."""
    new_queue.start()
    flusher, keeper = new_queue.children()
    deadline = time.monotonic() + PATIENCE
    for _ in range(2):
        os.kill(keeper, signal.SIGKILL)
        wait_for(lambda: new_queue.children() == [flusher], "its end")
        put(new_queue, "drop/a")
        new_queue.process.send_signal(signal.SIGALRM)
        wait_taken(new_queue)
        flusher, keeper = new_queue.children()
    assert time.monotonic() < deadline


def test_a_helper_that_cannot_be_started_costs_no_descriptors(new_queue):
    """While nobody can fork, however often it is tried; afterwards it works again."""
    new_queue.start()
    pid = new_queue.process.pid
    keeper = keeper_of(new_queue)
    before = len(os.listdir(f"/proc/{pid}/fd"))

    def failures():
        return new_queue.log().count("has ended")
    with Injected(pid, "fork", "vfork", "clone", "clone3", error="EAGAIN"):
        os.kill(keeper, signal.SIGKILL)
        wait_for(failures, "the end of the helper")
        for _ in range(5):
            count = failures()
            os.kill(pid, signal.SIGALRM)
            wait_for(lambda: failures() > count, "a try")
        assert len(os.listdir(f"/proc/{pid}/fd")) < before
    os.kill(pid, signal.SIGALRM)
    wait_for(lambda: len(new_queue.children()) == 2, "a new helper")


def test_a_file_that_cannot_be_opened_for_a_moment_stays(new_queue):
    """Everybody may read it, and yet it cannot be opened: it waits, and the log says so. Only what its owner
    keeps from us is no message."""
    new_queue.start()
    new_queue.works()
    pid = new_queue.process.pid
    with Injected(keeper_of(new_queue), "open", "openat", error="EACCES", path="queue/drop/one"):
        file = put(new_queue, "drop/one")
        os.kill(pid, signal.SIGALRM)
        wait_for(lambda: "unable to open queue/drop/one" in new_queue.log(), "a line in the log")
    assert file.exists() and not new_queue.files("bad")
    put(new_queue, "drop/two").chmod(0o600)
    os.kill(pid, signal.SIGALRM)
    wait_taken(new_queue)
    assert [file.name for file in new_queue.files("bad")] == ["drop-two"]
    assert len(new_queue.files()) == 2


def test_what_lies_on_no_local_disk_waits_and_is_logged(new_queue):
    """A file system that could block is mounted on queue/drop: its messages stay, and each round says so;
    once they lie on the disk they are taken in."""
    new_queue.start()
    new_queue.works()
    drop = new_queue.home / "queue/drop"
    new_queue.mount_on(drop, "ramfs", "mode=1733")  # stands for a network file system: it is no tmpfs
    os.chown(drop, OWNER, OWNER)
    file = put(new_queue, "drop/one")
    new_queue.process.send_signal(signal.SIGALRM)
    wait_for(lambda: "or on no local disk: queue/drop/one" in new_queue.log(), "a line in the log")
    assert file.exists() and not new_queue.files("bad") and len(new_queue.files()) == 1
    subprocess.run(["umount", str(drop)], check=True)
    new_queue.mounted.remove(str(drop))
    put(new_queue, "drop/one")
    new_queue.process.send_signal(signal.SIGALRM)
    wait_taken(new_queue)
    assert len(new_queue.files()) == 2


def test_a_helper_whose_word_cannot_be_read_at_once_is_heard(new_queue):
    """The helper asks for an id, and waits: a read that fails for a moment is repeated."""
    new_queue.start()
    new_queue.works()
    put(new_queue, "drop/one")
    with Injected(new_queue.process.pid, "recvmsg", error="EAGAIN:when=1"):
        os.kill(new_queue.process.pid, signal.SIGALRM)
        wait_taken(new_queue)
    assert len(new_queue.files()) == 2


def test_what_the_helper_could_not_tell_of_is_scanned_for(new_queue):
    """The helper dies when the message is in queue/mess, before it says so: qmail-send is asked to look."""
    call, nth, _ = record(new_queue)[-1]
    assert new_queue.qmail_queue() == 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as trigger:
        trigger.settimeout(PATIENCE / 2)  # another helper would ask for a scan, too, in a minute
        path = new_queue.home / "queue/trigger"
        trigger.bind(str(path))
        os.chown(path, OWNER, OWNER)
        Keeper(new_queue, "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={nth}")
        assert [trigger.recv(100) for _ in range(2)] == [b"scan", b"scan"]  # at start, and then
    assert len(new_queue.files()) == 1


def test_what_has_an_id_keeps_it(new_queue):
    """Gone from queue/drop and not yet in queue/mess: it comes with its id, so a Maildir knows it."""
    new_queue.start()
    new_queue.works()
    first, = new_queue.files()
    new_queue.stop()
    number = int(first.name) - 60_000_000
    first.rename(new_queue.home / f"queue/taking/{number}.name")
    new_queue.start()
    wait_taken(new_queue)
    path, = new_queue.files()
    assert path.name == str(number)
    parse(path)


def test_a_stranger_names_no_id(new_queue):
    """A name in queue/drop that looks like one of queue/taking means nothing; that folder is ours alone."""
    new_queue.start()
    assert stat.S_IMODE((new_queue.home / "queue/taking").stat().st_mode) == 0o700
    new_queue.works()
    victim, = new_queue.files()
    new_queue.stop()
    for name in (victim.name, victim.name + ".name", "1000000", "1000000.name"):
        put(new_queue, "drop/" + name)
    new_queue.start()
    wait_taken(new_queue)
    names = {path.name for path in new_queue.files()}
    assert len(names) == 5 and victim.name in names and "1000000" not in names
