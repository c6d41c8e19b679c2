"""qmail-inject: whom a message is from and to: the environment, hosts, address lists."""
import re

import pytest


# -- the environment --------------------------------------------------------------------------


@pytest.mark.parametrize("env, address", [
    (dict(QMAILUSER="q", MAILUSER="m"), "q@me.example"),
    (dict(MAILUSER="m", LOGNAME="l"), "m@me.example"),
    (dict(LOGNAME="l"), "joe@me.example"),
    (dict(USER=None, LOGNAME="l"), "l@me.example"),
    (dict(USER=None), "anonymous@me.example"),
    (dict(QMAILHOST="q.x", MAILHOST="m.x"), "joe@q.x"),
    (dict(MAILHOST="m+"), "joe@m.me.example"),
    (dict(QMAILUSER="joe smith"), '"joe smith"@me.example'),
    (dict(QMAILUSER="a\nBcc: x"), '"a_Bcc: x"@me.example'),
])
def test_the_users_address(inject, env, address):
    """The first variable that is set wins, and is the sender too."""
    out = inject.show("\n", **env).decode()
    assert f"\nFrom: {address}\n" in out
    assert out.startswith(f"Return-Path: <{address}>\n")


def test_the_full_name(inject):
    """QMAILNAME, MAILNAME, NAME; as a comment with the letter c; a newline in it starts nothing."""
    def from_(**env):
        return inject.show("\n", **env).decode().split("From: ")[1].split("\n")[0]
    assert from_(QMAILNAME="Joe Q", MAILNAME="m", NAME="n") == '"Joe Q" <joe@me.example>'
    assert from_(MAILNAME="m", NAME="n") == '"m" <joe@me.example>'
    assert from_(NAME='a "b" \\') == '"a \\"b\\" \\\\" <joe@me.example>'
    assert from_(NAME="Joe (Q)", QMAILINJECT="c") == "joe@me.example (Joe \\(Q\\))"
    assert from_(NAME="x\nBcc: y") == '"x Bcc: y" <joe@me.example>'
    assert from_(QMAILNAME="", NAME="n") == "joe@me.example"


def test_the_senders_own_variables(inject):
    """QMAILSUSER and QMAILSHOST change the envelope sender and not From."""
    out = inject.show("\n", QMAILSUSER="s", QMAILSHOST="h.x", QMAILHOST="f.x").decode()
    assert out.startswith("Return-Path: <s@h.x>\n") and "\nFrom: joe@f.x\n" in out
    assert inject.show("\n", QMAILSUSER="s", QMAILHOST="f.x").startswith(b"Return-Path: <s@f.x>\n")


def test_return_path_is_the_sender(inject):
    """It is completed; of several the last counts, and its first address; the letter s ignores it."""
    assert inject.queue("Return-Path: <s@x>\nTo: a\n\n")[0] == "s@x.me.example"
    assert inject.queue("Return-Path: <>\nTo: a\n\n")[0] == ""
    assert inject.queue("Return-Path: a@x.y\nReturn-Path: b@x.y, c@x.y\nTo: a\n\n")[0] == "b@x.y"
    assert inject.queue("Return-Path: <s@x>\nTo: a\n\n", QMAILINJECT="s")[0] == "joe@me.example"
    assert inject.queue("Return-Path: <s@x.y>\nTo: a\n\n", "-f", "f@x.y")[0] == "f@x.y"


def test_letters_f_and_i_make_new_fields(inject):
    """The user's own From and Message-ID are removed, and made anew."""
    out = inject.show("From: f@x.y\nMessage-ID: <m>\n\n", QMAILINJECT="fi")
    assert b"f@x.y" not in out and b"<m>" not in out
    assert b"From: joe@me.example\n" in out and b".qmail@me.example>\n" in out


def test_verp_letters(inject):
    """r asks for a sender per recipient, m makes one per message; -f switches both off."""
    to = "To: a@b.c\n\n"
    assert inject.queue(to, QMAILINJECT="r")[0] == "joe-@me.example-@[]"
    assert re.fullmatch(r"joe-\d{9,11}\.\d+@me\.example", inject.queue(to, QMAILINJECT="m")[0])
    assert re.fullmatch(r"joe-\d{9,11}\.\d+-@me\.example-@\[\]", inject.queue(to, QMAILINJECT="rm")[0])
    assert inject.queue("Return-Path: <l-@x.y>\n" + to, QMAILINJECT="r")[0] == "l-@x.y-@[]"
    assert inject.queue(to, "-fl@x.y", QMAILINJECT="rm")[0] == "l@x.y"


