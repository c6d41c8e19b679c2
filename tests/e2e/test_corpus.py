"""Real messages, many malformed, arrive byte for byte: SMTP, queue, Maildir."""
import os
import re
from pathlib import Path

import pytest

from smtp_client import Client

DATA = Path(os.environ.get("CORPUS", Path(__file__).parents[1] / "data/mail"))
ADDED = re.compile(
    rb"Return-Path: <sender@remote\.example>\n"
    rb"Delivered-To: alice-(\d+)@me\.example\n"
    rb"Received: \(qmail \d+ invoked from network\); \d+ \w{3} \d{4} \d\d:\d\d:\d\d -0000\n"
    rb"Received: from \S+ \(HELO client\.example\) \(127\.0\.0\.1\)\n"
    rb"  by me\.example with ESMTP; \d+ \w{3} \d{4} \d\d:\d\d:\d\d -0000\n")


def corpus():
    return sorted(f for f in DATA.rglob("*") if f.suffix in (".eml", ".msg"))


def as_lines(raw):
    """The message with LF line ends, the last one included."""
    text = re.sub(rb"\r\n|\r|\n", b"\n", raw)
    return text if text.endswith(b"\n") or not text else text + b"\n"


def on_the_wire(text):
    return re.sub(rb"(?m)^\.", b"..", text).replace(b"\n", b"\r\n") + b"."


def connect(instance):
    client = Client(instance.ip, instance.port)
    client.say(b"EHLO client.example")
    return client


def send(client, wire, number):
    """A message that ends with its dot; returns the last reply."""
    *_, reply = client.ask(b"MAIL FROM:<sender@remote.example>", b"RCPT TO:<alice-%d@me.example>" % number,
                           b"DATA", wire)
    return reply


@pytest.fixture(scope="module")
def sent(instance):
    """Every message sent over one connection; {number: file}."""
    instance.dot_qmail("alice", "./Maildir/", ext="default")
    client = connect(instance)
    files = dict(enumerate(corpus()))
    for number, file in files.items():
        reply = send(client, on_the_wire(as_lines(file.read_bytes())), number)
        assert reply.startswith(b"250 "), (file, reply)
    return files


def test_the_corpus_is_there():
    """Nothing that follows is tested with an empty folder."""
    assert len(corpus()) >= 290


def test_messages_arrive_byte_for_byte(instance, sent):
    """Below the added lines each Maildir file is the message, and nothing comes twice."""
    arrived = {}
    for mail in instance.wait_mail(count=len(sent)):
        head = ADDED.match(mail)
        assert head, mail[:600]
        number = int(head.group(1))
        assert number not in arrived
        arrived[number] = mail[head.end():]
    assert sorted(arrived) == sorted(sent)
    for number, file in sent.items():
        assert arrived[number] == as_lines(file.read_bytes()), file
    instance.wait_empty()


def test_messages_with_bare_line_ends_are_refused(instance, sent):
    """As they lie in their files some have bare CR or LF: 554, and nothing arrives."""
    refused = 0
    before = len(instance.maildir())
    for file in sent.values():
        raw = file.read_bytes()
        rest = raw.replace(b"\r\n", b"")
        if b"\r" not in rest or b"\r\n.\r\n" in raw:
            continue
        reply = send(connect(instance), re.sub(rb"(?<=\r\n)\.", b"..", raw) + b"\r\n.", 9999)
        assert reply.startswith(b"554 5.6.11"), (file, reply)
        refused += 1
    assert refused >= 80
    instance.wait_empty()
    assert len(instance.maildir()) == before
