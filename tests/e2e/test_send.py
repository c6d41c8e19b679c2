"""qmail-send: routing, failures, dead destinations, signals."""
import socket

from send_alone import age_queue_file, message


def test_every_kind_of_recipient_gets_its_due_and_the_sender_one_bounce(alone, sink):
    """Local, virtual, forwarding, program, remote and failing recipients of one message: exactly
    the right deliveries, and one bounce that names exactly those that failed."""
    relay = sink()
    alone.control("smtproutes", f"remote.example:127.0.0.1:{relay.port}")
    alone.control("virtualdomains", "virtual.example:bob-virtual\nspecial@whole.example:carol")
    alone.dot_qmail("bob", "./Maildir/", "virtual-info")
    alone.dot_qmail("bob", "&alice@me.example", "forward")
    alone.dot_qmail("bob", f"|cat >> {alone.users['bob'][2]}/program.out", "program")
    alone.dot_qmail("bob", "|echo no such thing; exit 100", "failing")
    alone.dot_qmail("carol", "./Maildir/", "special")
    alone.start()
    alone.inject(message("mix"), "alice@me.example", "alice@me.example",
                 "info@virtual.example", "special@whole.example", "bob-forward@me.example",
                 "bob-program@me.example", "bob-failing@me.example", "nobody@virtual.example",
                 "nobody-here@me.example", "one@remote.example", "two@Remote.Example")
    mails = alone.wait_mail("alice", 3)
    alone.wait_empty()
    assert len(alone.maildir("alice")) == 3  # her copy, the forwarded one, the bounce
    assert len(alone.maildir("bob")) == 1
    assert len(alone.maildir("carol")) == 1
    assert b"Subject: mix" in (alone.users["bob"][2] / "program.out").read_bytes()
    assert [sorted(m.recipients) for m in relay.mails] == [
        ["one@remote.example", "two@Remote.Example"]], "one transaction for both"
    (bounce,) = [m for m in mails if b"failure notice" in m]
    head, _, body = bounce.partition(b"\n\n")
    assert body.startswith(b"Hi. This is the qmail-send program at me.example.\n")
    paragraphs = body.split(b"\n\n")
    failed = [p.split(b"\n")[0] for p in paragraphs if p.startswith(b"<")]
    assert sorted(failed) == [b"<bob-failing@me.example>:", b"<nobody-here@me.example>:",
                              b"<nobody@virtual.example>:"], "without the prepended user"
    assert any(p.startswith(b"---") for p in paragraphs)
    assert b"Return-Path: <alice@me.example>" in body and b"Subject: mix" in body
    assert b"To: alice@me.example" in head and b"From: MAILER-DAEMON@me.example" in head


def test_a_double_bounce_goes_to_postmaster_and_a_triple_one_is_discarded(alone):
    """A bounce that cannot be delivered goes to doublebounceto; if that fails too, only the log
    tells."""
    alone.start()
    alone.inject(message("lost"), "nobody-a@me.example", "nobody-b@me.example")
    (mail,) = alone.wait_mail("alias")
    assert b"Hi. This is the qmail-send program" in mail
    assert b"nobody-a@me.example" in mail and b"nobody-b@me.example" in mail
    alone.wait_empty()
    alone.control("doublebounceto", "nobody-c")
    alone.reload()
    alone.inject(message("lost again"), "nobody-a@me.example", "nobody-b@me.example")
    alone.wait_log("triple bounce: discarding bounce/")
    alone.wait_empty()
    assert len(alone.maildir("alias")) == 1