def test_hosts_come_from_variables_then_control_files_then_me(inject):
    """QMAILDEFAULTHOST and its kin override control/defaulthost and its kin, and these control/me."""
    for name, text in (("defaulthost", "dh"), ("defaultdomain", "dd.x"), ("plusdomain", "pd.x"),
                       ("idhost", "ih.x")):
        inject.control(name, text)
    text = "To: a, b@h, c@p+, d@full.x\n\n"
    out = inject.show(text)
    assert b"\nTo: a@dh.dd.x, b@h.dd.x, c@p.pd.x, d@full.x\n" in out and b".qmail@ih.x>" in out
    out = inject.show(text, QMAILDEFAULTHOST="vh+", QMAILDEFAULTDOMAIN="vd.x", QMAILPLUSDOMAIN="vp.x",
                      QMAILIDHOST="vi.x")
    assert b"\nTo: a@vh.vp.x, b@h.vd.x, c@p.vp.x, d@full.x\n" in out and b".qmail@vi.x>" in out


def test_without_control_me_the_literal_words_are_used(inject):
    """qmail's own words stand where nothing is configured."""
    (inject.home / "control/me").unlink()
    out = inject.show("To: a, b@h, c@p+\n\n")
    assert b"\nTo: a@defaulthost.defaultdomain, b@h.defaultdomain, c@p.plusdomain\n" in out
    assert b".qmail@idhost>" in out


def test_an_empty_file_or_variable_counts_as_set(inject):
    """It appends nothing, and me does not stand in for it."""
    inject.control("defaultdomain", "")
    assert inject.field("To", "a@h, b@h+") == "a@h, b@h.me.example"
    assert inject.field("To", "b@h+", QMAILPLUSDOMAIN="") == "b@h"
    assert inject.field("To", "a", QMAILDEFAULTHOST="") == "a"


# -- addresses --------------------------------------------------------------------------------


@pytest.mark.parametrize("given, out", [
    ("a@b.c d@e.f", "a@b.c, d@e.f"),
    ("a b", "a@me.example, b@me.example"),
    ("a)@b.c", '"a)"@b.c'),
    ("Joe <@r.x,@s.x:a@b.c>", "Joe <a@b.c>"),
    ("a@b.c.", "a@b.c"),
    ("a@", "a@me.example"),
    ("a@[1.2.3.4]", "a@[1.2.3.4]"),
    ("g: a, b@c;", "g: a@me.example, b@c.me.example;"),
    ("a@b.c (Joe),\n\td@e.f", "a@b.c (Joe), d@e.f"),
    ('"Smith, Joe" <a@b.c>', '"Smith, Joe" <a@b.c>'),
    ("a . b @ c . d", "a.b@c.d"),
    (",,a@b.c,,", "a@b.c"),
    ("<>", "<>"),
    ("", ""),
])
def test_lists_are_written_anew(inject, given, out):
    """Every form of RFC 5322 and the common mistakes come out clean."""
    assert inject.field("To", given) == out
    assert inject.field("Reply-To", given) == out


def test_all_address_fields_are_completed_and_others_are_not(inject):
    """Fields that are no address lists stay as they are, byte for byte."""
    for name in ("To", "Cc", "Apparently-To", "From", "Sender", "Reply-To", "Errors-To",
                 "Return-Receipt-To", "Resent-To", "Resent-Cc", "Resent-From", "Resent-Sender",
                 "Resent-Reply-To"):
        assert inject.field(name, "a@b") == "a@b.me.example", name
    for name in ("Subject", "X-To", "Mail-Followup-To", "Delivered-To", "Received", "Date"):
        assert inject.field(name, "a@b  c,,\n\t(d") == "a@b  c,,\n\t(d", name


BROKEN = ("a@b.c, <x@y.z, r@r.r", "(a", '"a', "a; b@b.b", "a: b")


@pytest.mark.parametrize("name", ["To", "Cc", "Bcc", "Apparently-To"])
def test_a_broken_recipient_field_stays_and_what_is_right_of_the_mistake_is_used(inject, name):
    """The message goes out, exit 0; the field is kept as it is."""
    _, recipients = inject.queue(f"{name}: a@b.c, q>, r@r.r,\n s@s.s\nX: y\n\n")
    assert recipients == ["s@s.s", "r@r.r"]
    assert f"\n{name}: a@b.c, q>, r@r.r,\n s@s.s\nX: y\n".encode() in b"\n" + inject.message()
    for broken in BROKEN:
        assert f"\n{name}: {broken}\n".encode() in inject.show(f"{name}: {broken}\n\n")
    _, recipients = inject.queue(f"Resent-{name}: q>, r@r.r\n\n" if name in ("To", "Cc", "Bcc")
                                 else "Resent-To: q>, r@r.r\n\n")
    assert recipients == ["r@r.r"]


@pytest.mark.parametrize("name", ["From", "Sender", "Reply-To", "Return-Path", "Errors-To",
                                  "Return-Receipt-To", "Resent-From", "Resent-Sender",
                                  "Resent-Reply-To"])
def test_any_other_broken_address_field_refuses_the_message(inject, name):
    """Exit 100, and the queue program is not run."""
    for broken in BROKEN:
        said = inject.queue(f"{name}: {broken}\n\n", code=100)
        assert f"invalid header field: {name}: " in said
        assert not (inject.home / "envelope").exists()
