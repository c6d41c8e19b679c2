"""qmail-smtpd: every reply code, every control file, every variable."""
import re

import pytest

from smtpd_session import Home


@pytest.fixture
def home(programs, tmp_path):
    return Home(programs, tmp_path)


def test_greeting_and_ehlo(home):
    """The greeting is control/smtpgreeting, else control/me; EHLO offers four extensions."""
    with home.session() as s:
        assert s.greeting == "220 mx.example ESMTP"
        assert s.say("EHLO c.example").split("\n") == [
            "250-mx.example", "250-PIPELINING", "250-8BITMIME", "250-SIZE 0",
            "250 ENHANCEDSTATUSCODES"]
        assert s.say("helo c") == "250 mx.example"
        assert s.say("QUIT") == "221 2.0.0 closing connection"
        assert s.reply() is None
    assert s.code == 0 and s.stderr == ""
    home.control(smtpgreeting="mx.example no spam", databytes=12345)
    with home.session() as s:
        assert s.greeting == "220 mx.example no spam ESMTP"
        assert "250-SIZE 12345" in s.say("EHLO c")


def test_a_message_is_taken(home):
    """Message and envelope reach the queue program as they came, below one Received field."""
    with home.session(TCPREMOTEHOST="client.example", TCPREMOTEINFO="joe") as s:
        reply = s.mail(b"Subject: hi\r\n\r\n..dot\r\n8bit \xe9 nul \0\r\n", sender="a@b.example",
                       recipients=["x@here.example", "postmaster", "y@deep.sub.example"])
        assert re.fullmatch(r"250 2\.0\.0 ok \d+ qp \d+", reply)
        assert s.mail(b"", helo=None, sender="")[:3] == "250"
    first, second = sorted(home.queued(), key=lambda m: -len(m[0]))
    received, message = first[0].split(b"Subject", 1)
    assert re.fullmatch(
        rb"Received: from client\.example \(HELO c\.example\) \(joe@192\.0\.2\.9\)\n"
        rb"  by mx\.example with ESMTP; \d+ [A-Z][a-z][a-z] \d{4} \d\d:\d\d:\d\d -0000\n", received)
    assert message == b": hi\n\n.dot\n8bit \xe9 nul \0\n"
    assert first[1:] == ("a@b.example", ["x@here.example", "postmaster", "y@deep.sub.example"])
    assert second[1:] == ("", ["x@here.example"])


def test_received_says_smtp_after_helo_and_nothing_unsafe(home):
    """RFC 3848: ESMTP only after EHLO. Bytes that could mislead become question marks."""
    with home.session(TCPREMOTEHOST="c.example") as s:
        s.mail(b"\r\n", helo="HELO c.example")
        s.mail(b"\r\n", helo=b"EHLO x(y)\xff;_".decode("latin1"))
    heads = {m[0].split(b"; ")[0] for m in home.queued()}
    assert heads == {
        b"Received: from c.example (192.0.2.9)\n  by mx.example with SMTP",
        b"Received: from c.example (HELO x?y?????) (192.0.2.9)\n  by mx.example with ESMTP"}


def test_pipelining(home):
    """All commands of two transactions in one packet: every reply comes, in order."""
    with home.session() as s:
        s.send(b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@here.example>\r\nRCPT TO:<b@else.example>\r\n"
               b"DATA\r\none\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<c@here.example>\r\nDATA\r\ntwo\r\n.\r\n"
               b"NOOP\r\nQUIT\r\n")
        codes = [r[:3] for r in s.all_replies()]
    assert codes == "250 250 250 553 354 250 250 250 354 250 250 221".split()
    bodies = sorted((m[0].split(b"\n")[2], m[2]) for m in home.queued())
    assert bodies == [(b"one", ["a@here.example"]), (b"two", ["c@here.example"])]


