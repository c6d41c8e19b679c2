"""qmail-remote and servers that misbehave: nothing hangs, and no report is wrong."""
import os
import pathlib
import signal
import threading
import time

import pytest

from conftest import PATIENCE, wait_for
from processes import fields_of
from smtp_peer import Peer


def test_an_endless_reply_is_cut(routed):
    """A reply without end does not fill our memory: temporary."""
    def talk(connection):
        while True:
            connection.sendall(b"220-" + b"x" * 2000 + b"\r\n")
    with Peer(talk=talk):
        out = routed()[-1]
    assert out.startswith("ZConnected to 127.0.0.2, but its reply makes no sense") and "(#4.4.2)" in out


def test_an_endless_line_is_cut(routed):
    """A reply line without end neither."""
    def talk(connection):
        while True:
            connection.sendall(b"2" * 4096)
    with Peer(talk=talk):
        assert routed()[-1].startswith("ZConnected to 127.0.0.2, but its reply makes no sense")


def test_a_dripping_server_cannot_hold_us(routed):
    """The time limit is for a whole reply: bytes that drip in do not extend it."""
    routed.control("timeoutremote", "2")

    def talk(connection):
        while True:
            connection.sendall(b"2")
            time.sleep(0.2)
    with Peer(talk=talk):
        out = routed()[-1]
    assert out.startswith("ZConnected to 127.0.0.2, but it did not answer in time") and "(#4.4.2)" in out


def test_a_silent_server_is_given_up(routed):
    """No greeting within control/timeoutremote: temporary."""
    routed.control("timeoutremote", "1")
    stop = threading.Event()
    with Peer(talk=lambda connection: stop.wait(PATIENCE)):
        assert "(#4.4.2)" in routed()[-1]
        stop.set()


def test_what_is_no_smtp_is_temporary(routed):
    """A server that speaks something else gets no mail, and the mail is kept."""
    with Peer(banner=b"SSH-2.0-OpenSSH_9.2"):
        out = routed()[-1]
    assert out.startswith("Z") and "makes no sense" in out


def test_a_connection_lost_after_the_message_may_be_a_duplicate(routed):
    """Dropped between the dot and the reply: temporary, and the report says what may happen."""
    with Peer(end=None) as peer:
        out = routed()
    assert out[0] == "r" and out[-1].startswith("Z")
    assert "Possible duplicate! (#4.4.2)" in out[-1] and len(peer.messages) == 1


@pytest.mark.parametrize("where", ["mail", "rcpt", "data"])
def test_a_connection_lost_before_the_message_is_temporary(routed, where):
    """Dropped at any earlier command: temporary, without fear of duplicates."""
    with Peer(**{where: None}):
        out = routed()[-1]
    assert out.startswith("ZConnected to 127.0.0.2, but the connection died. (#4.4.2)")


def test_last_words_during_the_message_count(routed):
    """A server that refuses in the middle of the message and closes is heard."""
    def talk(connection):
        connection.sendall(b"220 hi\r\n")
        connection.recv(1000)
        connection.sendall(b"250-hi\r\n250 PIPELINING\r\n")
        connection.recv(1000)
        connection.sendall(b"250 ok\r\n250 ok\r\n354 go\r\n")
        connection.recv(100000)
        connection.sendall(b"552 5.3.4 too much for me\r\n")
        time.sleep(0.5)  # our writes fill the buffers meanwhile
    with Peer(talk=talk):
        out = routed(message=b"x" * 70 + b"\n" + b"line of text\n" * 2_000_000)[-1]
    assert out[0] in "DZ"
    assert "(#5.3.4)" in out or "(#4.4.2)" in out  # a reset may swallow the words


def test_421_closes_in_good_order(routed):
    """421 in the middle of a transaction: temporary for all, with the server's words."""
    with Peer(rcpt=b"421 4.3.2 going down"):
        out = routed(recipients=["a@x.example", "b@x.example"])[-1]
    assert out.startswith("Z") and "going down" in out


def test_status_of_our_own_failures_cannot_be_forged(routed):
    """(#4.4.1) says to qmail-send that a destination is dead: a server's words must not."""
    with Peer(rcpt=b"451 4.4.1 upstream is dead"):
        out = routed()[0]
    assert out.startswith("s") and "(#4.4.0)" in out and "(#4.4.1)" not in out


def test_odd_bytes_of_a_reply_are_masked(routed):
    """Control and high bytes of a reply do not reach logs and bounces."""
    with Peer(rcpt=b"550 5.1.1 \x1b[2J \x00 \xff"):
        assert "550 5.1.1 ?[2J ? ?\n" in routed()[0]


def is_connecting(pid):
    """Has the process a TCP connection that nobody has answered yet?"""
    own = {os.readlink(fd) for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir()}
    with open("/proc/net/tcp", encoding="ascii") as table:
        lines = [line.split() for line in table]
    return any(line[3] == "02" and f"socket:[{line[9]}]" in own for line in lines)


def stop_while_connecting(session):
    """Have a message sent; stop qmail-remote in connect() and let it go on."""
    session.send(1, "there.example", "me@here.example", ["you@there.example"], b"one\n")
    pid = session.process.pid
    wait_for(lambda: is_connecting(pid), "a connection that is not answered")
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: fields_of(pid, "status", "State") == ["T"], "a stopped qmail-remote")
    os.kill(pid, signal.SIGCONT)


def test_a_process_that_was_stopped_goes_on_connecting(routed):
    """SIGSTOP and SIGCONT, as on a machine that slept, end no connect(): the rest of the time remains."""
    with Peer(is_open=False) as peer, routed.session() as session:
        stop_while_connecting(session)
        peer.open()
        number, texts = session.report()
    assert (number, texts[0][0]) == (1, "K") and len(peer.messages) == 1


def test_a_process_that_was_stopped_does_not_connect_for_ever(routed):
    """The same, and no answer: it is over after control/timeoutconnect, counted from the beginning."""
    routed.control("timeoutconnect", "2")
    with Peer(is_open=False), routed.session() as session:
        stop_while_connecting(session)
        text = session.report()[1][0]
    assert text.startswith("Z") and "Connection timed out" in text and "(#4.4.1)" in text
