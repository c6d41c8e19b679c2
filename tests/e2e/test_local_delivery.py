"""Local delivery through a whole instance: queue, scheduler, spawner, qmail-local."""
import os
import re
import signal

from conftest import wait_for

MESSAGE = b"From: a@b.example\nSubject: %s\n\nbody\n"


def test_a_burst_becomes_batches(make_instance):
    """100 messages to three users: each arrives or bounces once, none is left in tmp/."""
    instance = make_instance(port=2525)
    for i in range(100):
        instance.inject(MESSAGE % str(i).encode(), "carol@me.example", "alice@me.example",
                        "bob@me.example", "carol-x@me.example")
    for user in ("alice", "bob"):
        instance.wait_mail(user, 100)
        subjects = [re.search(rb"Subject: (\d+)", m)[1] for m in instance.maildir(user)]
        assert sorted(map(int, subjects)) == list(range(100))
        assert not os.listdir(instance.user_home(user) / "Maildir/tmp")
    instance.wait_empty()
    bounces = instance.maildir("carol")  # carol-x has no .qmail file
    assert len(bounces) == 100 and all(b"(#5.1.1)" in m for m in bounces)


def test_program_forward_and_mbox_in_one_file(instance):
    """One message, all kinds of lines; the forward is a message of its own."""
    instance.dot_qmail("alice", "|cat >copy; echo $RECIPIENT >recipient\n"
                       "./mbox\n./Maildir/\n&bob@me.example\n",
                       ext="mix")
    instance.inject(MESSAGE % b"mixed", "s@r.example", "alice-mix@me.example")
    [mail] = [m for m in instance.wait_mail("bob") if b"Subject: mixed" in m]
    assert mail.startswith(b"Return-Path: <s@r.example>\nDelivered-To: bob@me.example\nReceived: ")
    assert b"\nDelivered-To: alice-mix@me.example\n" in mail
    home = instance.user_home("alice")
    assert (home / "recipient").read_text() == "alice-mix@me.example\n"
    assert (home / "copy").read_bytes().endswith(MESSAGE % b"mixed")
    assert (home / "mbox").read_bytes().startswith(b"From s@r.example ")
    assert b"Subject: mixed" in instance.maildir("alice")[-1]
    [line] = instance.wait_log("did_2+1+1/qp_")
    assert re.search(r"delivery \d+: success: did_2\+1\+1/qp_\d+/", line)


def test_a_list_with_verp(instance):
    """-owner and -owner-default: each recipient sees its own sender."""
    instance.dot_qmail("carol", "bob@me.example\nalice@me.example\n", ext="list")
    instance.dot_qmail("carol", "./Maildir/\n", ext="list-owner")
    instance.dot_qmail("carol", "./Maildir/\n", ext="list-owner-default")
    instance.inject(MESSAGE % b"to the list", "s@r.example", "carol-list@me.example")
    for user in ("bob", "alice"):
        wait_for(lambda: any(b"to the list" in m for m in instance.maildir(user)), "the list's mail")
        [mail] = [m for m in instance.maildir(user) if b"to the list" in m]
        assert mail.startswith(b"Return-Path: <carol-list-owner-%s=me.example@me.example>\n" % user.encode())


def test_a_bounce_of_a_list_comes_to_the_owner(instance):
    """One recipient of the list does not exist: its bounce says which, in its address."""
    instance.dot_qmail("carol", "alice-nobody@me.example\n", ext="dead")
    instance.dot_qmail("carol", "./Maildir/\n", ext="dead-owner")
    instance.dot_qmail("carol", "|echo $DEFAULT >default\n./Maildir/\n", ext="dead-owner-default")
    instance.inject(MESSAGE % b"to the dead", "s@r.example", "carol-dead@me.example")
    file = instance.user_home("carol") / "default"
    wait_for(lambda: file.exists() and file.read_text(), "the bounce")
    # qmail-send sends it to the prefix, or to the recipient's own address of the VERP
    assert file.read_text() in ("\n", "alice-nobody=me.example\n")


def test_a_repetition_after_a_kill_gives_no_second_copy(make_instance):
    """All daemons are killed at once while messages are on their way; each Maildir still gets each
    message exactly once, whether its file was seen by a reader in between or not."""
    instance = make_instance(port=2525)
    total = 200
    for i in range(total):
        instance.inject(MESSAGE % str(i).encode(), "s@r.example", "alice@me.example")
        if i in (50, 120, 199):
            for name in ("qmail-local", "qmail-send", "qmail-lspawn", "qmail-rspawn"):
                instance.kill(name, signal.SIGKILL)
            instance.wait_ready("qmail-send")
            instance.qmailctl("flush", check=False)

    def everything():
        found = {re.search(rb"Subject: (\d+)", m)[1] for m in instance.maildir("alice")}
        return len(found) == total
    wait_for(everything, "all messages")
    instance.qmailctl("flush", check=False)
    instance.wait_empty()
    subjects = [re.search(rb"Subject: (\d+)", m)[1] for m in instance.maildir("alice")]
    assert sorted(map(int, subjects)) == list(range(total))


def test_programs_of_one_user_run_as_many_at_a_time_as_concurrencylocal_says(make_instance):
    """Thirty hanging programs of one uid (vpopmail has one for all domains) do not keep the next one from
    running; when they end all is delivered."""
    instance = make_instance(start=False, port=2525)
    instance.control("concurrencylocal", "40")
    instance.dot_qmail("alice", "|touch run-$EXT; while test ! -e go; do sleep 0.2; done", ext="default")
    instance.start()
    home = instance.user_home("alice")
    for i in range(30):
        instance.inject(MESSAGE % b"hang", "", f"alice-{i}@me.example")
    instance.wait_for(lambda: len(list(home.glob("run-*"))) == 30,
                      lambda: f"thirty programs, got {len(list(home.glob('run-*')))}\n{instance.tail()}")
    (home / "go").touch()
    instance.wait_empty()
    assert len([line for line in instance.log() if "success: did_0+0+1/" in line]) == 30
