"""qmail-remote: whom it asks, what it says, and what it makes of the answers."""
import os
import re
import socket
import subprocess
import threading
import time

import pytest

from conftest import PATIENCE, public_folder, remove_tree, run, wait_for
from smtp_peer import Peer, Session

MESSAGE = b"Subject: one\n\nbody\n"
ROUTE = ":127.0.0.2"


class Remote:
    """A home for qmail-remote alone."""

    def __init__(self, programs):
        self.folder = public_folder("pennypost-remote-")
        (self.folder / "control").mkdir()
        self.program = str(programs / "bin/qmail-remote")
        self.env = dict(os.environ, QMAILHOME=str(self.folder))
        self.control("me", "me.example")

    def control(self, name, text):
        (self.folder / "control" / name).write_text(text + "\n")

    def __call__(self, host="there.example", sender="me@here.example", recipients=("you@there.example",),
                 message=MESSAGE, env=None):
        """Run the classic form. returns [reports], the message's last"""
        done = subprocess.run([self.program, host, sender, *recipients], input=message,
                              stdout=subprocess.PIPE, env=env or self.env, timeout=PATIENCE * 2, check=False)
        assert done.returncode == 0
        assert done.stdout.endswith(b"\0")
        return done.stdout.decode()[:-1].split("\0")

    def session(self, **options):
        return Session(self.program, self.env, **options)


@pytest.fixture
def remote(programs):
    one = Remote(programs)
    yield one
    remove_tree(one.folder)


@pytest.fixture
def routed(remote):
    """All mail goes to 127.0.0.2, port 25: no DNS."""
    remote.control("smtproutes", ROUTE)
    return remote


# -- the conversation -----------------------------------------------------------------------


def test_every_recipient_and_the_message_are_reported(routed):
    """Classic form: r for each accepted recipient, then K with what the server said."""
    with Peer() as peer:
        out = routed(recipients=["a@there.example", "b@there.example"])
    assert out == ["r", "r", "K127.0.0.2 accepted message.\nRemote host said: 250 2.0.0 queued\n"]
    assert peer.messages == [b"Subject: one\r\n\r\nbody\r\n"]
    assert peer.commands[0][0] == b"EHLO me.example"


def test_refused_recipients_keep_their_codes(routed):
    """Some recipients refused for good, some for now, one accepted: h, s, r in order, and the message goes."""
    def rcpt(line):
        if b"<bad@" in line:
            return b"550-5.1.1 no such\r\n550 5.1.1 user here"
        return b"451 later" if b"<slow@" in line else b"250 ok"
    with Peer(rcpt=rcpt) as peer:
        bad, slow, good, message = routed(recipients=["bad@x.example", "slow@x.example", "good@x.example"])
    assert bad.startswith("h127.0.0.2") and "(#5.1.1)" in bad
    assert "Remote host said: 550-5.1.1 no such\n550 5.1.1 user here\n" in bad
    assert slow.startswith("s127.0.0.2") and "(#4.0.0)" in slow and "451 later" in slow
    assert good == "r" and message.startswith("K") and len(peer.messages) == 1


def test_reports_of_a_session_are_merged(routed):
    """A session answers each recipient with one K, Z or D."""
    def rcpt(line):
        return b"550 5.1.1 no" if b"<bad@" in line else b"452 4.2.2 full" if b"<full@" in line else b"250 ok"
    with Peer(rcpt=rcpt), routed.session() as session:
        number, texts = session.job(17, recipients=["bad@x.example", "good@x.example", "full@x.example"])
    assert number == 17
    assert [t[0] for t in texts] == ["D", "K", "Z"]
    assert "(#5.1.1)" in texts[0] and "accepted message" in texts[1] and "(#4.2.2)" in texts[2]


@pytest.mark.parametrize("keywords", [(b"PIPELINING",), ()])
def test_an_unwanted_354_gets_a_lone_dot(routed, keywords):
    """RFC 2920: DATA may be accepted although every RCPT was refused; nobody gets an empty message,
    and the connection serves the next job."""
    refuse = [True]
    with Peer(keywords=keywords, rcpt=lambda line: b"550 5.1.1 no" if refuse[0] else b"250 ok") as peer:
        with routed.session() as session:
            _, texts = session.job(1, recipients=["a@x.example", "b@x.example"])
            assert [t[0] for t in texts] == ["D", "D"]
            refuse[0] = False
            assert session.job(2)[1][0].startswith("K")
    assert len(peer.commands) == 1
    assert peer.messages == ([b""] if keywords else []) + [b"Subject: one\r\n\r\nbody\r\n"]


