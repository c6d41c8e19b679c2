"""qmail-remote: whom it asks, by MX, address and control/smtproutes."""
import re

import pytest

from conftest import run, wait_for
from smtp_peer import Peer


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
    """DNS trouble and dead servers are temporary; no name, null MX, no address, a loop are permanent."""
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
        wait_for(lambda: remote("even.example")[-1].startswith("K") and one.messages and other.messages,
                 "both")


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