def test_verp_senders_are_expanded_and_their_bounces_go_to_the_list(alone, sink):
    """A sender list-@host-@[] becomes list-box=domain@host for each recipient; a local failure is
    told to list-@host."""
    relay = sink()
    alone.control("smtproutes", f"remote.example:127.0.0.1:{relay.port}")
    alone.dot_qmail("alice", "./Maildir/", "list-default")
    alone.start()
    alone.inject(message("issue 1"), "alice-list-@me.example-@[]", "one@remote.example",
                 "two@remote.example", "bob@me.example", "nobody-x@me.example")
    alone.wait_mail("alice", 1)
    alone.wait_empty()
    assert sorted((m.sender, m.recipients[0]) for m in relay.mails) == [
        ("alice-list-one=remote.example@me.example", "one@remote.example"),
        ("alice-list-two=remote.example@me.example", "two@remote.example")]
    (copy,) = alone.maildir("bob")
    assert copy.startswith(b"Return-Path: <alice-list-bob=me.example@me.example>\n")
    (bounce,) = alone.maildir("alice")
    assert b"Delivered-To: alice-list-@me.example\n" in bounce
    assert b"<nobody-x@me.example>:" in bounce


def test_a_dead_destination_costs_one_try_and_starves_nobody(alone):
    """A hundred messages for a host that does not answer: one try, then they wait; others pass."""
    alone.control("concurrencyremote", "2")
    alone.start()
    for i in range(100):
        alone.inject(message(f"dead {i}"), "alice@me.example", f"u{i}@dead.example")
    alone.inject(message("live"), "bob@remote.example", "alice@me.example")
    alone.wait_mail("alice")
    alone.wait_log("deferral:")
    alone.wait_log("new msg", count=101)
    tries = [line for line in alone.log() if line.startswith("starting") and "@dead" in line]
    assert 1 <= len(tries) <= 2
    (dead,) = alone.bin("qmail-tcpto").stdout.splitlines()
    assert dead.startswith("127.0.0.1:9 timed out ")
    assert "# recent timeouts: 1;" in dead
    alone.wait_for(lambda: len(alone.queue_files()) == 100, "the live one's end")
    # forgotten, it is tried again at once
    before = len(tries)
    alone.bin("qmail-tcpok")
    alone.wait_for(lambda: len([line for line in alone.log() if line.startswith("starting")
                                and "@dead" in line]) > before)


def test_queuelifetime_makes_the_last_temporary_failure_final(alone):
    """A message older than queuelifetime is tried once more and then returned."""
    alone.start()
    alone.inject(message("old"), "alice@me.example", "x@dead.example")
    alone.wait_log("deferral:")
    alone.run("s6-svc", "-wD", "-d", alone.home / "service/qmail-send")
    (path,) = alone.queue_files()
    age_queue_file(alone, path, 604801)
    data_header = alone.queue_files()[0].read_bytes()
    assert b"x@dead.example" in data_header
    alone.run("s6-svc", "-u", alone.home / "service/qmail-send")
    alone.wait_ready("qmail-send")
    alone.doqueue()
    (bounce,) = alone.wait_mail("alice")
    assert b"<x@dead.example>:" in bounce
    assert b"this message has been in the queue too long" in bounce
    alone.wait_empty()


def test_alrm_tries_everything_now_and_hup_reads_control_files(alone, sink):
    """ALRM does not wait for the schedule; HUP makes new routes and locals hold for old mail."""
    alone.start()
    alone.inject(message("moved"), "bob@me.example", "alice@moved.example", "x@dead.example")
    alone.wait_log("deferral:", count=2)
    relay = sink()
    alone.control("locals", "me.example\nmoved.example")
    alone.control("smtproutes", f"dead.example:127.0.0.1:{relay.port}")
    alone.reload()
    alone.doqueue()
    alone.wait_mail("alice")
    alone.wait_empty()
    assert [m.recipients for m in relay.mails] == [["x@dead.example"]]


def test_alrm_holds_for_what_is_tried_or_skipped_at_that_moment(alone, sink):
    """A recipient that is being tried when ALRM comes is tried again if that try fails; one that was
    skipped, its destination being dead, is tried when the pass over its message is over."""
    home = alone.users["bob"][2]
    alone.dot_qmail("bob", "|touch started; while test ! -e go; do sleep 0.1; done\n"
                           "|test -e second && exit 0; touch second; exit 111")
    alone.start()
    alone.inject(message("dead"), "alice@me.example", "x@dead.example")
    alone.wait_log("deferral:")
    alone.doqueue()
    alone.wait_log("deferral:", count=2)  # the next pause is of two minutes
    alone.inject(message("both"), "alice@me.example", "bob@me.example", "y@dead.example")
    alone.wait_for((home / "started").exists, "the program")
    relay = sink()
    alone.control("smtproutes", f"dead.example:127.0.0.1:{relay.port}")
    alone.reload()
    alone.doqueue()
    (home / "go").touch()
    alone.wait_empty()
    assert sorted(m.recipients[0] for m in relay.mails) == ["x@dead.example", "y@dead.example"]
    starts = [line.split()[-1] for line in alone.log() if line.startswith("starting")]
    assert starts.count("bob@me.example") == 2