def test_a_refused_sender_fails_everyone(routed):
    """5yz to MAIL is permanent for every recipient, 4yz temporary; RCPT replies are not mixed up with it."""
    with Peer(mail=b"550 5.7.1 not you", rcpt=b"503 5.5.1 MAIL first", data=b"503 5.5.1 no"):
        assert routed(recipients=["a@x.example", "b@x.example"])[-1].startswith("D127.0.0.2 refused the sender. (#5.7.1)")
    with Peer(mail=b"450 4.3.0 wait", rcpt=b"503 5.5.1 MAIL first", data=b"503 5.5.1 no"):
        assert routed()[-1].startswith("Z127.0.0.2 refused the sender. (#4.3.0)")


@pytest.mark.parametrize("code,letter", [(b"554 5.6.0 spam", "D"), (b"451 4.3.2 later", "Z"), (b"250 fine", "K")])
@pytest.mark.parametrize("keywords", [(b"PIPELINING",), ()])
def test_the_reply_after_the_dot_decides(routed, code, letter, keywords):
    """The final reply makes K, Z or D, with and without PIPELINING."""
    with Peer(end=code, keywords=keywords):
        assert routed()[-1][0] == letter


def test_data_can_be_refused(routed):
    """A refused DATA fails the accepted recipients."""
    with Peer(data=b"451 4.3.1 disk full"):
        assert routed()[-1].startswith("Z127.0.0.2 refused the command DATA. (#4.3.1)")
    with Peer(data=b"554 5.3.0 no"):
        assert routed()[-1].startswith("D")


def test_helo_serves_old_servers(routed):
    """EHLO refused with 5yz: HELO."""
    with Peer(ehlo=b"502 what?") as peer:
        assert routed()[-1].startswith("K")
    assert peer.commands[0][:2] == [b"EHLO me.example", b"HELO me.example"]


def test_helohost_is_said(routed):
    """control/helohost is the name in EHLO."""
    routed.control("helohost", "mail.example")
    with Peer() as peer:
        routed()
    assert peer.commands[0][0] == b"EHLO mail.example"


def test_the_size_is_announced_and_respected(routed):
    """SIZE= carries the size on the wire; a message above the limit is refused here, without MAIL."""
    with Peer(keywords=(b"SIZE 1000", b"PIPELINING")) as peer:
        assert routed()[-1].startswith("K")
        big = routed(message=b"x" * 60 + b"\n" + b"y" * 50 * 20)[-1]
    assert b"MAIL FROM:<me@here.example> SIZE=22" in peer.commands[0]
    assert big.startswith("D") and "(#5.3.4)" in big
    assert not any(line.startswith(b"MAIL") for line in peer.commands[1])


def test_8bit_is_announced_where_offered(routed):
    """BODY=8BITMIME for a message with high bytes, where the server knows it; the bytes stay."""
    text = "Grüße\n".encode()
    with Peer() as peer:
        routed(message=text)
        routed()
    assert peer.commands[0][1].endswith(b" BODY=8BITMIME") and not peer.commands[1][1].endswith(b"8BITMIME")
    assert peer.messages[0] == text.replace(b"\n", b"\r\n")
    with Peer(keywords=()) as peer:
        assert routed(message=text)[-1].startswith("K")
    assert peer.commands[0][1] == b"MAIL FROM:<me@here.example>"


@pytest.mark.parametrize("text,wire", [
    (b"", b""),
    (b".\n", b"..\r\n"),
    (b"a\n.\n.b\n..\nc", b"a\r\n..\r\n..b\r\n...\r\nc\r\n"),
    (b"a\r\nb\rc\r\r\n\r", b"a\r\nb c \r\n \r\n"),
    (b"x\r.\r\nMAIL FROM:<evil@x>\n", b"x .\r\nMAIL FROM:<evil@x>\r\n"),
    (b"x\n.\r\n.\n.\r", b"x\r\n..\r\n..\r\n.. \r\n"),
])
def test_only_crlf_is_on_the_wire(routed, text, wire):
    """Promise 5: no bare CR or LF is sent, dots are stuffed, the message cannot end early."""
    with Peer() as peer:
        assert routed(message=text)[-1].startswith("K")
    assert peer.messages == [wire]
    raw = b"".join(peer.packets)
    assert raw.count(b"\r") == raw.count(b"\n") == raw.count(b"\r\n")