@pytest.mark.parametrize("command, reply", [
    ("NOOP", "250 2.0.0"), ("NOOP text", "250 2.0.0"), ("RSET", "250 2.0.0"), ("HELP", "214 2.0.0"),
    ("VRFY root", "252 2.5.0"), ("EXPN list", "502 5.5.1"), ("WHAT", "500 5.5.1"), ("", "500 5.5.1"),
    ("STARTTLS", "500 5.5.1"), ("RCPT TO:<a@here.example>", "503 5.5.1"), ("DATA", "503 5.5.1"),
    ("RSET now", "501 5.5.4"), ("QUIT now", "501 5.5.4"), ("DATA now", "501 5.5.4"),
    ("HELO", "501 "), ("EHLO", "501 "), ("EHLO " + "x" * 256, "501 "),
    ("MAIL", "501 5.5.4"), ("MAIL TO:<a@b>", "501 5.5.4"), ("MAIL FROM:", "501 5.1.7"),
    ("MAIL FROM:<a@b", "501 5.1.7"), ("MAIL FROM:<a b@c>", "501 5.1.7"),
    ("MAIL FROM:<a@b>x", "501 5.1.7"), ("MAIL FROM:<#@[]>", "501 5.1.7"),
    ("MAIL FROM:<list-@host-@[]>", "501 5.1.7"), ("MAIL FROM:<" + "a" * 900 + "@b>", "501 5.1.7"),
    ("MAIL FROM:<\u00e9@b>", "553 5.6.7"), ("MAIL FROM:<a@b> FOO=1", "555 5.5.4"),
    ("MAIL FROM:<a@b> SIZE", "555 5.5.4"), ("MAIL FROM:<a@b> SIZE=", "501 5.5.4"),
    ("MAIL FROM:<a@b> SIZE=1x", "501 5.5.4"), ("MAIL FROM:<a@b> BODY=BINARYMIME", "501 5.5.4"),
    ("MAIL FROM:<a@b> SIZE=1001", "552 5.3.4"),
    ("MAIL FROM:<a@b> SIZE=99999999999999999999", "552 5.3.4"),
    ("MAIL FROM:<a@b> SIZE=1000 BODY=8bitmime", "250 2.1.0"), ("MAIL FROM:<a@b> body=7BIT", "250 2.1.0"),
    ("mail from:<>", "250 2.1.0"), ("MAIL FROM: <a@b>", "250 2.1.0"), ("MAIL FROM:a@b", "250 2.1.0"),
    ("MAIL  FROM:<a@[IPv6:2001:db8::1]> ", "250 2.1.0"), ("MAIL FROM:<@x,@y:a@b>", "250 2.1.0"),
    ("MAIL FROM:<\"a b\"@c>", "250 2.1.0"), ("NO\0OP", "500 5.5.2"), ("NOOP\rNOOP", "500 5.5.2"),
    ("NOOP " + "x" * 4080, "250 2.0.0"), ("NOOP " + "x" * 4100, "500 5.5.2"),
    ("NOOP " + "x" * 300000, "500 5.5.2"),
], ids=lambda value: repr(value)[:40])
def test_replies(home, command, reply):
    """Each command gets its one reply, and the session goes on."""
    home.control(databytes=1000)
    with home.session() as s:
        assert s.say(command).startswith(reply)
        assert s.say("NOOP") == "250 2.0.0 ok"
    assert s.code == 1  # it went without QUIT


@pytest.mark.parametrize("command, reply", [
    ("RCPT", "501 5.5.4"), ("RCPT FROM:<a@b>", "501 5.5.4"), ("RCPT TO:<>", "501 5.1.3"),
    ("RCPT TO:<a@b@here.example>", "501 5.1.3"), ("RCPT TO:<a@here.example", "501 5.1.3"),
    ("RCPT TO:<" + "a" * 900 + "@here.example>", "501 5.1.3"), ("RCPT TO:<a@h\u00e9re.example>", "553 5.6.7"),
    ("RCPT TO:<a@here.example> NOTIFY=NEVER", "555 5.5.4"), ("RCPT TO:<a@else.example>", "553 5.7.1"),
    ("RCPT TO:<a@x.here.example>", "553 5.7.1"), ("RCPT TO:<a@sub.example>", "553 5.7.1"),
    ("RCPT TO:<\"a@here.example\"@else.example>", "553 5.7.1"),
    ("RCPT TO:<@here.example:a@else.example>", "553 5.7.1"), ("RCPT TO:<a@[192.0.2.77]>", "553 5.7.1"),
    ("RCPT TO:<a@HERE.example>", "250 2.1.5"), ("RCPT TO: a@x.sub.example", "250 2.1.5"),
    ("RCPT TO:<Postmaster>", "250 2.1.5"), ("RCPT TO:<a%else.example@here.example>", "250 2.1.5"),
    ("MAIL FROM:<c@d>", "503 5.5.1"), ("DATA", "503 5.5.1"),
], ids=lambda value: repr(value)[:40])
def test_replies_after_mail(home, command, reply):
    """RCPT, and what else may follow MAIL."""
    with home.session() as s:
        assert s.say("MAIL FROM:<a@b>")[:3] == "250"
        assert s.say(command).startswith(reply)
        assert s.say("NOOP") == "250 2.0.0 ok"


