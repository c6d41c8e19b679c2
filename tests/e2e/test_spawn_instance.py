"""The spawners and delivery processes of whole instances."""
import os
import signal
import subprocess

import pytest

from conftest import PATIENCE, SAN, run, wait_for
from processes import tracer_of


def executed_programs(one, work):
    """Do work() while strace counts; returns how often the daemons and all their children did exec."""
    output = one.folder / "strace"
    pids = [pid for name in ("qmail-send", "qmail-lspawn", "qmail-rspawn", "qmail-queued")
            for pid in one.processes(name)]
    assert len(pids) >= 4
    argv = ["strace", "-f", "-q", "-e", "trace=execve", "-c", "-o", str(output)]
    tracer = subprocess.Popen([*argv, *[a for pid in pids for a in ("-p", str(pid))]],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: all(map(tracer_of, pids)), "strace")
    work()
    tracer.send_signal(signal.SIGINT)
    tracer.wait(PATIENCE)
    rows = [line.split() for line in output.read_text().splitlines() if "execve" in line]
    return int(rows[0][3]) if rows else 0


@pytest.mark.skipif(bool(SAN), reason="strace and the leak check are both ptrace")
def test_under_load_no_program_is_started_per_message(make_instance):
    """500 local and 200 remote messages cost some execs of delivery processes, not one each."""
    one = make_instance(start=False, ip="127.0.0.5")
    one.control("smtproutes", "sink.example:127.0.0.2:2525")
    one.start()
    sink = subprocess.Popen(["smtp-sink", "-u", "nobody", "127.0.0.2:2525", "100"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        def work():
            run("smtp-source", "-d", "-s", "10", "-m", "500", "-l", "2000", "-f", "alice@me.example",
                "-t", "alice@me.example", f"{one.ip}:{one.port}")
            for number in range(200):
                one.inject(b"Subject: %d\n\nx\n" % number, "alice@me.example", "x@sink.example")
            one.wait_mail("alice", 500)
            one.wait_log(": success: ", count=700)
        assert executed_programs(one, work) <= 25
    finally:
        sink.kill()
        sink.wait()


def test_files_belong_to_the_user_of_the_mailbox(instance):
    """Two users' messages are files owned by each, and programs run with their identity only."""
    instance.dot_qmail("bob", "./Maildir/\n|id > ~/identity; cat /proc/self/status >> identity")
    instance.inject(b"Subject: x\n\nx\n", "s@remote.example", "alice@me.example", "bob@me.example")
    for name, uid in (("alice", 5001), ("bob", 5002)):
        instance.wait_mail(name)
        files = list((instance.user_home(name) / "Maildir/new").iterdir())
        assert files and all((f.stat().st_uid, f.stat().st_gid) == (uid, uid) for f in files)
    instance.wait_empty()
    text = (instance.user_home("bob") / "identity").read_text()
    assert "Uid:\t5002\t5002\t5002\t5002" in text and "Gid:\t5002\t5002\t5002\t5002" in text
    assert "Groups:\t5002" in text


def test_a_killed_delivery_process_defers_and_the_message_arrives_later(make_instance):
    """kill -9 of qmail-local: a deferral in the log; after the next try the message is there."""
    one = make_instance(ip="127.0.0.5")
    flag = one.user_home("alice") / "go"
    one.dot_qmail("alice", "|test -e go || sleep 1000\n./Maildir/")
    one.inject(b"Subject: x\n\nx\n", "s@remote.example", "alice@me.example")
    wait_for(lambda: one.processes("sleep"), "the program of .qmail")
    flag.touch()
    os.chown(flag, 5001, 5001)
    one.kill("qmail-local")
    one.kill("sleep")
    lines = one.wait_log("deferral:")
    assert "qmail-local" in lines[0] or "crashed" in lines[0]
    one.qmailctl("flush")
    one.wait_mail("alice")
    one.wait_empty()


def test_a_single_user_delivers_to_himself_and_to_alias(single_user_instance):
    """Without root: a user of another uid in users/assign is alias's mail, ours is ours."""
    one = single_user_instance
    for part in ("new", "cur", "tmp"):
        (one.home / "mine/Maildir" / part).mkdir(parents=True)
    for path in (one.home / "mine").rglob("*"):
        os.chown(path, one.uid, one.uid)
    os.chown(one.home / "mine", one.uid, one.uid)
    one.write("users/assign", f"=me:me:{one.uid}:{one.uid}:{one.home}/mine:::\n"
                              "=boss:root:0:0:/root:::\n.\n")
    one.bin("qmail-newu")
    one.write("alias/.qmail-boss", "./Maildir/\n")
    one.inject(b"Subject: x\n\nx\n", "s@remote.example", "me@me.example", "boss@me.example")
    wait_for(lambda: list((one.home / "mine/Maildir/new").iterdir()), f"mail for me\n{one.tail()}")
    one.wait_mail("alias")