def test_addresses_are_quoted(routed):
    """Local parts that need quotes get them; control bytes are refused here."""
    with Peer() as peer:
        out = routed(sender="", recipients=['odd "one"@x.example', "new\nline@x.example", "ok@x.example"])
    assert peer.commands[0][1:4] == [b"MAIL FROM:<>", b'RCPT TO:<"odd \\"one\\""@x.example>', b"RCPT TO:<ok@x.example>"]
    assert out[0] == "r" and out[1].startswith("h") and "(#5.1.3)" in out[1] and out[2] == "r"
    assert out[3].startswith("K")


def test_250_recipients_go_in_groups_of_100(routed):
    """More than 100 recipients: one transaction, several groups, every one reported."""
    recipients = [f"u{i}@x.example" for i in range(250)]
    with Peer(rcpt=lambda line: b"550 no" if b"7@" in line else b"250 ok") as peer:
        out = routed(recipients=recipients)
    assert [r[0] for r in out[:-1]] == ["h" if r[:r.index("@")].endswith("7") else "r" for r in recipients]
    assert out[-1].startswith("K") and len(peer.messages) == 1


# -- servers that misbehave -----------------------------------------------------------------


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


# -- sessions -------------------------------------------------------------------------------


def test_a_session_keeps_its_connection(routed):
    """Jobs of one destination share one connection; at EOF comes QUIT, and exit 0."""
    with Peer() as peer:
        session = routed.session()
        for number in range(5):
            assert session.job(number)[1][0].startswith("K")
        assert session.close() == 0
        wait_for(lambda: peer.commands[0][-1] == b"QUIT", "QUIT")
    assert len(peer.commands) == 1 and len(peer.messages) == 5


def test_another_destination_gets_another_connection(routed):
    """The connection serves only where it leads."""
    routed.control("smtproutes", "a.example:127.0.0.2\nb.example:127.0.0.3\nc.example:127.0.0.2")
    with Peer("127.0.0.2") as first, Peer("127.0.0.3") as second, routed.session() as session:
        for number, host in enumerate(["a.example", "c.example", "b.example", "a.example"]):
            assert session.job(number, host=host)[1][0].startswith("K")
    assert len(first.commands) == 2 and len(second.commands) == 1 and len(first.messages) == 3


def test_a_dead_idle_connection_is_replaced(routed):
    """A server that closes an idle connection, with or without a word, costs no job."""
    with Peer() as peer, routed.session() as session:
        assert session.job(1)[1][0].startswith("K")
        peer.connections[0].sendall(b"421 4.4.2 idle\r\n")
        peer.connections[0].shutdown(2)
        assert session.job(2)[1][0].startswith("K")
        peer.connections[1].shutdown(2)
        assert session.job(3)[1][0].startswith("K")
    assert len(peer.messages) == 3


def test_a_server_tired_of_messages_is_called_again(routed):
    """421 to a later MAIL: one new connection, silently."""
    seen = []

    def mail(_):
        seen.append(1)
        return b"421 4.7.0 enough" if len(seen) == 2 else b"250 ok"
    with Peer(mail=mail) as peer, routed.session() as session:
        assert [session.job(n)[1][0][0] for n in range(3)] == ["K", "K", "K"]
    assert len(peer.commands) == 2 and len(peer.messages) == 3


def test_jobs_that_wait_travel_with_the_message_before(routed):
    """Jobs queue up: MAIL, RCPT and DATA of the third come with the end of the second."""
    go = threading.Event()

    def data(_):
        go.wait(PATIENCE)
        return b"354 go"
    with Peer(data=data) as peer, routed.session() as session:
        session.send(1, "there.example", "one@here.example", ["you@there.example"], MESSAGE)
        wait_for(lambda: peer.commands and b"DATA" in peer.commands[0], "DATA")
        session.send(2, "there.example", "two@here.example", ["you@there.example"], MESSAGE)
        session.send(3, "there.example", "three@here.example", ["you@there.example"], MESSAGE)
        go.set()
        reports = [session.report() for _ in range(3)]
    assert [r[0] for r in reports] == [1, 2, 3] and all(r[1][0].startswith("K") for r in reports)
    assert any(p.startswith(b"Subject") and b"\r\n.\r\nMAIL FROM:<three@here.example>" in p for p in peer.packets)


