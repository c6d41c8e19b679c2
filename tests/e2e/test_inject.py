"""qmail-inject: header completion, recipients, exit codes."""
import os
import re
import subprocess

import pytest

from inject_program import DATE, SAN_ENV


# -- what is added, in which order ------------------------------------------------------------


def test_missing_fields_are_added_in_qmails_order(inject):
    """Date, Message-ID, From and the empty Cc group stand before the rest; -n puts Return-Path first."""
    assert re.fullmatch(
        rb"Return-Path: <joe@me\.example>\nDate: " + DATE +
        rb"\nMessage-ID: <\d{14}\.\d+\.qmail@me\.example>\nFrom: joe@me\.example\n"
        rb"Cc: recipient list not shown: ;\nSubject: x\n\nbody\n",
        inject.show("Subject: x\n\nbody\n"))


def test_present_fields_are_not_added(inject):
    """A field that is there in any case of letters is left alone."""
    text = "dATE: d\nmessage-id: m\nFROM: f@x.y\ncc: c@x.y\n\n"
    assert inject.show(text) == b"Return-Path: <joe@me.example>\n" + text.encode()


def test_empty_input_gives_a_header_without_a_blank_line(inject):
    """Nothing in: a header out, and no body."""
    out = inject.show("")
    assert out.endswith(b"Cc: recipient list not shown: ;\n") and b"\n\n" not in out
    assert inject.show("To: a@b.c\n").endswith(b"\nTo: a@b.c\n")
    assert inject.show("To: a@b.c").endswith(b"\nTo: a@b.c\n")


def test_a_from_line_becomes_mbox_line(inject):
    """The separator of an mbox is kept as a field."""
    assert b"\nMBOX-Line: From me Thu Jan  1\nTo: a@b.c\n\nx\n" in inject.show(
        "From me Thu Jan  1\nTo: a@b.c\n\nx\n")


def test_the_first_line_that_is_no_header_begins_the_body(inject):
    """A blank line is put before it."""
    for line in ("hello world\n", " indented\n", "From the second line\n", ": x\n"):
        start = "" if line[0] == " " else "Subject: x\n"
        assert inject.show(f"{start}{line}To: no@header.x\n").endswith(
            f"{start}\n{line}To: no@header.x\n".encode())


def test_the_body_is_not_touched(inject):
    """All bytes pass; only a missing newline at the end is added."""
    body = bytes(range(256)) * 1000 + b"\nFrom x\n.\n..\n\r\nlast"
    assert inject.show(b"To: a@b.c\n\n" + body).endswith(b"\n\n" + body + b"\n")
    assert inject.show(b"To: a@b.c\n\n\n\n").endswith(b"\nTo: a@b.c\n\n\n\n")


def test_crlf_messages_become_lf(inject):
    """A first line with CR LF means that all lines have them, wherever reads divide the pairs."""
    body = b"".join(b"%d\r\n" % i for i in range(100000)) + b"a\rb\r\r\nend\r\n"
    out = inject.show(b"To: a@b.c\r\nX: y\r\n\tz\r\n\r\n" + body)
    assert out.endswith(b"\nTo: a@b.c\nX: y\n\tz\n\n" + body.replace(b"\r\n", b"\n"))
    one = subprocess.Popen([inject.home / "bin/qmail-inject", "-n"], stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE,
                           env=dict(os.environ, QMAILHOME=str(inject.home), **SAN_ENV))
    for byte in b"To: a@b.c\r\n\r\nx\r\n\r\ny\r":
        one.stdin.write(bytes([byte]))
        one.stdin.flush()
    assert one.communicate(timeout=60)[0].endswith(b"To: a@b.c\n\nx\n\ny\r\n")


def test_bcc_return_path_and_content_length_are_removed(inject):
    """What is for this machine only does not leave it."""
    out = inject.show("Bcc: secret@x.y,\n other@x.y\nReturn-Path: <s@x.y>\nContent-Length: 5\n"
                      "Resent-Bcc: z@x.y\nX: y\n\n")
    assert b"cc: secret" not in out and b"other" not in out and b"Length" not in out and b"z@" not in out
    assert out.count(b"Return-Path") == 1 and out.startswith(b"Return-Path: <s@x.y>\n")


