"""The log of qmail-send, read by a parser that knows nothing but the published form of its lines."""
import re

SAFE = r"[!-$&-~]*"  # no blank, no '%', no control byte
LINES = {
    "new": r"new msg (?P<id>\d+)",
    "info": rf"info msg (?P<id>\d+): bytes (?P<bytes>\d+) from <(?P<sender>{SAFE})> "
            r"qp (?P<qp>\d+) uid (?P<uid>\d+)",
    "start": rf"starting delivery (?P<d>\d+): msg (?P<id>\d+) to (?P<channel>local|remote) "
             rf"(?P<address>{SAFE})",
    "done": rf"delivery (?P<d>\d+): (?P<how>success|deferral|failure): (?P<reason>{SAFE})",
    "mangled": r"delivery (?P<d>\d+): report mangled, will defer",
    "bounce": r"bounce msg (?P<id>\d+) qp (?P<qp>\d+)",
    "triple": r"triple bounce: discarding (?P<file>\S+)",
    "end": r"end msg (?P<id>\d+)",
    "status": r"status: local (?P<l>\d+)/(?P<L>\d+) remote (?P<r>\d+)/(?P<R>\d+)( exitasap)?",
    "exiting": r"status: exiting",
    "alert": r"alert: .*",
    "warning": r"warning: .*",
}
KNOWN = re.compile(r"(new|info|starting|delivery|bounce|triple|end|status)\b")


class Reader:
    """Follows the life of each message and each delivery, and fails where a line breaks it."""

    def __init__(self):
        self.messages, self.deliveries, self.ended = {}, {}, []
        self.running = {"local": 0, "remote": 0}
        self.last_delivery = 0

    def read(self, lines):
        for line in lines:
            for kind, form in LINES.items():
                match = re.fullmatch(form, line)
                if match:
                    getattr(self, "on_" + kind, lambda m: None)(match)
                    break
            else:
                assert not KNOWN.match(line), f"mangled: {line!r}"
        return self

    def on_new(self, m):
        assert m["id"] not in self.messages, "an id may be used again only after its end"
        self.messages[m["id"]] = {"deliveries": []}

    def on_info(self, m):
        message = self.messages[m["id"]]
        assert "sender" not in message
        message.update(m.groupdict())

    def on_start(self, m):
        number = int(m["d"])
        assert number == self.last_delivery + 1, "delivery numbers follow each other"
        self.last_delivery = number
        delivery = {**m.groupdict(), "how": None}
        assert "sender" in self.messages[m["id"]]
        self.messages[m["id"]]["deliveries"].append(delivery)
        self.deliveries[number] = delivery

    def on_done(self, m):
        delivery = self.deliveries.pop(int(m["d"]))
        delivery.update(how=m["how"], reason=m["reason"])

    def on_bounce(self, m):
        assert any(d["how"] == "failure" for d in self.messages[m["id"]]["deliveries"])

    def on_end(self, m):
        message = self.messages.pop(m["id"])
        assert all(d["how"] for d in message["deliveries"])
        self.ended.append(message)

    def on_status(self, m):
        assert int(m["l"]) <= int(m["L"]) and int(m["r"]) <= int(m["R"])
        self.running = {"local": int(m["l"]), "remote": int(m["r"])}


def test_every_queued_id_has_its_life_in_the_log(instance):
    """Each message: new, info, deliveries that start and end once, and at last its end msg."""
    instance.control("smtproutes", ":127.0.0.1:9")
    instance.control("virtualdomains", "virtual.example:alice-v")
    instance.dot_qmail("alice", "./Maildir/", "v-default")
    instance.dot_qmail("bob", "|printf 'two words\\n100%% sure\\n'; exit 0")
    instance.reload()
    body = b"Subject: x\n\n" + b"line\n" * 100
    for _ in range(40):
        instance.inject(body, "carol@me.example", "alice@me.example", "bob@me.example")
    instance.inject(body, "carol@me.example", "any.one@virtual.example", "nobody@me.example")
    instance.inject(body, 'odd "%\x01\xe9\t sender@me.example', "alice@me.example",
                    "carol@me.example")
    instance.inject(body, "#@[]", "nobody@me.example")
    instance.inject(body, "", "nobody@me.example")
    instance.wait_empty()
    instance.wait_log("end msg", count=44 + 2)
    reader = Reader().read(instance.log())
    assert not reader.messages and not reader.deliveries
    assert reader.running == {"local": 0, "remote": 0}

    senders = [m["sender"] for m in reader.ended]
    assert senders.count("carol@me.example") == 41
    assert 'odd_"______sender@me.example' in senders, senders
    first = next(m for m in reader.ended if m["sender"] == "carol@me.example")
    assert int(first["bytes"]) > len(body), "the message with our Received line"
    assert sorted(d["address"] for d in first["deliveries"]) == [
        "alice@me.example", "bob@me.example"]
    program = next(d for d in first["deliveries"] if d["address"].startswith("bob"))
    assert program["how"] == "success"
    assert "two_words/100__sure/" in program["reason"], program
    virtual = next(d for m in reader.ended for d in m["deliveries"] if "virtual" in d["address"])
    assert virtual["address"] == "alice-v-any.one@virtual.example"
    failed = next(d for m in reader.ended for d in m["deliveries"] if d["how"] == "failure")
    assert "(#5.1.1)" in failed["reason"]
    log = instance.log()
    assert len([line for line in log if line.startswith("triple bounce: discarding bounce/")]) == 1
    assert len([line for line in log if line.startswith("bounce msg ")]) == 2


def test_the_info_line_names_who_queued_it(instance):
    """uid is the uid of the process that injected, qp its process id, as the Received line says."""
    instance.run(instance.home / "bin/qmail-inject", "-a", "-f", "bob@me.example",
                 "alice@me.example", input="Subject: who\n\n", user=5002, group=5002,
                 extra_groups=[])
    line = instance.wait_log("from <bob@me.example>")[-1]
    match = re.fullmatch(LINES["info"], line)
    assert match["uid"] == "5002"
    mail = instance.wait_for(lambda: next(
        (m for m in instance.maildir("alice") if b"Subject: who" in m), None), "the mail")
    assert f"(qmail {match['qp']} invoked by uid 5002)".encode() in mail


def test_a_deferral_names_its_reason_and_leaves_the_message_open(instance):
    """A message that stays in the queue has a deferral and no end msg."""
    instance.control("smtproutes", ":127.0.0.1:9")
    instance.reload()
    instance.inject(b"Subject: later\n\n", "carol@me.example", "x@late.example")
    line = instance.wait_log("deferral: ")[-1]
    match = re.fullmatch(LINES["done"], line)
    assert match["how"] == "deferral" and "(#4.4.1)" in match["reason"]
    instance.wait_for(lambda: len(instance.queue_files()) == 1, "the end of all others")
    (message,) = instance.wait_for(
        lambda: (left := list(Reader().read(instance.log()).messages.values()))
        and len(left) == 1 and left, "one open message")
    assert [d["channel"] for d in message["deliveries"]] == ["remote"]
