"""qmail-send and its scan of queue/mess: strange files, folders that cannot be read, clocks."""
import os
import time

import pytest

from send_alone import message


def test_strange_files_in_the_queue_do_no_harm(alone):
    """Torn, foreign, hard-linked, future-dated and odd files: set aside or left, and logged."""
    alone.start()
    alone.inject(message("stay"), "alice@me.example", "x@dead.example")
    alone.wait_log("deferral:")
    alone.run("s6-svc", "-wD", "-d", alone.home / "service/qmail-send")
    (path,) = alone.queue_files()
    mess = alone.home / "queue/mess"

    def place(number):
        return mess / str((number >> 24) % 23) / str(number)

    earlier = int(path.name) - 10 ** 9  # a young file might be just in the making
    owner = (path.stat().st_uid, path.stat().st_gid)
    torn = place(earlier - 1)
    torn.write_bytes(path.read_bytes()[:-10])
    flipped = place(earlier - 2)
    flipped.write_bytes(b"X" + path.read_bytes()[1:])
    empty = place(earlier - 3)
    empty.touch()
    os.mkfifo(place(earlier - 4))
    place(earlier - 5).symlink_to("/etc/passwd")
    place(earlier - 6).mkdir()
    foreign = mess / "3" / "notes.txt"
    foreign.write_text("x")
    zeros = path.parent / ("0" + path.name)
    zeros.write_text("x")
    wrong = mess / str(((int(path.name) >> 24) + 1) % 23) / path.name
    wrong.write_text("x")
    linked = place(earlier - 7)
    linked.write_bytes(path.read_bytes())
    os.link(linked, alone.home / "queue/linked")
    future = place((int(time.time()) + 10 ** 8) * 1000000)
    future.write_bytes(path.read_bytes().replace(b"x@dead", b"x@DEAD"))
    for one in (torn, flipped, empty, linked, future):
        os.chown(one, *owner)
    alone.run("s6-svc", "-u", alone.home / "service/qmail-send")
    alone.wait_ready("qmail-send")
    alone.wait_log("moved to queue/bad", count=6)
    alone.wait_log("left alone", count=3)
    alone.wait_log("Too many links")
    bad = {p.name for p in (alone.home / "queue/bad").iterdir()}
    assert {torn.name, flipped.name, empty.name, future.name} <= bad
    assert linked.exists() and foreign.exists() and zeros.exists() and wrong.exists()
    alone.inject(message("new"), "bob@me.example", "alice@me.example")
    alone.wait_mail("alice")
    os.unlink(alone.home / "queue/linked")


@pytest.mark.parametrize("trouble, reason", [("linked", "Too many links"),
                                             ("unreadable", "Permission denied")])
def test_what_was_left_alone_may_be_a_message(alone, trouble, reason):
    """A snapshot made of hard links, or a wrong mode, delays a message and does not lose it."""
    alone.start()
    alone.run("s6-svc", "-wD", "-d", alone.home / "service/qmail-send")
    alone.inject(message(trouble), "bob@me.example", "alice@me.example")
    (path,) = alone.queue_files()
    copy = alone.home / "queue/copy"
    if trouble == "linked":
        os.link(path, copy)
    else:
        path.chmod(0)
    alone.run("s6-svc", "-u", alone.home / "service/qmail-send")
    alone.wait_log(reason)
    assert path.exists() and not alone.maildir("alice")
    if trouble == "linked":
        copy.unlink()
    else:
        path.chmod(0o600)
    alone.doqueue()
    alone.wait_mail("alice")
    alone.wait_empty()


def test_a_folder_that_cannot_be_read_is_read_again_soon(alone):
    """A passing trouble at start (no descriptor, no memory) delays mail by seconds, not by an interval."""
    alone.start()
    alone.run("s6-svc", "-wD", "-d", alone.home / "service/qmail-send")
    alone.inject(message("first"), "bob@me.example", "alice@me.example")
    (path,) = alone.queue_files()
    path.parent.chmod(0)
    alone.run("s6-svc", "-u", alone.home / "service/qmail-send")
    alone.wait_log(f"warning: unable to read queue/mess/{path.parent.name}: Permission denied")
    path.parent.chmod(0o700)
    alone.wait_mail("alice")
    alone.wait_empty()


def test_alrm_holds_for_a_folder_that_can_be_read_only_later(alone, sink):
    """What the scan at start could not read is tried as soon as it can, if ALRM came meanwhile."""
    alone.start()
    alone.inject(message("later"), "alice@me.example", "x@dead.example")
    alone.wait_log("deferral:")
    alone.run("s6-svc", "-wD", "-d", alone.home / "service/qmail-send")
    (path,) = alone.queue_files()
    path.parent.chmod(0)
    relay = sink()
    alone.control("smtproutes", f"dead.example:127.0.0.1:{relay.port}")
    alone.run("s6-svc", "-u", alone.home / "service/qmail-send")
    alone.wait_log("warning: unable to read queue/mess/")
    alone.doqueue()
    path.parent.chmod(0o700)
    alone.wait_empty()
    assert [m.recipients for m in relay.mails] == [["x@dead.example"]]


def test_a_message_of_a_clock_that_was_set_back_is_found_at_start(alone):
    """An id that lies a little in the future does not look like one of which the trigger will tell."""
    alone.start()
    alone.run("s6-svc", "-wD", "-d", alone.home / "service/qmail-send")
    alone.inject(message("early"), "bob@me.example", "alice@me.example")
    (path,) = alone.queue_files()
    number = time.time_ns() // 1000 + 4 * 10 ** 6
    path.rename(path.parents[1] / str((number >> 24) % 23) / str(number))
    alone.run("s6-svc", "-u", alone.home / "service/qmail-send")
    alone.wait_mail("alice")
    alone.wait_empty()
