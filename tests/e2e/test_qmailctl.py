"""qmailctl: each verb does what qmailctl(8) says."""
import re
import time

from conftest import PATIENCE
from processes import fields_of


def states(one):
    """Service -> first word of its state."""
    text = one.qmailctl("stat").stdout
    return dict(re.findall(r"^(qmail-\w+): (\w+)", text, re.M))


def test_stat_shows_services_and_queue(instance):
    """stat: one line for each service, then qmail-qstat."""
    assert states(instance) == {"qmail-queued": "up", "qmail-send": "up", "qmail-smtpd": "up"}
    assert "messages in queue: " in instance.qmailctl("stat").stdout


def test_stop_and_start(instance):
    """stop brings every service down and leaves it there; start brings it back, ready."""
    instance.qmailctl("stop")
    assert set(states(instance).values()) == {"down"}
    instance.qmailctl("start")
    assert set(states(instance).values()) == {"up"}
    instance.swaks()
    instance.wait_mail("alice")


def test_restart_gives_new_processes(instance):
    """restart: every daemon is a new process afterwards."""
    before = set(instance.processes("qmail-queued") + instance.processes("qmail-send")
                 + instance.processes("tcpserver"))
    instance.qmailctl("restart")
    after = set(instance.processes("qmail-queued") + instance.processes("qmail-send")
                + instance.processes("tcpserver"))
    assert before and after and not before & after


def test_queue_lists_a_message_and_doqueue_tries_it(instance):
    """A deferred message is in `queue`; doqueue (flush, alrm) tries it at once."""
    instance.dot_qmail("bob", "|exit 111")
    instance.swaks(to="bob@{host}")
    instance.wait_log("deferral")
    text = instance.qmailctl("queue").stdout
    assert "bob@me.example" in text and "messages in queue: 1" in text
    instance.dot_qmail("bob", "./Maildir/")
    instance.qmailctl("flush")
    instance.wait_mail("bob")
    instance.wait_empty()


def test_doqueue_waits_for_the_start_and_tells_when_there_is_none(make_instance):
    """A qmail-send that is just being started is not ended by the signal; of a stopped one it is said
    that nothing will be tried."""
    one = make_instance(ip="127.0.0.12")
    one.dot_qmail("bob", "|exit 111")
    one.inject(b"Subject: x\n\nx\n", "s@remote.example", "bob@me.example")
    one.wait_log("deferral")
    one.qmailctl("stop")
    done = one.qmailctl("doqueue", check=False)
    assert done.returncode == 111 and "qmail-send is stopped" in done.stderr
    one.dot_qmail("bob", "./Maildir/")
    run_file = one.home / "service/qmail-send/run"
    run_file.write_text(run_file.read_text().replace("\ncd ../..\n", "\ncd ../..\nforeground { sleep 1 }\n"))
    one.run("s6-svc", "-u", one.home / "service/qmail-send")
    one.wait_for(lambda: states(one)["qmail-send"] == "up", "the begin of the start")
    one.qmailctl("doqueue")
    one.wait_mail("bob")
    one.wait_empty()


def test_doqueue_looks_into_queue_drop(instance):
    """What qmail-queue has left there does not wait for qmail-queued's next look, half a minute for each."""
    inject = instance.home / "queue/inject"
    deadline = time.monotonic() + PATIENCE
    for count in (1, 2, 3, 4):
        inject.rename(inject.with_name("away"))
        instance.inject(b"Subject: dropped\n\n", "sender@remote.example", "carol@me.example")
        inject.with_name("away").rename(inject)
        instance.qmailctl("doqueue")
        instance.wait_mail("carol", count)
    assert time.monotonic() < deadline


def test_reload_makes_qmail_send_read_its_files(instance):
    """reload: a domain added to control/locals is local at once."""
    instance.control("locals", "localhost\nme.example\nnew.example")
    instance.control("rcpthosts", "localhost\nme.example\nnew.example")
    instance.wait_empty()
    count = sum("status:" in line for line in instance.log())
    instance.qmailctl("reload")
    instance.wait_log("status:", count=count + 1)
    before = len(instance.maildir("carol"))
    instance.swaks(to="carol@new.example")
    instance.wait_mail("carol", before + 1)


def test_cdb_compiles_the_rules_and_keeps_the_old_ones_on_error(instance):
    """cdb: control/tcp.smtp decides who may connect; a broken file changes nothing."""
    rules = (instance.home / "control/tcp.smtp").read_text()
    instance.control("tcp.smtp", "127.:deny\n:allow")
    instance.qmailctl("cdb")
    assert instance.swaks(check=False).returncode != 0
    instance.control("tcp.smtp", "127.:perhaps\n")
    assert instance.qmailctl("cdb", check=False).returncode == 111
    assert instance.swaks(check=False).returncode != 0
    instance.control("tcp.smtp", rules)
    instance.qmailctl("cdb")
    instance.swaks()


