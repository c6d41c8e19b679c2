"""qmail-remote as a session: one connection for many jobs."""
import re
import threading

import handoff_packet
from conftest import PATIENCE, wait_for
from remote_program import MESSAGE
from smtp_peer import Peer


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
    assert any(p.startswith(b"Subject") and b"\r\n.\r\nMAIL FROM:<three@here.example>" in p
               for p in peer.packets)


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
    text = b"".join(b"%d a line of some length, and more of it\n.\n" % i for i in range(30000))
    path = tmp_path / "message"
    path.write_bytes(text)
    with Peer() as peer, routed.session() as session, open(path, "rb") as file:
        handoff_packet.send(session.socket, "job", 3, 1, "there.example", "me@here.example",
                            "you@there.example", fds=[file.fileno()])
        assert session.report()[1][0].startswith("K")
    assert peer.messages[0] == text.replace(b"\n.", b"\n..").replace(b"\n", b"\r\n")


def test_system_calls_per_message_are_few(routed, tmp_path):
    """On a living connection a message costs: job, two writes, two reads, report, the wait for the job."""
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