def test_a_job_sent_ahead_survives_the_connection(routed):
    """The connection dies with a message's reply, the next job already on its way: it is sent again."""
    go = threading.Event()

    def data(_):
        go.wait(PATIENCE)
        return b"354 go"
    ends = [b"250 ok", b"421 4.3.2 bye", b"250 ok"]
    with Peer(data=data, end=lambda _: ends.pop(0)) as peer, routed.session() as session:
        session.send(1, "there.example", "one@here.example", ["you@there.example"], MESSAGE)
        wait_for(lambda: peer.commands and b"DATA" in peer.commands[0], "DATA")
        session.send(2, "there.example", "two@here.example", ["you@there.example"], MESSAGE)
        session.send(3, "there.example", "three@here.example", ["you@there.example"], MESSAGE)
        go.set()
        assert session.report()[1][0].startswith("K")
        assert session.report()[1][0].startswith("Z")
        assert session.report()[1][0].startswith("K")
    assert len(peer.connections) == 2


def test_an_idle_connection_is_given_up(routed):
    """Without jobs the connection ends with QUIT after some seconds; the session goes on."""
    with Peer() as peer, routed.session() as session:
        session.job(1)
        wait_for(lambda: peer.commands[0][-1] == b"QUIT", "QUIT")
        assert session.job(2)[1][0].startswith("K")
    assert len(peer.commands) == 2


def test_what_is_no_job_ends_the_session(routed):
    """Nonsense on the socket is an error of the caller: exit 111, no crash."""
    with routed.session() as session:
        session.socket.send(b"nonsense")
        assert session.process.wait(PATIENCE) == 111


def test_large_messages_come_as_a_descriptor(routed, tmp_path):
    """A message above the packet's size comes as a file and arrives whole, byte by byte."""
    import array
    import struct
    text = b"".join(b"%d a line of some length, and more of it\n.\n" % i for i in range(30000))
    path = tmp_path / "message"
    path.write_bytes(text)
    with Peer() as peer, routed.session() as session, open(path, "rb") as file:
        strings = b"job\0003\0001\0there.example\0me@here.example\0you@there.example\0"
        session.socket.sendmsg([struct.pack("=I", len(strings)) + strings],
                               [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file.fileno()]))])
        assert session.report()[1][0].startswith("K")
    assert peer.messages[0] == text.replace(b"\n.", b"\n..").replace(b"\n", b"\r\n")


def test_system_calls_per_message_are_few(routed, tmp_path):
    """On a living connection a message costs: job, two writes, two reads, report, and the wait for the job."""
    trace = tmp_path / "trace"
    with Peer():
        with routed.session(prefix=["strace", "-o", str(trace)]) as session:
            for number in range(21):
                session.job(number)
    calls = re.findall(r"^(\w+)\(", trace.read_text(), re.M)
    reports = [i for i, name in enumerate(calls) if name == "sendmsg"]
    between = calls[reports[10] + 1:reports[20] + 1]
    kinds = {"recvmsg", "poll", "sendto", "recvfrom", "sendmsg"}
    print({name: between.count(name) / 10 for name in sorted(set(between))})
    assert set(between) <= kinds, sorted(set(between))
    assert between.count("sendto") == 20 and between.count("sendmsg") == 10


# -- whom to ask ----------------------------------------------------------------------------

ZONE = [
    "plain.example. MX 10 mx1.plain.example.", "mx1.plain.example. A 127.0.0.2",
    "dead.example. MX 5 down.dead.example.", "dead.example. MX 10 gone.dead.example.",
    "dead.example. MX 20 mx1.plain.example.", "down.dead.example. A 127.0.0.9",
    "null.example. MX 0 .",
    "address.example. A 127.0.0.2",
    "nothing.example. TXT nothing",
    "six.example. MX 10 mx.six.example.", "mx.six.example. AAAA fd00::25",
    "alias.example. CNAME plain.example.", "viaalias.example. MX 10 also.example.",
    "also.example. CNAME mx1.plain.example.",
    "loop.example. MX 10 me.example.", "me.example. A 127.0.0.1",
    "numloop.example. MX 10 here.example.", "here.example. A 127.0.0.1",
    "backup.example. MX 10 down.dead.example.", "backup.example. MX 20 me.example.",
    "backup.example. MX 20 mx1.plain.example.", "backup.example. MX 30 mx1.plain.example.",
    "dangling.example. MX 10 gone.dead.example.",
    "relay.example. A 127.0.0.2", "relay.example. MX 10 down.dead.example.",
    "even.example. MX 10 mx1.plain.example.", "even.example. MX 10 mx2.plain.example.",
    "mx2.plain.example. A 127.0.0.3",
    *[f"many.example. MX 10 a-rather-long-name-of-a-mail-server-{i}.gone.example." for i in range(60)],
    "many.example. MX 20 mx1.plain.example.",
]