def test_a_try_from_before_alrm_does_not_make_a_destination_dead(alone):
    """Who asks for a try while an older one waits in vain for an answer gets another one at once, and
    not the pause that follows a failure."""
    with socket.socket() as mute:  # nobody accepts: with its backlog full, it does not answer
        mute.bind(("127.0.0.1", 0))
        mute.listen(0)
        port = mute.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            alone.control("smtproutes", f"mute.example:127.0.0.1:{port}")
            alone.control("timeoutconnect", "2")
            alone.start()
            alone.inject(message("x"), "alice@me.example", "x@mute.example")
            alone.wait_log("deferral:")
            alone.doqueue()
            alone.wait_log("starting", count=2)
            alone.doqueue()
            alone.wait_log("starting", count=3)
    assert "(#4.4.1)" in alone.wait_log("deferral:")[0]


def test_term_finishes_the_running_deliveries(alone):
    """After TERM nothing new begins, what runs is finished and marked, and the exit code is 0."""
    alone.dot_qmail("bob", "|touch started; while test ! -e go; do sleep 0.1; done; exit 0")
    alone.start()
    home = alone.users["bob"][2]
    alone.inject(message("slow"), "alice@me.example", "bob@me.example")
    alone.wait_for((home / "started").exists, "the program")
    alone.run("s6-svc", "-d", alone.home / "service/qmail-send")
    alone.wait_log("exitasap")
    alone.inject(message("later"), "bob@me.example", "alice@me.example")
    (home / "go").touch()
    alone.wait_log("status: exiting")
    alone.wait_for(lambda: not alone.processes("qmail-send"), "the end of qmail-send")
    assert len(alone.queue_files()) == 1 and not alone.maildir("alice")
    alone.run("s6-svc", "-u", alone.home / "service/qmail-send")
    alone.wait_mail("alice")
    alone.wait_empty()


def test_limit_zero_holds_a_channel(alone):
    """concurrencylocal 0 holds local mail; after HUP with another number it goes."""
    alone.control("concurrencylocal", "0")
    alone.start()
    alone.inject(message("held"), "bob@me.example", "alice@me.example")
    alone.wait_log("info msg")
    alone.bin("qmail-qstat")
    assert not [line for line in alone.log() if line.startswith("starting")]
    alone.control("concurrencylocal", "5")
    alone.reload()
    alone.wait_mail("alice")
    alone.wait_empty()


def test_qread_and_qstat_show_the_queue(alone):
    """The operator sees senders, sizes and recipients; others are told that they may not look."""
    alone.start()
    alone.inject(message("stay"), "alice@me.example", "bob@me.example", "x@dead.example")
    alone.wait_log("deferral:")
    alone.wait_log("success:")
    lines = alone.bin("qmail-qread").stdout.splitlines()
    assert len(lines) == 3
    words = lines[0].split()
    assert words[4] == "GMT" and words[5].startswith("#") and words[7] == "<alice@me.example>"
    assert sorted(lines[1:]) == ["\tremote\tx@dead.example", "  done\tlocal\tbob@me.example"]
    assert alone.bin("qmail-qstat").stdout == (
        "messages in queue: 1\nmessages in queue but not yet preprocessed: 0\n")
    for name in ("qmail-qread", "qmail-qstat", "qmail-tcpto"):
        done = alone.bin(name, check=False, user=5001, group=5001, extra_groups=[])
        assert done.returncode == 100 and "only root" in done.stderr
    alone.stop()
    assert alone.bin("qmail-qstat").stdout.startswith("messages in queue: 1\n")