def test_badmailfrom(home):
    """control/badmailfrom: addresses and @hosts; the refusal comes at RCPT."""
    home.control(badmailfrom="bad@b.example\n@evil.example")
    with home.session() as s:
        for sender, reply in (("BAD@b.example", "553 5.7.1"), ("x@Evil.example", "553 5.7.1"),
                              ("good@b.example", "250 2.1.5"), ("", "250 2.1.5"),
                              ("x@sub.evil.example", "250 2.1.5")):
            assert s.say(f"MAIL FROM:<{sender}>") == "250 2.1.0 ok"
            assert s.say("RCPT TO:<a@here.example>").startswith(reply)
            assert s.say("RSET")[:3] == "250"
    assert "badmailfrom list: from <x@Evil.example>: TO:<a@here.example>" in s.stderr


def test_without_rcpthosts_nothing_is_relayed(home):
    """Promise 4: no control/rcpthosts, no mail for any domain; said once in the log."""
    home.control(rcpthosts=None)
    with home.session() as s:
        s.say("MAIL FROM:<>")
        assert s.say("RCPT TO:<a@here.example>")[:9] == "553 5.7.1"
        assert s.say("RCPT TO:<a@mx.example>")[:9] == "553 5.7.1"
        assert s.say("RCPT TO:<postmaster>")[:3] == "250"
    assert s.stderr.count("there is no control/rcpthosts") == 1


def test_relayclient(home):
    """RELAYCLIENT, even empty, opens all domains; its value is put behind each recipient."""
    with home.session(RELAYCLIENT="") as s:
        s.mail(b"\r\n", recipients=["a@else.example"])
    with home.session(RELAYCLIENT="@relay.example") as s:
        s.mail(b"\r\n", recipients=["a@else.example"])
    assert sorted(m[2] for m in home.queued()) == [["a@else.example"], ["a@else.example@relay.example"]]


def test_morercpthosts(home):
    """qmail-newmrh makes control/morercpthosts.cdb, and qmail-smtpd looks there too."""
    home.control(morercpthosts="More.example\n# no\n.deep.example")
    run_newmrh(home)
    with home.session() as s:
        s.say("MAIL FROM:<>")
        for domain, code in (("MORE.example", "250"), ("x.y.deep.example", "250"), ("deep.example", "553"),
                             ("x.more.example", "553"), ("here.example", "250")):
            assert s.say(f"RCPT TO:<a@{domain}>")[:3] == code
    home.control(morercpthosts="one.example\ntwo words")
    done = run_newmrh(home, check=False)
    assert done.returncode == 100 and "control/morercpthosts:2:" in done.stderr
    with home.session() as s:
        s.say("MAIL FROM:<>")
        assert s.say("RCPT TO:<a@more.example>")[:3] == "250"  # the old table stays
    home.control(morercpthosts=None)
    assert run_newmrh(home, check=False).returncode == 111


def run_newmrh(home, check=True):
    from conftest import run
    return run(home.programs / "bin/qmail-newmrh", check=check, env={"QMAILHOME": str(home.home)})


def test_localiphost(home):
    """A literal that is an address of this machine becomes control/localiphost, else control/me."""
    home.control(rcpthosts="mx.example\nip.example")
    with home.session() as s:
        s.mail(b"\r\n", recipients=["a@[127.0.0.1]"])
        s.mail(b"\r\n", recipients=["a@[IPv6:::1]"])
        assert s.say("MAIL FROM:<>")[:3] == "250"
        assert s.say("RCPT TO:<a@[127.0.0.2]>")[:3] == "553"
    home.control(localiphost="ip.example")
    with home.session() as s:
        s.mail(b"\r\n", recipients=["b@[127.0.0.1]"])
    assert sorted(m[2][0] for m in home.queued()) == ["a@mx.example", "a@mx.example", "b@ip.example"]


