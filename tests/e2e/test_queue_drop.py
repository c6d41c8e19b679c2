"""queue/drop and queue/taking: a message is taken in once, whoever dies meanwhile."""
import os
import signal
import stat

import pytest

from conftest import PATIENCE, wait_for
from queue_alone import ENVELOPE, MESSAGE, OWNER, STRANGER, new_queue, parse  # noqa: F401  (fixtures)

FOOTER = (b"pennypost drop 1 %020d %010d %010d" % (len(MESSAGE), len(ENVELOPE), 7)).ljust(63) + b"\n"


def put(queue, name, uid=STRANGER):
    path = queue.home / "queue" / name
    path.write_bytes(MESSAGE + ENVELOPE + FOOTER)
    os.chown(path, uid, uid)
    path.chmod(0o644)
    return path


def wait_taken(queue):
    wait_for(lambda: not queue.files("drop") and not queue.files("taking"),
             f"an empty queue/drop and queue/taking\n{queue.log()}")


def has_gone(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def die_at(queue, call, nth):
    """Start qmail-queued, kill the first of its processes that comes to this call, then the others."""
    trace = queue.folder / f"trace.{call}.{nth}"
    trace.touch()
    os.chown(trace, OWNER, OWNER)
    queue.start(wrapper=["strace", "-f", "-q", "-o", str(trace), "-e", f"trace={call}",
                         "-e", f"inject={call}:signal=KILL:when={nth}"])
    wait_for(lambda: "killed by SIGKILL" in trace.read_text(), f"the death at {call} {nth}")
    for pid in queue.children():  # the child of strace is qmail-queued
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    queue.process.wait(PATIENCE)
    queue.process = None


@pytest.mark.parametrize("call, nth", [
    ("rename", 1), ("fsync", 1), ("fsync", 2), ("writev", 1), ("unlink", 2), ("sendto", 1),
    ("sendmsg", 1), ("sendmsg", 2), ("sendmsg", 3)])
def test_killed_while_a_message_is_taken_in(new_queue, call, nth):
    """Promise: it is in the queue once, under one id, when qmail-queued or a helper was killed."""
    new_queue.start()
    new_queue.stop()
    assert new_queue.qmail_queue() == 0
    die_at(new_queue, call, nth)
    before = {p.name for p in new_queue.files() if p.stat().st_size > len(MESSAGE)}
    new_queue.start()
    wait_taken(new_queue)
    path, = new_queue.files()
    assert parse(path)[1]["U"] == [str(STRANGER)]
    assert before <= {path.name}
    assert new_queue.stop() == 0
    new_queue.start().works()
    assert len(new_queue.files()) == 2


def test_what_has_an_id_keeps_it(new_queue):
    """Not in queue/mess, or there by halves: handed over under the same id, older than all that is settled."""
    new_queue.start()
    new_queue.works()
    other = new_queue.files()[0]
    new_queue.stop()
    missing, torn = int(other.name) - 5000000, int(other.name) - 6000000
    for number in (missing, torn):
        put(new_queue, f"taking/{number}")
    path = new_queue.home / f"queue/mess/{(torn >> 24) % 23}/{torn}"
    path.write_bytes(other.read_bytes()[:-20])
    os.chown(path, OWNER, OWNER)
    (new_queue.home / "queue/lock-queued").write_bytes(b"%020d\n" % int(other.name))
    new_queue.start()
    wait_taken(new_queue)
    assert {int(p.name) for p in new_queue.files()} == {int(other.name), missing, torn}
    for found in new_queue.files():
        parse(found)
    assert parse(path)[1]["U"] == [str(STRANGER)]
    assert [p.name for p in new_queue.files("bad")] == [str(torn)]


def test_what_is_in_the_queue_already_is_not_taken_again(new_queue):
    """A sound copy under that id is the message: it stays as it is."""
    new_queue.start()
    new_queue.works()
    path = new_queue.files()[0]
    new_queue.stop()
    content = path.read_bytes()
    put(new_queue, f"taking/{path.name}")
    new_queue.start()
    wait_taken(new_queue)
    assert new_queue.files() == [path] and path.read_bytes() == content
    assert not new_queue.files("bad")


def test_a_stranger_names_no_id(new_queue):
    """A number as a name in queue/drop means nothing; queue/taking is ours alone."""
    new_queue.start()
    assert stat.S_IMODE((new_queue.home / "queue/taking").stat().st_mode) == 0o700
    new_queue.works()
    victim = new_queue.files()[0]
    new_queue.stop()
    put(new_queue, f"drop/{victim.name}")
    put(new_queue, "drop/1000000")
    new_queue.start()
    wait_taken(new_queue)
    names = {p.name for p in new_queue.files()}
    assert len(names) == 3 and victim.name in names and "1000000" not in names
