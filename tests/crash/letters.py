"""Numbered messages to every kind of recipient, for the power cuts: did each arrive, or a notice come back?

alice, bob: Maildirs, exactly once; a burst goes to alice alone. far: at another server; late: at one that
refuses for now; nobody: no such user, the sender has a Maildir and gets a notice. These three at least once:
a cut may repeat them.
"""
import itertools
import re
import time
from collections import Counter

from smtp_peer import Peer

BOXES = ("alice", "bob")
SENDER = "carol@me.example"
FAR, LATE, NOBODY = "far@far.example", "late@late.example", "nobody@me.example"
MORE = ((FAR,), (), (LATE, NOBODY), (FAR, LATE))  # recipients beside BOXES, in turn
PORTS = {FAR: 2527, LATE: 2528}
NOT_COPIED = b"--- Rest of message not copied."


def name_of(text):
    """Also of a notice: it has a copy."""
    match = re.search(rb"^Subject: n(\S+)n\r?\n", text[:4000], re.M)
    return match[1].decode() if match else "?"


def is_whole(text):
    end = text.rstrip(b"\r\n")
    return end.endswith((b"end " + name_of(text).encode(), NOT_COPIED))


class Taken(list):
    """The messages of a peer; times: when it had each, and its name."""

    def __init__(self):
        super().__init__()
        self.times = []

    def append(self, message):
        if not message.strip():  # what a pipelining client sends when its only recipient was refused
            return
        self.times.append((time.time(), name_of(message)))
        super().append(message)

    def clear(self):
        super().clear()
        self.times.clear()


class Letters:
    """The messages of one instance, and the peers for them."""

    def __init__(self, one):
        self.one, self.is_refusing = one, False
        self.numbers = itertools.count()
        one.control("smtproutes", "\n".join(f"{address.partition('@')[2]}:127.0.0.1:{port}"
                                            for address, port in PORTS.items()))
        self.peers = {FAR: Peer(port=PORTS[FAR], ip="127.0.0.1"),
                      LATE: Peer(port=PORTS[LATE], ip="127.0.0.1", rcpt=self.answer_late)}
        for peer in self.peers.values():
            peer.messages = Taken()

    def close(self):
        for peer in self.peers.values():
            peer.close()

    def answer_late(self, _):
        return b"451 4.3.0 later" if self.is_refusing else b"250 2.1.5 ok"

    def new(self, size=300, kind="p"):
        """kind: "b" in a burst. returns name, text, recipients"""
        name = f"{kind}{next(self.numbers)}"
        text = f"Subject: n{name}n\n\n" + f"{name} line\n" * (size // (len(name) + 6) + 1) + f"end {name}\n"
        return name, text, self.recipients(name)

    @staticmethod
    def recipients(name):
        if name[0] == "b":
            return [f"{BOXES[0]}@me.example"]
        return [*(f"{user}@me.example" for user in BOXES), *MORE[int(name[1:]) % len(MORE)]]

    def boxes(self):
        return [self.one.user_home(user) / "Maildir" for user in (*BOXES, "carol")]

    def taken(self, before=None):
        """How often the peers have had each message, before a moment: Counter of (address, name)."""
        return Counter((address, name) for address, peer in self.peers.items()
                       for moment, name in list(peer.messages.times) if before is None or moment < before)

    def forget(self):
        """Empty the Maildirs and the peers."""
        for box in self.boxes():
            for part in ("new", "cur", "tmp"):
                for file in (box / part).iterdir():
                    file.unlink()
        for peer in self.peers.values():
            peer.messages.clear()

    def check(self, tally, case, accepted, earlier=None):
        """accepted: names; earlier: what the peers had besides, as taken() gives it."""
        tally.accepted += len(accepted)
        got = self.taken() + (earlier or Counter())
        texts = {address: list(peer.messages) for address, peer in self.peers.items()}
        for address, user in [(f"{user}@me.example", user) for user in BOXES] + [(NOBODY, "carol")]:
            texts[address] = self.one.maildir(user)
            got.update((address, name_of(text)) for text in texts[address])
        for address, each in texts.items():
            for text in each:
                if not is_whole(text):
                    tally.fault(case, f"half a message at {address}: {name_of(text)}, {len(text)} bytes")
        for name in sorted(accepted):
            missing = [address for address in self.recipients(name) if not got[address, name]]
            tally.lost += bool(missing)
            if missing:
                tally.fault(case, f"lost: {name} for {missing}\n{self.one.tail()}")
        for (address, name), count in got.items():
            if count > 1 and address.partition("@")[0] in BOXES:
                tally.twice += 1
                tally.fault(case, f"{name} is {count} times in the Maildir of {address}\n{self.one.tail()}")
            elif count > 1:
                tally.twice_remote += 1
