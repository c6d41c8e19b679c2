"""Promise 1: after "250 ok" a message survives SIGKILL of every process."""
import itertools
import random
import re
import threading
import time

from smtp_client import Load

ROUNDS, SECONDS, CLIENTS = 3, 4, 6
VICTIMS = ("qmail-queued", "qmail-send", "qmail-lspawn", "qmail-rspawn", "qmail-local", "tcpserver",
           "qmail-smtpd")


def numbered(prefix):
    """Makes messages for Load, each with a name of its own."""
    numbers = itertools.count()

    def new():
        name = f"{prefix}-{next(numbers)}"
        body = "x" * random.choice((100, 100, 3000, 60000))
        return (name, "s@remote.example", ["alice@me.example", "bob@me.example"],
                f"Subject: n{name}n\n\n{body}\n")
    return new


def test_every_accepted_message_is_delivered_whatever_is_killed(make_instance):
    """Daemons are killed at random moments under load: every message that got 250 is delivered at
    least once to each recipient, s6 brings everything back, and nothing is stuck."""
    one = make_instance()
    accepted, kills = [], 0
    for _ in range(ROUNDS):
        stop = threading.Event()
        clients = [Load(one, stop, numbered(f"{len(accepted)}c{i}")) for i in range(CLIENTS)]
        for client in clients:
            client.start()
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            time.sleep(random.uniform(0.05, 0.4))
            kills += one.kill(random.choice(VICTIMS))
        stop.set()
        for client in clients:
            client.join()
            accepted += client.accepted
        one.wait_ready()
    one.qmailctl("doqueue")
    one.wait_empty()
    duplicates = 0
    for user in ("alice", "bob"):
        found = [re.search(rb"^Subject: n(\S+)n$", mail, re.M).group(1).decode()
                 for mail in one.maildir(user)]
        assert not set(accepted) - set(found)
        duplicates += len(found) - len(set(found))
    print(f"{len(accepted)} messages accepted, {kills} processes killed, {duplicates} delivered twice")
    assert accepted and kills


def test_messages_queued_while_the_system_is_down_are_delivered_later(make_instance):
    """qmail-queue works while nothing runs; the message is taken in at start."""
    one = make_instance(start=False)
    one.inject(b"Subject: early\n\nhello\n", "s@remote.example", "alice@me.example")
    one.start()
    (mail,) = one.wait_mail("alice")
    assert b"Subject: early" in mail
