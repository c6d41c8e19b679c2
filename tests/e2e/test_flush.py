"""control/flush: how qmail-queued makes messages safe; and what qmail-send does for what it notes."""
import re
import subprocess
from contextlib import contextmanager

import pytest

from conftest import run, wait_for
from processes import tracer_of

MESSAGES = 200


def load(one):
    run("smtp-source", "-d", "-s", "20", "-m", str(MESSAGES), "-f", "s@remote.example", "-t",
        f"alice@{one.host}", f"{one.ip}:{one.port}")


@contextmanager
def traced(one, trace, program="qmail-queued", calls="fsync,fdatasync,syncfs,io_setup,io_submit"):
    """These calls of a program and its helpers go into the file `trace`."""
    pids = [option for pid in one.processes(program) for option in ("-p", str(pid))]
    calls = f"trace={calls}"
    with subprocess.Popen(["strace", "-q", "-e", calls, "-o", trace, *pids], stderr=subprocess.PIPE,
                          text=True) as strace:
        wait_for(lambda: all(tracer_of(pid) == strace.pid for pid in pids[1::2]), "strace")
        yield
        strace.terminate()


def test_file_by_file_means_an_fsync_for_each_message(make_instance, tmp_path):
    """With "file" in control/flush no flush is shared, however many messages come at the same time."""
    one = make_instance(start=False)
    one.control("flush", "file")
    one.start()
    trace = tmp_path / "trace"
    with traced(one, trace):
        load(one)
        one.wait_mail("alice", MESSAGES)
    calls = trace.read_text()
    assert "syncfs" not in calls and "io_submit" not in calls
    assert calls.count("fsync(") >= MESSAGES


def test_a_lone_message_has_its_file_and_folder_flushed_at_the_same_time(make_instance, tmp_path):
    """One request for both, so that a journalling file system commits once."""
    one = make_instance()
    trace = tmp_path / "trace"
    with traced(one, trace):
        one.inject(b"Subject: alone\n\nx\n", "carol@remote.example", f"alice@{one.host}")
        one.wait_mail("alice")
    calls = trace.read_text()
    if re.search(r"io_setup\(.*\) = -1 (ENOSYS|EPERM|EAGAIN)", calls):  # any other failure is ours
        pytest.skip("no asynchronous requests here: a sandbox, or /proc/sys/fs/aio-max-nr")
    assert " = -1" not in calls, calls
    assert calls.count("io_submit(") == 1, calls
    assert calls.count("IOCB_CMD_FSYNC") == 2, calls
    assert "fsync(" not in calls and "syncfs" not in calls


def test_what_a_pass_has_done_goes_to_the_disk_at_its_end(make_instance, tmp_path):
    """Of a message that stays in the queue, who has got it is not only in memory until the kernel writes it
    back: else, after a power cut, all of them would get it once more. Nobody waits for it."""
    one = make_instance(start=False)
    one.control("smtproutes", f":{one.ip}:1")
    one.start()
    trace = tmp_path / "trace"
    with traced(one, trace, "qmail-send", "pwrite64,sync_file_range,fsync,fdatasync,syncfs"):
        one.inject(b"Subject: x\n\nx\n", "carol@remote.example", f"alice@{one.host}", "bob@dead.example")
        one.wait_mail("alice")
        wait_for(lambda: "sync_file_range" in trace.read_text(), lambda: trace.read_text() + one.tail())
    calls = trace.read_text()
    assert "SYNC_FILE_RANGE_WRITE) = 0" in calls
    assert calls.rindex("pwrite64") < calls.rindex("sync_file_range") and "fsync" not in calls
    one.wait_log(": deferral: ")


def test_a_word_without_meaning_is_not_guessed(make_instance):
    """qmail-queued says what is wrong in control/flush and exits 100."""
    one = make_instance(start=False)
    one.control("flush", "fiel")
    done = one.bin("qmail-queued", check=False)
    assert done.returncode == 100
    assert "control/flush" in done.stderr