def test_databytes(home):
    """Over control/databytes: 552 after the real end, nothing queued, the next command is understood."""
    home.control(databytes=1000)
    big = b"Subject: x\r\n\r\n" + b"RSET\r\n.x\r\nQUIT\r\n" * 20000
    with home.session() as s:
        assert s.mail(big).startswith("552 5.3.4")
        assert s.say("NOOP") == "250 2.0.0 ok"
        assert s.mail(b"x" * 999 + b"\r\n", helo=None)[:3] == "250"  # exactly 1000 with its LF
        assert s.mail(b"x" * 1000 + b"\r\n", helo=None)[:3] == "552"
    assert len(home.queued()) == 1
    with home.session(DATABYTES="0") as s:
        assert s.mail(big)[:3] == "250"
    with home.session(DATABYTES="") as s:
        assert s.mail(big)[:3] == "250"
    with home.session(DATABYTES="many") as s:
        assert s.say("EHLO c").startswith("421 4.3.0")
        assert s.reply() is None


def test_hops(home):
    """100 Received and Delivered-To fields in the header are a loop; 99, or in the body, are not."""
    with home.session() as s:
        assert s.mail(b"Received: x\r\n" * 60 + b"Delivered-To: y\r\n" * 40)[:9] == "554 5.4.6"
        assert s.mail(b"Received: x\r\n" * 99, helo=None)[:3] == "250"
        assert s.mail(b"\r\n" + b"Received: x\r\n" * 500, helo=None)[:3] == "250"


def test_maxrecipients(home):
    """1000 recipients unless control/maxrecipients says otherwise; more are told to come later."""
    with home.session() as s:
        s.say("MAIL FROM:<>")
        s.send(b"RCPT TO:<a@here.example>\r\n" * 1001)
        codes = [r[:9] for r in s.replies(1001)]
        assert codes == ["250 2.1.5"] * 1000 + ["452 4.5.3"]
    home.control(maxrecipients=10000)
    with home.session() as s:
        s.say("MAIL FROM:<>")
        for start in range(0, 10000, 1000):
            s.send(b"".join(b"RCPT TO:<r%d@here.example>\r\n" % n for n in range(start, start + 1000)))
            assert {r[:9] for r in s.replies(1000)} == {"250 2.1.5"}
        assert s.say("RCPT TO:<a@here.example>")[:9] == "452 4.5.3"
        assert s.say("DATA")[:3] == "354"
        s.send(b"x\r\n.\r\n")
        assert s.reply()[:3] == "250"
    (message,) = home.queued()
    assert len(message[2]) == 10000


def test_maxerrors(home):
    """control/maxerrors ends a session that is only errors; so do 200 commands without mail."""
    home.control(maxerrors=3)
    with home.session() as s:
        assert [s.say("WHAT")[:3] for _ in range(3)] == ["500"] * 3
        s.send("WHAT\r\n")
        assert s.reply()[:3] == "500"
        assert s.reply() == "421 4.7.0 too many errors, closing connection"
        assert s.reply() is None
    assert s.code == 1
    with home.session() as s:
        s.send(b"NOOP\r\n" * 1000)
        replies = s.all_replies()
    assert len(replies) == 202 and replies[-1].startswith("421 4.7.0")


@pytest.mark.parametrize("code, text, reply", [
    (31, "", "554 5.3.0 "), (11, "", "554 5.1.3 "), (53, "", "451 4.3.0 "), (71, "", "451 4.3.0 "),
    (74, "", "451 4.4.2 "), (120, "", "451 4.3.0 "), (40, "", "554 5.3.0 "), (99, "", "451 4.3.0 "),
    (82, "Dno thanks (#5.7.1)", "554 5.7.1 no thanks"), (82, "Znot now (#4.2.2)\n", "451 4.2.2 not now"),
    (82, "D5.6.0 virus\r\n250 ok", "554 5.6.0 virus__250 ok"), (82, "Dno\n", "554 5.3.0 no"),
    (82, "D\n", "451 4.3.0 "),
    (82, "Zwait", "451 4.3.0 wait"), (82, "D(#4.7.1) odd", "554 5.3.0 (#4.7.1) odd"),
    (82, "Xodd", "451 4.3.0 "), (82, "", "451 4.3.0 "), (82, "D" + "y" * 600, "554 5.3.0 " + "y" * 254),
], ids=lambda value: repr(value)[:40])
def test_queue_program_decides(home, code, text, reply):
    """The exit code of QMAILQUEUE, or its text on descriptor 6, becomes the reply: one line, always."""
    home.queue_answer(code, text)
    with home.session() as s:
        assert s.mail(b"\r\n").startswith(reply)
        assert s.is_silent()
        assert s.say("NOOP") == "250 2.0.0 ok"
    assert home.queued() == []


