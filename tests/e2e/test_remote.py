"""qmail-remote: what it says, and what it makes of the answers."""
import os
import subprocess

import pytest

from conftest import public_folder, remove_tree, run, wait_for
from smtp_peer import Peer


# -- the conversation -----------------------------------------------------------------------


def test_every_recipient_and_the_message_are_reported(routed):
    """Classic form: r for each accepted recipient, then K with what the server said."""
    with Peer() as peer:
        out = routed(recipients=["a@there.example", "b@there.example"])
    assert out == ["r", "r", "K127.0.0.2 accepted message.\nRemote host said: 250 2.0.0 queued\n"]
    assert peer.messages == [b"Subject: one\r\n\r\nbody\r\n"]
    assert peer.commands[0][0] == b"EHLO me.example"


def test_refused_recipients_keep_their_codes(routed):
    """Some recipients refused for good, some for now, one accepted: h, s, r in order; the message goes."""
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
        out = routed(recipients=["a@x.example", "b@x.example"])[-1]
        assert out.startswith("D127.0.0.2 refused the sender. (#5.7.1)")
    with Peer(mail=b"450 4.3.0 wait", rcpt=b"503 5.5.1 MAIL first", data=b"503 5.5.1 no"):
        assert routed()[-1].startswith("Z127.0.0.2 refused the sender. (#4.3.0)")


@pytest.mark.parametrize("code,letter", [
    (b"554 5.6.0 spam", "D"), (b"451 4.3.2 later", "Z"), (b"250 fine", "K")])
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
    assert peer.commands[0][1:4] == [b"MAIL FROM:<>", b'RCPT TO:<"odd \\"one\\""@x.example>',
                                     b"RCPT TO:<ok@x.example>"]
    assert out[0] == "r" and out[1].startswith("h") and "(#5.1.3)" in out[1] and out[2] == "r"
    assert out[3].startswith("K")


def test_250_recipients_go_in_groups_of_100(routed):
    """More than 100 recipients: one transaction, several groups, every one reported."""
    recipients = [f"u{i}@x.example" for i in range(250)]
    with Peer(rcpt=lambda line: b"550 no" if b"7@" in line else b"250 ok") as peer:
        out = routed(recipients=recipients)
    assert [r[0] for r in out[:-1]] == ["h" if r[:r.index("@")].endswith("7") else "r" for r in recipients]
    assert out[-1].startswith("K") and len(peer.messages) == 1


# -- configuration --------------------------------------------------------------------------


def test_a_connection_that_is_not_answered_takes_timeoutconnect(routed):
    """A server that lets connections hang counts as unreachable after control/timeoutconnect."""
    routed.control("timeoutconnect", "1")
    with Peer(is_open=False):
        out = routed()[-1]
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
    sink = subprocess.Popen(["smtp-sink", "-u", "nobody", "-R", str(folder), "-d", "m.",
                             "127.0.0.1:2526", "100"])
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