def test_a_lost_spawner_restarts_all(alone):
    """Without qmail-lspawn nothing can be delivered: qmail-send says so and ends; s6 starts all."""
    alone.start()
    alone.kill("qmail-lspawn")
    alone.wait_log("alert: oh no! lost the connection to qmail-lspawn")
    alone.wait_ready("qmail-send")
    alone.inject(message("after"), "bob@me.example", "alice@me.example")
    alone.wait_mail("alice")


def start_failing(alone):
    """Start, and a delivery to bob that fails for good when the file that is returned is there."""
    alone.dot_qmail("bob", "|touch started; while test ! -e go; do sleep 0.1; done; exit 100")
    alone.start()
    home = alone.users["bob"][2]
    alone.inject(message("fails"), "alice@me.example", "bob@me.example")
    alone.wait_for((home / "started").exists, "the program")
    return home / "go"


def test_a_failure_is_told_even_if_the_queue_was_away(alone):
    """While qmail-queued is down a bounce waits, and its message stays; then it is sent."""
    go = start_failing(alone)
    alone.run("s6-svc", "-wD", "-d", alone.home / "service/qmail-queued")
    go.touch()
    alone.wait_log("warning: trouble injecting the bounce")
    assert len(alone.queue_files()) == 1
    alone.run("s6-svc", "-u", alone.home / "service/qmail-queued")
    (bounce,) = alone.wait_mail("alice")
    assert b"<bob@me.example>:" in bounce
    alone.wait_empty()


def test_no_bounce_of_a_message_that_somebody_removed(alone):
    """Nothing can be copied into it: it would be tried for ever, and keep all others waiting each time."""
    go = start_failing(alone)
    path, = alone.queue_files()
    path.unlink()
    go.touch()
    alone.wait_log(f"warning: somebody removed msg {path.name}")
    alone.wait_log(f"end msg {path.name}")


def test_a_message_that_cannot_be_read_keeps_no_other_notice_waiting(alone):
    """The log says what is the matter with it; other bounces go on; at the next try it is told, too."""
    go = start_failing(alone)
    path, = alone.queue_files()
    whole = path.read_bytes()
    path.write_bytes(b"")  # stands for a bad disk
    go.touch()
    trouble = f"warning: trouble injecting the bounce of msg {path.name}, will try again later: "
    alone.wait_log(trouble + "unable to read the message: ")
    alone.inject(message("other"), "alice@me.example", "nobody-x@me.example")
    (bounce,) = alone.wait_mail("alice")
    assert b"<nobody-x@me.example>:" in bounce
    assert sum(trouble in line for line in alone.log()) == 1
    path.write_bytes(whole)
    alone.doqueue()
    assert any(b"<bob@me.example>:" in bounce for bounce in alone.wait_mail("alice", 2))
    alone.wait_empty()


def test_a_route_changed_by_hup_holds_for_what_waits_in_memory(alone, sink):
    """A message that waits for a slot goes where control/ says when its turn comes."""
    alone.control("concurrencyremote", "0")
    alone.start()
    alone.inject(message("one"), "bob@me.example", "x@moved.example", "y@other.example")
    alone.inject(message("two"), "bob@me.example", "z@moved.example")
    alone.wait_log("info msg", count=2)
    relay = sink()
    alone.control("locals", "me.example\nmoved.example")
    alone.control("smtproutes", f":127.0.0.1:{relay.port}")
    alone.control("concurrencyremote", "3")
    alone.dot_qmail("alias", "&alice@me.example", "default")
    alone.reload()
    alone.wait_mail("alice", 2)
    alone.wait_empty()
    assert [m.recipients for m in relay.mails] == [["y@other.example"]]


