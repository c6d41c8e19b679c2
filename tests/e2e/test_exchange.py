"""Two instances exchange mail through a real name server."""
import re

import pytest

from conftest import run

ZONE = [
    "me.example. MX 10 me.example.", "me.example. A 127.0.0.1",
    "other.example. MX 10 mx.other.example.", "mx.other.example. A 127.0.0.5",
    "dead.example. MX 5 down.dead.example.", "dead.example. MX 20 mx.other.example.",
    "down.dead.example. A 127.0.0.9",
    "alias.example. CNAME other.example.",
    "six.example. MX 10 mx.six.example.", "mx.six.example. AAAA fd00::5",
    "null.example. MX 0 .",
    "loop.example. MX 10 me.example.", "loop.example. MX 20 mx.other.example.",
]
HOSTED = "other.example\ndead.example\nalias.example\n"


@pytest.fixture(scope="module")
def pair(dns_server, programs):
    """me.example at 127.0.0.1 and other.example at 127.0.0.5 (and its six.example at fd00::5)."""
    from conftest import end_all, instance_factory
    run("ip", "address", "replace", "fd00::5/128", "dev", "lo", "nodad")
    dns_server.zone(*ZONE, dead=["broken.example."])
    make, made = instance_factory(programs)
    try:
        me = make(start=False)
        me.control("notipme", "fd00::5")
        other = make(start=False, host="other.example", ip="127.0.0.5")
        other.control("locals", HOSTED)
        other.control("rcpthosts", HOSTED)
        other.control("notipme", "127.0.0.1")
        six = make(start=False, host="six.example", ip="fd00::5")
        for one in (me, other, six):
            one.start()
        yield me, other, six
    finally:
        end_all(made)


def test_mail_goes_there_and_back(pair):
    """A message crosses from one instance to the other, and an answer comes back; each hop adds Received."""
    me, other, _ = pair
    me.inject(b"Subject: there\n\nhello\n.dot\n", "alice@me.example", "bob@other.example")
    mail = other.wait_mail("bob")[-1]
    assert mail.endswith(b"Subject: there\n\nhello\n.dot\n")
    assert mail.startswith(b"Return-Path: <alice@me.example>\nDelivered-To: bob@other.example\n")
    assert len(re.findall(rb"^Received: ", mail, re.M)) == 3
    other.inject(b"Subject: back\n\nhi\n", "bob@other.example", "alice@me.example")
    assert b"Subject: back\n" in me.wait_mail("alice")[-1]
    line = me.wait_log("success: ")[0].replace(" ", "_")
    assert "127.0.0.5_accepted_message./Remote_host_said:_250_" in line
    me.wait_empty()
    other.wait_empty()


@pytest.mark.parametrize("domain", ["dead.example", "alias.example"])
def test_the_second_mx_and_an_alias_work(pair, domain):
    """A dead first MX, and a domain that is an alias of another."""
    me, other, _ = pair
    before = len(other.maildir("carol"))
    me.inject(b"Subject: x\n\n" + domain.encode() + b"\n", "alice@me.example", f"carol@{domain}")
    assert domain.encode() in other.wait_mail("carol", before + 1)[-1]


def test_an_ipv6_only_mx_works(pair):
    """A domain whose MX has only an AAAA record."""
    me, _, six = pair
    me.inject(b"Subject: six\n\nx\n", "alice@me.example", "bob@six.example")
    assert b"Subject: six\n" in six.wait_mail("bob")[-1]


@pytest.mark.parametrize("domain,code", [("null.example", "5.1.10"), ("missing.example", "5.1.2"),
                                         ("loop.example", "5.4.6")])
def test_what_takes_no_mail_bounces(pair, domain, code):
    """Null MX, NXDOMAIN and a loop are permanent: the sender gets one bounce with the reason."""
    me, _, _ = pair
    before = len(me.maildir("bob"))
    me.inject(b"Subject: lost\n\nx\n", "bob@me.example", f"nobody@{domain}")
    bounce = me.wait_mail("bob", before + 1)[-1]
    assert f"<nobody@{domain}>:".encode() in bounce and f"(#{code})".encode() in bounce


def test_dns_trouble_is_temporary(pair):
    """SERVFAIL keeps the message in the queue; the log says why."""
    me, _, _ = pair
    me.inject(b"Subject: wait\n\nx\n", "alice@me.example", "nobody@x.broken.example")
    line = me.wait_log("deferral: ")[0]
    assert "(#4.4.3)" in line and me.queue_files()