def test_pause_and_cont(instance):
    """pause: mail is queued and not delivered; cont goes on."""
    instance.wait_empty()
    before = len(instance.maildir("alice"))
    instance.qmailctl("pause")
    (pid,) = instance.processes("qmail-send")
    instance.wait_for(lambda: fields_of(pid, "status", "State") == ["T"], "its stop")
    instance.inject(b"Subject: paused\n\n", "s@x.example", "alice@me.example")
    assert len(instance.queue_files()) == 1
    instance.qmailctl("cont")
    instance.wait_mail("alice", before + 1)


def test_log_has_readable_times(instance):
    """log: the last lines of a service, with a date."""
    instance.wait_log("end msg")
    text = instance.qmailctl("log", "qmail-send").stdout
    assert re.search(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ .*end msg \d+$", text, re.M)


def test_a_delivery_that_takes_long_does_not_hold_up_a_restart(make_instance):
    """After GRACE seconds it is cut off, the daemon is new, and the message is tried again; down ends all."""
    one = make_instance(ip="127.0.0.10")
    one.dot_qmail("alice", "|touch started; sleep 1000")
    one.inject(b"Subject: slow\n\n", "s@x.example", "alice@me.example")
    one.wait_for(lambda: (one.user_home("alice") / "started").exists(), "the delivery")
    before = one.processes("qmail-send")
    done = one.run("env", "GRACE=1", one.home / "bin/qmailctl", "restart")
    assert "is tried again" in done.stderr
    assert not set(before) & set(one.processes("qmail-send"))
    one.wait_log("starting delivery 1: ", count=2)
    one.run("env", "GRACE=1", one.home / "bin/qmailctl", "down")
    one.wait_for(lambda: not one.processes("s6-svscan"), "the end of s6-svscan")


def test_a_service_that_is_added_is_started(make_instance):
    """A new folder in service/, by an upgrade or by hand, is found by start and restart."""
    one = make_instance(ip="127.0.0.11")
    for verb in ("start", "restart"):
        folder = one.home / "service" / f"extra-{verb}"
        folder.mkdir()
        (folder / "run").write_text("#!/usr/bin/execlineb -P\nfdmove 1 3\nforeground { echo }\n"
                                    "fdclose 1\nsleep 1000\n")
        (folder / "run").chmod(0o755)
        (folder / "notification-fd").write_text("3\n")
        one.qmailctl(verb)
        assert re.search(rf"^extra-{verb}: up", one.qmailctl("stat").stdout, re.M)


def test_strangers_are_told_at_once(instance):
    """An ordinary user gets one line, not a start of his own."""
    for verb in ("stat", "start", "restart", "doqueue"):
        done = instance.run("setpriv", "--reuid=4242", "--regid=4242", "--clear-groups",
                            instance.home / "bin/qmailctl", verb, check=False)
        assert done.returncode == 111 and "only root may do that" in done.stderr
        assert done.stderr.count("\n") == 1
    assert instance.qmailctl("log", "no-such", check=False).returncode == 111


def test_rules_for_ipv6_and_ranges(instance):
    """tcp.smtp knows 192.168.1. and 2001:db8::, not ADDRESS/BITS, which is said."""
    rules = (instance.home / "control/tcp.smtp").read_text()
    instance.control("tcp.smtp", "2001:db8::allow,X=\"1\"\n10.0-15.:deny\n:allow")
    instance.qmailctl("cdb")
    for address, verdict in (("2001:db8::5", "X=1"), ("10.7.0.1", "deny"), ("10.16.0.1", "allow")):
        done = instance.run("env", f"TCPREMOTEIP={address}", "tcprulescheck",
                            instance.home / "control/tcp.smtp.cdb", check=False)
        assert verdict in done.stdout
    instance.control("tcp.smtp", "10.0.0.0/8:deny\n:allow")
    done = instance.qmailctl("cdb", check=False)
    assert done.returncode == 111 and "ADDRESS/BITS" in done.stderr
    instance.control("tcp.smtp", rules)
    instance.qmailctl("cdb")


def test_wrong_verbs_are_refused_with_usage(instance):
    """Anything else: usage, exit 100; help explains."""
    for argv in (["nonsense"], [], ["stat", "more"]):
        done = instance.qmailctl(*argv, check=False)
        assert done.returncode == 100 and "usage" in done.stderr
    assert "doqueue" in instance.qmailctl("help").stdout


def test_down_ends_everything(make_instance):
    """down: nothing of the home runs any more, and start brings all back."""
    one = make_instance(ip="127.0.0.9")
    one.qmailctl("down")
    one.wait_for(lambda: not one.processes(), "the end of all processes")
    one.qmailctl("start")
    one.swaks()
    one.wait_mail("alice")
    one.qmailctl("down")
    one.wait_for(lambda: not one.processes(), "the end of all processes")
