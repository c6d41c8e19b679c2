"""A queue with many messages that wait for a dead destination; `make bench-scale` measures more."""
import os
import signal
import sys
from pathlib import Path

import pytest
from conftest import SAN, wait_for
from processes import fields_of

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
import growth  # noqa: E402
import machine  # noqa: E402

MESSAGES = 5000 if SAN else 10000
WAITING = 1000
OPENS_AT_START = 200  # files that qmail-send opens at most before it reads the queue


@pytest.fixture(name="crowded")
def make_crowded(make_instance):
    """An instance whose queue has MESSAGES messages for a dead destination, not started."""
    one = make_instance(start=False)
    one.control("smtproutes", f"{growth.DEAD}:127.0.0.1:{growth.DEAD_PORT}")
    growth.fill_queue(one.home, MESSAGES, is_due=False)
    return one


def sender(one):
    return one.processes("qmail-send")[0]


def wait_known(one, count):
    wait_for(lambda: growth.queue_stat(one.home)[:2] == (count, 0), f"{count} known messages")


def slow_down(one):
    """From now on qmail-send takes 2 ms to open a file: the scan of a crowded queue takes seconds,
    however fast the machine is. Returns a function that ends this."""
    run_file = one.home / "service/qmail-send/run"
    last = run_file.read_text().splitlines()[-1]
    assert last.startswith("bin/qmail-start ")
    strace = (f"strace -D -I 2 -f -q -o {one.folder}/trace -e trace=openat,open "
              f"-e inject=openat,open:delay_exit=2000:when={OPENS_AT_START}+ ")
    run_file.write_text(run_file.read_text().replace(last, strace + last))

    def undo():
        for pid in one.processes("strace"):
            os.kill(pid, signal.SIGTERM)  # what it traced goes on
    return undo


def test_new_mail_arrives_while_an_old_queue_is_read(crowded):
    """A message that comes right after the start does not wait for the scan of the queue."""
    undo = slow_down(crowded)
    crowded.start()
    client = growth.load.Client(crowded.port)
    client.say(b"HELO client.example")
    client.send(f"alice@{crowded.host}")
    crowded.wait_mail("alice")
    known, unseen, _ = growth.queue_stat(crowded.home)
    client.close()
    undo()
    assert unseen or known < MESSAGES, "the mail came only when the scan was over"
    wait_known(crowded, MESSAGES)


def is_caught(pid, number):
    """Will this process not be ended by the signal? (A signalfd wants it blocked.)"""
    masks = fields_of(pid, "status", "SigBlk", "SigCgt")
    return any(int(mask or "0", 16) >> (number - 1) & 1 for mask in masks)


@pytest.mark.parametrize("known_before", [0, 50])
def test_alrm_holds_for_what_the_scan_has_still_to_find(make_instance, known_before):
    """After ALRM everything in the queue is tried, though its time has not come: also what qmail-send
    has not yet read since its start, whether the scan of the queue has begun or not."""
    one = make_instance(start=False)
    growth.fill_queue(one.home, WAITING, is_due=False, recipient=f"alice@{one.host}")
    undo = slow_down(one)
    one.start(is_ready=False)
    (pid,) = wait_for(lambda: one.processes("qmail-send"), "qmail-send")
    wait_for(lambda: is_caught(pid, signal.SIGALRM), "a handler of SIGALRM")
    if known_before:
        wait_for(lambda: growth.queue_stat(one.home)[0] >= known_before, "the begin of the scan")
    os.kill(pid, signal.SIGALRM)
    one.wait_ready()
    assert growth.queue_stat(one.home)[1], "all had been looked at when ALRM came"
    undo()
    one.wait_mail("alice", WAITING)
    one.wait_empty()
    assert sender(one) == pid


@pytest.mark.skipif(bool(SAN), reason="sanitizers need memory of their own")
@pytest.mark.parametrize("is_due", [False, True])
def test_a_queued_message_takes_at_most_100_bytes_of_memory(make_instance, is_due):
    """Also when all messages are due and stand before their destination."""
    one = make_instance()
    one.control("smtproutes", f"{growth.DEAD}:127.0.0.1:{growth.DEAD_PORT}")
    empty = machine.private_bytes(sender(one))
    one.stop()
    growth.fill_queue(one.home, MESSAGES, is_due)
    one.start()
    wait_known(one, MESSAGES)
    each = (machine.private_bytes(sender(one)) - empty) / MESSAGES
    assert each <= 100, f"{each:.0f} bytes"


def test_qstat_counts_what_is_in_the_queue(crowded):
    """qmail-qstat gives the same number when qmail-send runs and when it does not."""
    assert growth.queue_stat(crowded.home)[0] == MESSAGES
    crowded.start()
    wait_known(crowded, MESSAGES)
    crowded.stop()
    assert growth.queue_stat(crowded.home)[0] == MESSAGES


def test_the_list_of_everything_is_complete(crowded):
    """qmail-qread lists each message of a large queue once."""
    lines = crowded.bin("qmail-qread").stdout.splitlines()
    assert sum(line.strip() == f"remote\tsomebody@{growth.DEAD}" for line in lines) == MESSAGES