def test_resent_fields(inject):
    """Any Resent- field makes a resent message: only Resent- fields are added, its recipients count."""
    kinds = {"Resent-Sender": "s@x.y", "Resent-From": "f@x.y", "Resent-Reply-To": "r@x.y",
             "Resent-To": "t@x.y", "Resent-Cc": "c@x.y", "Resent-Bcc": "b@x.y",
             "Resent-Date": "d", "Resent-Message-ID": "<m>"}
    for name, value in kinds.items():
        out = inject.show(f"To: old@x.y\n{name}: {value}\n\n")
        added = out.split(b"To: old@x.y")[0]
        for other in ("Date", "Message-ID", "From"):
            expected = name != f"Resent-{other}"
            assert (f"\nResent-{other}: ".encode() in added) == expected, (name, other)
            assert f"\n{other}: ".encode() not in added
        shown = name in ("Resent-To", "Resent-Cc")
        assert (b"\nResent-Cc: recipient list not shown: ;\n" in added) == (not shown)
        sender, recipients = inject.queue(f"To: old@x.y\nBcc: o@x.y\n{name}: {value}\n\n")
        assert recipients == ([value] if name in ("Resent-To", "Resent-Cc", "Resent-Bcc") else [])


def test_mail_followup_to(inject, tmp_path):
    """QMAILMFTFILE names lists, relative to the caller's directory; To and Cc are added once each."""
    (tmp_path / "lists").write_text("# mine\nList@lists.example\n")
    env = dict(QMAILMFTFILE="lists", cwd=tmp_path)
    out = inject.show("To: list@LISTS.example, a\nCc: b@x.y, A@me.example\n\n", **env).decode()
    mft = re.search(r"^Mail-Followup-To: ((?:.|\n )*)", out, re.M).group(1)
    assert sorted(a.strip().lower() for a in mft.split(",")) == [
        "a@me.example", "b@x.y", "list@lists.example"]
    assert out.index("Mail-Followup-To") > out.index("From:")
    assert out.index("Mail-Followup-To") < out.index("To: list")
    assert "Followup" not in inject.show("To: other@x.y\nBcc: list@lists.example\n\n", **env).decode()
    assert inject.show("To: list@lists.example\nMail-Followup-To: me\n\n", **env).count(b"Followup") == 1
    assert inject.run("To: a\n\n", "-n", QMAILMFTFILE="/", cwd="/").returncode == 111


# -- recipients and exit codes ----------------------------------------------------------------


def test_recipient_options(inject):
    """-a arguments, -h header, -H both, -A arguments if any: the last of them counts."""
    text = "To: t1@x.y, t2@x.y\nBcc: b@x.y\nCc: t1@x.y\nApparently-To: p\n\n"
    header = ["t2@x.y", "t1@x.y", "b@x.y", "t1@x.y", "p@me.example"]
    for argv, want in ((("-a", "z", "t1@x.y"), ["z@me.example", "t1@x.y"]), (("-a",), []),
                       (("-h", "z"), header), (("-H", "z"), ["z@me.example", *header]),
                       (("-H",), header), (("-A", "z"), ["z@me.example"]), (("-A",), header),
                       (("z",), ["z@me.example"]), ((), header), (("-h", "-a", "-N", "z"), ["z@me.example"])):
        assert inject.queue(text, *argv)[1] == want, argv
        assert b"b@x.y" not in inject.message()


def test_options_after_the_first_argument_are_recipients(inject):
    """So is a dash after --."""
    assert inject.queue("\n", "a@x.y", "-n", "-h")[1] == ["a@x.y", "-n@me.example", "-h@me.example"]
    assert inject.queue("\n", "--", "-a@x.y")[1] == ["-a@x.y"]


def test_arguments_are_raw_addresses(inject):
    """No quoting: what stands before the last @ is the local part."""
    assert inject.queue("\n", "joe smith@x", 'a"b', "a@b@c.d")[1] == [
        "joe smith@x.me.example", 'a"b@me.example', "a@b@c.d"]
    for bad in ("a@b c", "a@<b>", "a\n@b", ""):
        assert inject.run("\n", bad, QMAILQUEUE="/bin/true").returncode == 100


def test_no_recipients_still_queue(inject):
    """An empty envelope is an envelope."""
    assert inject.queue("Subject: x\n\n") == ("joe@me.example", [])