@pytest.fixture(scope="module")
def zone(dns_server):
    dns_server.zone(*ZONE, dead=["broken.example."])
    return dns_server


@pytest.mark.parametrize("host", ["plain.example", "PLAIN.example", "address.example", "alias.example",
                                  "viaalias.example", "[127.0.0.2]", "dead.example"])
def test_mail_finds_its_server(zone, remote, host):
    """MX; no MX but an address; aliases; an address literal; a dead and a missing first MX: delivered."""
    with Peer() as peer:
        assert remote(host)[-1].startswith("K127.0.0.2 accepted")
    assert len(peer.messages) == 1


@pytest.mark.parametrize("host,letter,code", [
    ("missing.example", "D", "(#5.1.2)"), ("null.example", "D", "(#5.1.10)"),
    ("nothing.example", "D", "(#5.4.4)"), ("dangling.example", "D", "(#5.4.4)"),
    ("x.broken.example", "Z", "(#4.4.3)"), ("loop.example", "D", "(#5.4.6)"),
    ("numloop.example", "D", "(#5.4.6)"), ("[127.0.0.1]", "D", "(#5.4.6)"),
    ("backup.example", "Z", "(#4.4.1)"), ("down.dead.example", "Z", "(#4.4.1)"),
    ("[not.an.address]", "D", "(#5.1.2)"), ("a" * 64 + ".example", "D", "(#5.1.2)"),
    ("double..example", "D", "(#5.1.2)"), ("", "D", "(#5.1.2)"),
])
def test_what_cannot_be_reached_is_told(zone, remote, host, letter, code):
    """DNS trouble and dead servers are temporary; no such name, null MX, no address and a loop are permanent."""
    with Peer() as peer:
        out = remote(host)
    assert len(out) == 1 and out[0][0] == letter and code in out[0], out
    assert not peer.commands


def test_an_ipv6_server_is_reached(zone, remote):
    """An MX with only an IPv6 address; control/notipme says that ours is not us."""
    run("ip", "address", "replace", "fd00::25/128", "dev", "lo", "nodad")
    assert "(#5.4.6)" in remote("six.example")[-1]
    remote.control("notipme", "fd00::25")
    with Peer("fd00::25"):
        assert remote("six.example")[-1].startswith("Kfd00::25 accepted")
        assert remote("[IPv6:fd00::25]")[-1].startswith("Kfd00::25 accepted")


def test_equal_preferences_are_shuffled(zone, remote):
    """Two MX of the same preference both get mail."""
    with Peer("127.0.0.2") as one, Peer("127.0.0.3") as other:
        wait_for(lambda: remote("even.example")[-1].startswith("K") and one.messages and other.messages, "both")


def test_long_answers_come_over_tcp(zone, remote):
    """An answer that does not fit into a UDP packet is asked for again over TCP; sixty names that do not
    exist are passed over."""
    with Peer():
        assert remote("many.example")[-1].startswith("K")


def test_moreipme_names_further_own_addresses(zone, remote):
    """control/moreipme: a loop is found although no interface has the address."""
    remote.control("moreipme", "127.0.0.2")
    assert "(#5.4.6)" in remote("plain.example")[-1]


def test_smtproutes_choose_relay_and_port(zone, remote):
    """domain:relay:port; a relay's own MX does not matter; an empty relay means MX."""
    remote.control("smtproutes", "plain.example:relay.example:2525\n.plain.example:[127.0.0.2]\n"
                                 "address.example:\n:127.0.0.3")
    with Peer(port=2525) as odd, Peer() as usual, Peer("127.0.0.3") as rest:
        assert remote("plain.example")[-1].startswith("K127.0.0.2")
        assert remote("sub.plain.example")[-1].startswith("K127.0.0.2")
        assert remote("address.example")[-1].startswith("K127.0.0.2")
        assert remote("missing.example")[-1].startswith("K127.0.0.3")
    assert len(odd.messages) == 1 and len(usual.messages) == 2 and len(rest.messages) == 1