def test_a_large_message_and_a_large_list_arrive_whole(alone, sink):
    """3 MB to local and remote; 250 recipients at one destination in three transactions."""
    relay = sink()
    alone.control("smtproutes", f":127.0.0.1:{relay.port}")
    alone.start()
    body = "".join(f"{i:079}\n" for i in range(40000))
    alone.inject(message("large", body), "bob@me.example", "alice@me.example",
                 "x@remote.example")
    alone.inject(message("many"), "bob@me.example",
                 *[f"u{i}@remote.example" for i in range(250)])
    (mail,) = alone.wait_mail("alice")
    alone.wait_empty()
    assert mail.endswith(body.encode() + b"\n")
    large = [m for m in relay.mails if b"Subject: large" in m.data]
    assert len(large) == 1 and large[0].data.replace(b"\r\n", b"\n").endswith(body.encode() + b"\n")
    many = [m for m in relay.mails if b"Subject: many" in m.data]
    assert sorted(len(m.recipients) for m in many) == [50, 100, 100]
    assert len({r for m in many for r in m.recipients}) == 250
    numbers = [line.split()[2] for line in alone.log() if line.startswith("starting")]
    assert len(set(numbers)) == 252


def test_local_and_remote_recipients_of_a_message_do_not_wait_for_each_other(alone, sink):
    """A channel that is held, with more destinations of a message than may wait at a time, does not
    hold that message's recipients in the other channel."""
    relay = sink()
    routes = [f"host{i}.example:127.0.1.{i}:9" for i in range(1, 201)]
    alone.control("smtproutes", "\n".join([*routes, f":127.0.0.1:{relay.port}"]))
    alone.control("concurrencyremote", "0")
    alone.control("concurrencylocal", "5")
    alone.start()
    alone.inject(message("remote held"), "bob@me.example", "alice@me.example",
                 *[f"x@host{i}.example" for i in range(1, 201)])
    alone.wait_mail("alice")
    alone.control("concurrencyremote", "5")
    alone.control("concurrencylocal", "0")
    alone.reload()
    alone.inject(message("local held"), "bob@me.example", "x@remote.example",
                 *[f"alice-{i}@me.example" for i in range(200)])
    alone.wait_for(lambda: relay.mails, "the remote recipient's mail")
    assert len(alone.maildir("alice")) == 1


def test_hup_reads_every_control_file_anew(alone):
    """Not locals and virtualdomains only, as in qmail: bouncefrom, bouncehost, envnoathost and limits too;
    a file without sense leaves all as it was, and the log says so."""
    alone.dot_qmail("bob", "./Maildir/", "default")
    alone.start()
    for name, text in (("bouncefrom", "robot"), ("bouncehost", "b.example"), ("envnoathost", "v.example"),
                       ("virtualdomains", "v.example:bob"), ("concurrencylocal", "3"),
                       ("concurrencyremote", "4")):
        alone.control(name, text)
    alone.reload()
    alone.wait_log("status: local 0/3 remote 0/4")
    alone.inject(message("x"), "alice@me.example", "zed", "nobody-x@me.example")
    (mail,) = alone.wait_mail("bob")
    assert b"\nDelivered-To: bob-zed@v.example\n" in mail
    (bounce,) = alone.wait_mail("alice")
    assert b"\nFrom: robot@b.example\n" in bounce
    assert b"\n\nHi. This is the qmail-send program at b.example.\n" in bounce
    alone.control("bouncefrom", "other")
    alone.control("concurrencylocal", "many")
    alone.reload()
    alone.wait_log("alert: unable to reread control/concurrencylocal")
    alone.inject(message("y"), "alice@me.example", "nobody-x@me.example")
    assert b"\nFrom: robot@b.example\n" in alone.wait_mail("alice", 2)[1]


def test_who_cannot_say_that_it_is_ready_begins_anew(alone):
    """Else s6 would take it for starting for ever: 111, and nothing of it stays behind."""
    with open("/dev/full", "wb", buffering=0) as full:
        done = alone.bin("qmail-start", "./Maildir/", check=False, pass_fds=[full.fileno()],
                         env=dict(alone.env, NOTIFY_FD=str(full.fileno())))
    assert done.returncode == 111 and "unable to tell that we are ready" in done.stderr
    alone.wait_for(lambda: not alone.processes(), "the end of the spawners")
