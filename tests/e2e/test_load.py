"""50 parallel sessions, 5,000 messages."""
import re
import subprocess

from conftest import PATIENCE, SAN, run, wait_for
from processes import Peak, memory_of, name_of, tracer_of

SESSIONS, MESSAGES = 50, 1000 if SAN else 5000


def pss_of(one):
    """{process name: bytes}, and their sum"""
    sizes = {}
    for pid in one.processes():
        name = name_of(pid)
        sizes[name] = sizes.get(name, 0) + memory_of(pid, "Pss")
    return sizes, sum(sizes.values())


def test_fifty_sessions_deliver_five_thousand_messages(make_instance, capsys):
    """All messages are delivered; memory of all daemons is printed."""
    one = make_instance()
    with Peak(lambda: pss_of(one)) as peak:
        run("smtp-source", "-d", "-s", SESSIONS, "-m", MESSAGES, "-l", "1024", "-f", "s@remote.example",
            "-t", "alice@me.example", f"{one.ip}:{one.port}", timeout=PATIENCE * 5)
    new = one.user_home("alice") / "Maildir/new"
    wait_for(lambda: sum(1 for _ in new.iterdir()) == MESSAGES, f"{MESSAGES} messages", PATIENCE * 3)
    one.wait_empty()
    with capsys.disabled():
        sizes = ", ".join(f"{name} {size >> 10}" for name, size in sorted(peak.sizes.items()))
        print(f"\npeak memory (PSS, KiB): {sizes}; all {peak.most >> 10}")


def test_every_queued_id_has_its_end(make_instance):
    """Each "new msg" in the log has one "end msg", also under load."""
    one = make_instance()
    run("smtp-source", "-d", "-s", "10", "-m", "200", "-f", "s@remote.example", "-t",
        "alice@me.example", f"{one.ip}:{one.port}")
    one.wait_log("end msg", count=200)
    lines = one.log()
    new = [line.split()[2] for line in lines if line.startswith("new msg ")]
    end = [line.split()[2] for line in lines if line.startswith("end msg ")]
    assert len(new) == 200 and sorted(new) == sorted(end)


def test_no_exec_per_message(make_instance, tmp_path):
    """Under load only connections cost an exec: 20 sessions with 500 messages, and the processes
    that s6 had started before, as strace counts them."""
    one = make_instance()
    trace = tmp_path / "trace"
    roots = [p for name in ("tcpserver", "qmail-queued", "qmail-send", "qmail-lspawn", "qmail-rspawn")
             for p in one.processes(name)]
    tracer = subprocess.Popen(
        ["strace", "-f", "-q", "-e", "trace=execve", "-e", "signal=none", "-o", str(trace)]
        + [word for pid in roots for word in ("-p", str(pid))], stderr=subprocess.PIPE)
    wait_for(lambda: all(map(tracer_of, roots)), "strace")
    run("smtp-source", "-d", "-s", "20", "-m", "500", "-f", "s@remote.example", "-t",
        "alice@me.example", f"{one.ip}:{one.port}", timeout=PATIENCE * 3)
    one.wait_empty()
    tracer.terminate()
    tracer.wait()
    # A line may be split: execve("..." <unfinished ...>.
    execs = [line for line in trace.read_text().splitlines() if 'execve("' in line and "= -1" not in line]
    counted = {}
    for line in execs:
        name = re.search(r'execve\("([^"]+)"', line).group(1).rpartition("/")[2]
        counted[name] = counted.get(name, 0) + 1
    assert counted.pop("qmail-smtpd") == 20
    assert counted.pop("qmail-local", 0) <= 5
    assert not counted, counted