def test_sender_option(inject):
    """-f is completed like other addresses; an empty one is the sender of bounces."""
    assert inject.queue("To: a\n\n", "-fs@x")[0] == "s@x.me.example"
    assert inject.queue("To: a\n\n", "-f", "s")[0] == "s@me.example"
    assert inject.queue("To: a\n\n", "-f", "")[0] == ""


def test_usage(inject):
    """Wrong options: exit 100 and a synopsis."""
    for argv in (("-x",), ("-f",)):
        done = inject.run("\n", *argv)
        assert done.returncode == 100 and b"usage: qmail-inject" in done.stderr


@pytest.mark.parametrize("exit_code, text, code, said", [
    (31, "", 100, "(#5.3.0)"), (11, "", 100, "(#5.1.3)"), (53, "", 111, "(#4.3.0)"),
    (91, "", 111, "(#4.3.0)"), (82, "Dno such thing", 100, "fatal: no such thing"),
    (82, "Znot today", 111, "fatal: not today"), (82, "Dx", 111, "(#4.3.0)"),
    (82, "Dxy", 100, "fatal: xy"), (82, "", 111, "(#4.3.0)"), (82, "Xwhat", 111, "(#4.3.0)"),
    (31, "Zignored", 100, "(#5.3.0)"),
])
def test_what_the_queue_program_says_decides(inject, exit_code, text, code, said):
    """11 to 40 are permanent; with 82 the text on descriptor 6 decides, from three bytes on."""
    assert said in inject.queue("To: a\n\n", code=code, EXIT=str(exit_code), TEXT6=text)


def test_a_missing_queue_program_is_temporary(inject):
    """Nothing is lost in silence."""
    assert "(#4.3.0)" in inject.queue("To: a\n\n", code=111, QMAILQUEUE="/nonexistent")


def test_an_address_that_is_too_long_is_refused(inject):
    """1002 bytes pass, 1003 do not."""
    assert inject.queue("\n", "a" * 998 + "@b.c")[1] == ["a" * 998 + "@b.c"]
    assert "(#5.1.3)" in inject.queue("\n", "a" * 999 + "@b.c", code=100)


def test_a_home_that_is_missing_is_temporary(inject):
    """111, whatever else."""
    assert inject.run("\n", "-n", QMAILHOME="/nonexistent").returncode == 111


def test_big_messages(inject):
    """The body streams through; a header beyond 16 MiB is refused."""
    body = b"0123456789abcde\n" * (1 << 20)
    inject.queue(b"To: a@b.c\n\n" + body)
    assert inject.message().endswith(b"\nTo: a@b.c\n\n" + body)
    many = b"Bcc: " + b",\n ".join(b"r%d@x.y" % i for i in range(50000)) + b"\n\n"
    assert inject.queue(many)[1] == [f"r{i}@x.y" for i in reversed(range(50000))]
    assert inject.run(b"X: " + b"y" * (16 << 20) + b"\n\n", "-n").returncode == 100
    assert inject.show(b"y" * (17 << 20)).endswith(b"\n\n" + b"y" * (17 << 20) + b"\n")


# -- the real queue ---------------------------------------------------------------------------


def test_a_message_arrives(instance):
    """qmail-inject, qmail-queued, qmail-send, qmail-local: it is in the Maildir."""
    instance.bin("qmail-inject", "-f", "s@remote.example", input="To: alice\nBcc: bob\nSubject: one\n\nhi\n")
    (mail,) = instance.wait_mail("alice")
    assert b"\nSubject: one\n\nhi\n" in mail and mail.startswith(b"Return-Path: <s@remote.example>\n")
    assert b"Bcc" not in instance.wait_mail("bob")[0]


def test_a_message_survives_a_queue_that_is_down(make_instance):
    """Nobody listens: the message waits in queue/drop and arrives when the services start."""
    one = make_instance(start=False, port=2525)
    one.bin("qmail-inject", input="To: alice\nSubject: early\n\n")
    one.bin("sendmail", "alice@me.example", input="Subject: early\n\n")
    one.bin("forward", "alice@me.example", input="Subject: early\n\n",
            env=dict(one.env, NEWSENDER="", DTLINE="Delivered-To: x\n"))
    one.start()
    assert all(b"\nSubject: early\n" in mail for mail in one.wait_mail("alice", 3))