@pytest.mark.parametrize("banner", [b"421 4.3.2 busy", b"554 5.7.1 go away", b"450 wait"])
def test_a_refusing_greeting_means_the_next_server(zone, remote, banner):
    """4yz and 5yz greetings say nothing about the mail: the other MX gets it; if there is none, later."""
    with Peer("127.0.0.2", banner=banner) as one, Peer("127.0.0.3") as other:
        for _ in range(30):
            assert remote("even.example")[-1].startswith("K127.0.0.3")
            if one.commands:
                break
        assert one.commands and other.messages
        out = remote("plain.example")[-1]
    assert out.startswith("Z") and re.search(r"\(#4\.\d\.\d\)", out) and "Remote host said: " in out


def test_a_host_that_takes_no_mail_is_permanent(zone, remote):
    """RFC 7504: 521 in every greeting."""
    with Peer(banner=b"521 5.3.2 no mail here"):
        out = remote("plain.example")[-1]
    assert out.startswith("D") and "(#5.3.2)" in out


def test_no_name_server_is_temporary(remote):
    """Without any answer from the DNS: temporary, and soon."""
    resolv = remote.folder / "resolv.conf"
    resolv.write_text("nameserver 127.0.0.77\noptions timeout:1 attempts:1\n")
    run("mount", "--bind", resolv, "/etc/resolv.conf")
    try:
        assert "(#4.4.3)" in remote("plain.example")[-1]
    finally:
        run("umount", "/etc/resolv.conf")


# -- configuration --------------------------------------------------------------------------


def test_a_connection_that_is_not_answered_takes_timeoutconnect(routed):
    """A server that lets connections hang counts as unreachable after control/timeoutconnect."""
    routed.control("timeoutconnect", "1")
    with socket.socket() as full:
        full.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        full.bind(("127.0.0.2", 25))
        full.listen(0)
        clients = [socket.socket() for _ in range(4)]
        for client in clients:  # until the kernel drops what comes
            client.setblocking(False)
            client.connect_ex(("127.0.0.2", 25))
        out = routed()[-1]
        for client in clients:
            client.close()
    assert out.startswith("Z") and "Connection timed out" in out and "(#4.4.1)" in out


def test_outgoingip_chooses_our_address(routed):
    """control/outgoingip is where connections come from; one that is not ours keeps the mail here."""
    routed.control("outgoingip", "127.0.0.44 ::1")
    seen = []

    def talk(connection):
        seen.append(connection.getpeername()[0])
    with Peer(talk=talk):
        routed()
        routed.control("outgoingip", "192.0.2.1")
        assert "(#4.4.1)" in routed()[-1]
    assert seen == ["127.0.0.44"]


def test_without_a_name_nothing_is_sent(routed):
    """Neither control/me nor control/helohost: temporary, in both forms."""
    (routed.folder / "control/me").unlink()
    assert routed() == ["ZUnable to read control files. (#4.3.0)\n"]
    with routed.session() as session:
        assert session.job(1)[1] == ["ZUnable to read control files. (#4.3.0)\n"]
    assert routed(env=dict(os.environ, QMAILHOME="/nonexistent"))[0].startswith("Z")


def test_a_broken_route_is_temporary(remote):
    """A port that is none in control/smtproutes keeps the mail here."""
    remote.control("smtproutes", "there.example:127.0.0.2:smtp")
    assert "(#4.3.5)" in remote()[-1]


def test_wrong_arguments_print_the_usage(remote):
    """Too few arguments: usage, exit 100."""
    done = run(remote.program, "host", "sender", check=False, env=remote.env)
    assert done.returncode == 100 and "usage" in done.stderr


# -- real peers -----------------------------------------------------------------------------


def test_smtp_sink_takes_a_megabyte(routed, tmp_path):
    """Postfix's smtp-sink gets a message of 1 MiB whole."""
    tmp_path.chmod(0o777)
    routed.control("smtproutes", ":127.0.0.1:2526")
    folder = public_folder("pennypost-sink-")
    folder.chmod(0o777)
    sink = subprocess.Popen(["smtp-sink", "-u", "nobody", "-R", str(folder), "-d", "m.", "127.0.0.1:2526", "100"])
    try:
        wait_for(lambda: routed()[-1].startswith("K"), "smtp-sink")
        text = b"".join(b"%d .line\n.\n" % i for i in range(90000))
        assert routed(message=text)[-1].startswith("K127.0.0.1 accepted message.")
        wait_for(lambda: any(f.read_bytes().replace(b"\r\n", b"\n").endswith(text.rstrip(b"\n") + b"\n")
                             or text in f.read_bytes() for f in folder.iterdir()), "the whole message")
    finally:
        sink.kill()
        sink.wait()
        remove_tree(folder)