def test_queue_is_down(home):
    """Without a queue the client is told to come again, and keeps its message."""
    with home.session(QMAILQUEUE=None) as s:
        assert s.mail(b"\r\n").startswith("451 4.3.0 ")
        assert s.say("QUIT")[:3] == "221"


@pytest.mark.parametrize("files, commands", [
    ({"me": None}, []), ({"timeoutsmtpd": "soon"}, []), ({"databytes": "many"}, ["EHLO c"]),
    ({"maxrecipients": "x"}, ["MAIL FROM:<>", "RCPT TO:<a@here.example>"]),
    ({"maxerrors": "x"}, ["WHAT"]),
])
def test_unusable_control_files(home, files, commands):
    """A control file that cannot be understood is no reason to guess: 421, and the session is over."""
    home.control(**files)
    with home.session() as s:
        replies = [s.greeting] + [s.say(c) for c in commands]
        if commands == ["WHAT"]:
            replies.append(s.reply())
        assert replies[-1] == "421 4.3.0 unable to read controls"
        assert s.reply() is None
    assert s.code == 1


def dribble(session, piece):
    """Send a little every tenth of a second, until the server has had enough of it."""
    for _ in range(100):
        try:
            session.send(piece)
        except OSError:
            return
        if not session.is_silent(0.1):
            return
    raise AssertionError("the server listens to a dribble for ten seconds")


def test_timeout(home):
    """control/timeoutsmtpd: a silent client, or one that only dribbles, is told so and left."""
    home.control(timeoutsmtpd=1)
    with home.session() as s:
        assert s.reply() == "451 4.4.2 timeout"
        assert s.reply() is None
    assert s.code == 1
    with home.session() as s:
        dribble(s, "N")
        assert s.reply() == "451 4.4.2 timeout"
    with home.session() as s:
        assert s.begin()[:3] == "354"
        s.send("half a mess")
        assert s.reply() == "451 4.4.2 timeout"
    with home.session() as s:
        assert s.begin()[:3] == "354"
        dribble(s, "x\r\n")
        assert s.reply() == "451 4.4.2 timeout"
    assert home.queued() == []


def test_client_goes_away(home):
    """A message without its end is no message."""
    for cut in (b"", b"Subject: x\r\n\r\nhalf", b"all\r\n", b"all\r\n.", b"all\r\n.\r"):
        with home.session() as s:
            assert s.begin()[:3] == "354"
            s.send(cut)
            assert s.all_replies() == []
        assert s.code == 1
    assert home.queued() == []


def test_the_log_cannot_be_forged(home):
    """What a client sends appears in the log without control bytes."""
    with home.session() as s:
        s.say(b"WHAT\x1b[31m\xff")
        s.say("MAIL FROM:<a@b>")
        s.say("RCPT TO:<\"x\x07\"@else.example>")
    assert s.stderr.count("\n") == 2
    assert all(32 <= ord(c) < 127 or c == "\n" for c in s.stderr)
    assert "192.0.2.9: 500 5.5.1 unknown command: WHAT_[31m_" in s.stderr


def test_usage(home):
    """Arguments are not allowed: usage, exit 100; a home that is not there: 111."""
    from conftest import run
    for program in ("qmail-smtpd", "qmail-newmrh"):
        done = run(home.programs / "bin" / program, "x", check=False)
        assert done.returncode == 100 and "usage" in done.stderr
        done = run(home.programs / "bin" / program, check=False, env={"QMAILHOME": "/nowhere"})
        assert done.returncode == 111


def test_real_chain(instance):
    """Over TCP: the message is in the Maildir, and the reply carries the queue id."""
    done = instance.swaks("--header", "Subject: through the chain")
    assert re.search(r"<-  250 2\.0\.0 ok \d+ qp \d+ id \d+", done.stdout)
    (mail,) = [m for m in instance.wait_mail() if b"through the chain" in m]
    assert re.search(rb"\n  by me\.example with ESMTP; ", mail)
