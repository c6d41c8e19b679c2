"""control/flush: how qmail-queued makes messages safe."""
import subprocess

from conftest import run, wait_for
from processes import tracer_of

MESSAGES = 200


def load(one):
    run("smtp-source", "-d", "-s", "20", "-m", str(MESSAGES), "-f", "s@remote.example", "-t",
        f"alice@{one.host}", f"{one.ip}:{one.port}")


def test_file_by_file_means_an_fsync_for_each_message(make_instance, tmp_path):
    """With "file" in control/flush no flush is shared, however many messages come at the same time."""
    one = make_instance(start=False)
    one.control("flush", "file")
    one.start()
    trace = tmp_path / "trace"
    pids = [option for pid in one.processes("qmail-queued") for option in ("-p", str(pid))]
    with subprocess.Popen(["strace", "-q", "-e", "trace=fsync,fdatasync,syncfs", "-o", trace, *pids],
                          stderr=subprocess.PIPE, text=True) as strace:
        wait_for(lambda: all(tracer_of(pid) == strace.pid for pid in pids[1::2]), "strace")
        load(one)
        one.wait_mail("alice", MESSAGES)
        strace.terminate()
    calls = trace.read_text()
    assert "syncfs" not in calls
    assert calls.count("fsync(") >= MESSAGES


def test_a_word_without_meaning_is_not_guessed(make_instance):
    """qmail-queued says what is wrong in control/flush and exits 100."""
    one = make_instance(start=False)
    one.control("flush", "fiel")
    done = one.bin("qmail-queued", check=False)
    assert done.returncode == 100
    assert "control/flush" in done.stderr
