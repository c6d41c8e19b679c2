"""Where the mail of the local recipient goes: a Maildir, two mboxes, a program, or somebody else's Maildir.

most: so often a message may be there, whatever crashes; may_cut: may a kill leave part of one there?
instructions: the .qmail file that leads there.
"""
import os
import re

EARLIER = b"From a@b.example Fri Nov 20 10:39:14 2026\nSubject: earlier\n\nthe end of the earlier message\n"
FROM_ = re.compile(rb"(?:\A|(?<=\n\n))(?=From )")  # a line behind an empty one


def mark_of(sent):
    return f"Subject: n{sent.name}n\n".encode()


class Maildir:
    """Nothing is there by halves, or twice."""
    most, may_cut, instructions = 1, False, None

    def __init__(self, one, user):
        self.one, self.user = one, user

    def counts(self, sent):
        """How often it is there whole, and how often in part: one pair for each file or Maildir"""
        found = [text for text in self.one.maildir(self.user) if mark_of(sent) in text]
        # qmail-smtpd and qmail-queued put their lines above
        whole = sum(text.endswith(sent.text.encode()) for text in found)
        return [(whole, len(found) - whole)]

    def damage(self):
        """What is wrong with the rest; "" nothing"""
        return ""

    def forget(self):
        for part in ("new", "cur"):
            for file in (self.one.user_home(self.user) / "Maildir" / part).iterdir():
                file.unlink()


class Forward(Maildir):
    """To bob, who has a Maildir. A crash may forward a message once more, as another one."""
    most, may_cut, instructions = 2, False, "&bob@me.example"

    def __init__(self, one, _):
        super().__init__(one, "bob")


class Program:
    """One that appends its input to a file."""
    most, may_cut, instructions = 2, False, "|cat >>Output"

    def __init__(self, one, user):
        self.path = one.user_home(user) / "Output"

    def counts(self, sent):
        text = self.path.read_bytes() if self.path.exists() else b""
        whole = text.count(sent.text.encode())
        return [(whole, text.count(mark_of(sent)) - whole)]

    def damage(self):
        return ""

    def forget(self):
        self.path.unlink(missing_ok=True)


def read_mbox(path):
    """The messages that a reader sees: a From_ line counts only behind an empty line."""
    return [entry for entry in FROM_.split(path.read_bytes()) if entry] if path.exists() else []


class Mbox:
    """Two files: in one is a message already, the other is new. What a kill has cut off may stay there, and
    is a message of its own to a reader."""
    most, may_cut, instructions = 2, True, "./Mailbox\n./Another"

    def __init__(self, one, user):
        self.owner = one.users[user][:2]
        self.old, self.new = (one.user_home(user) / name for name in self.instructions.split())
        self.forget()

    def counts(self, sent):
        return [self.count(sent, path) for path in (self.old, self.new)]

    @staticmethod
    def count(sent, path):
        mark, text = mark_of(sent), sent.text.encode() + b"\n"  # an empty line follows
        found = [entry for entry in read_mbox(path) if mark in entry]
        whole = sum(entry.endswith(text) and entry.count(mark) == 1 for entry in found)
        return whole, len(found) - whole

    def damage(self):
        first = read_mbox(self.old)[:1]
        return "" if first == [EARLIER + b"\n"] else "what was in the mbox before is not whole"

    def forget(self):
        self.new.unlink(missing_ok=True)
        self.old.write_bytes(EARLIER + b"\n")
        self.old.chmod(0o600)
        os.chown(self.old, *self.owner)


PLACES = {"mbox": Mbox, "program": Program, "forward": Forward}
