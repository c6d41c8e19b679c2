"""Part 3: power cuts. What a run did to the disk is recorded; Pennypost is started on what a cut may leave of it."""
import os
import random
import re
import subprocess
import threading
import time

from instance import run, wait_for
from journal import CALLS, Journal
from world import Tally, World

USERS = ("alice", "bob")
MODES = ("none", "journal", "wild", "wild", "all")
TAKING_MODES = ("none", "wild", "wild")  # while messages are taken in from queue/drop, at every change and flush
PARTS = ("mess", "bounce", "drop", "taking", "bad")
SIZES = (300, 3000, 60_000, 300)
HUGE = 2_500_000  # does not fit into a memfd: it comes through queue/drop


class Lab:
    """An instance whose run is recorded once, and which then starts on many states."""

    def __init__(self, programs):
        self.world = World(programs, start=False)
        self.one = self.world.one
        self.queue = self.one.home / "queue"
        self.boxes = [self.one.user_home(user) / "Maildir" for user in USERS]
        self.owner = (self.queue / "mess").stat()
        self.trace = self.one.folder / "trace"
        self.count = 0

    def message(self, size):
        self.count += 1
        name = f"p{self.count}"
        return f"Subject: n{name}n\n\n" + f"{name} line\n" * (size // (len(name) + 6) + 1) + f"end {name}\n"

    # -- the run ----------------------------------------------------------------------------

    def record(self):
        """Two messages while nothing runs; then the start, and traffic. returns the Journal"""
        script = ["set -e"]
        for i in range(2):
            (self.one.folder / f"m{i}").write_text(self.message(500))
            (self.one.folder / f"e{i}").write_bytes(self.envelope())
            script.append(f"{self.one.home}/bin/qmail-queue <{self.one.folder}/m{i} 1<{self.one.folder}/e{i}")
        script.append(f"exec s6-svscan {self.one.home}/service")
        with open(self.one.folder / "s6-svscan.log", "ab") as log:
            self.one.scanner = subprocess.Popen(
                ["strace", "-f", "-y", "-xx", "-s", "4000000", "-e", f"trace={CALLS}", "-o", self.trace,
                 "sh", "-c", "\n".join(script)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env=self.one.env, cwd="/")
        self.one.wait_ready()
        threads = [threading.Thread(target=self.traffic, args=(count,)) for count in (4, 4, 4, 3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.one.wait_empty()
        time.sleep(1.5)  # the last flushes
        run("s6-svscanctl", "-t", self.one.home / "service", check=False)
        self.one.scanner.wait(30)
        self.one.scanner = None
        with open(self.trace, encoding="ascii", errors="replace") as file:
            lines = file.read().splitlines()
        self.trace.unlink()
        return Journal(lines, self.one.home, [self.queue, *self.boxes])

    def envelope(self):
        return b"Fs@remote.example\0" + b"".join(f"T{u}@me.example\0".encode() for u in USERS) + b"\0"

    def traffic(self, count):
        import smtplib
        with smtplib.SMTP(self.one.ip, self.one.port, "client.example", timeout=60) as smtp:
            for i in range(count):
                size = HUGE if count == 3 and i == 1 else SIZES[i]
                smtp.sendmail("s@remote.example", [f"{u}@me.example" for u in USERS], self.message(size))

    # -- a state ----------------------------------------------------------------------------

    def wipe(self):
        for part in PARTS:
            for file in (self.queue / part).rglob("*"):
                if not file.is_dir():
                    file.unlink()
        for box in self.boxes:
            for part in ("new", "cur", "tmp"):
                for file in (box / part).iterdir():
                    file.unlink()

    def lay_out(self, state):
        """Make the files of a state as their owners had them."""
        self.wipe()
        made = {}
        for path, (mode, content, identity) in state.items():
            if identity in made:
                os.link(made[identity], path)
                continue
            made[identity] = path
            with open(path, "wb") as file:
                file.write(content)
            os.chmod(path, mode)
            if path.startswith(str(self.queue)):
                owner = (0, 0) if "/drop/" in path else (self.owner.st_uid, self.owner.st_gid)
            else:
                owner = next(self.one.users[u][:2] for u, b in zip(USERS, self.boxes) if path.startswith(str(b)))
            os.chown(path, *owner)

    def services(self, what, *options):
        for service in ("qmail-send", "qmail-queued"):
            self.one.run("s6-svc", *options, what, self.one.home / "service" / service, check=False)

    def try_state(self, tally, journal, cut, mode, chance):
        self.services("-d", "-wd", "-T", "20000")
        wait_for(lambda: not self.one.processes("qmail-local"), "the end of the deliveries")
        self.lay_out(journal.state(cut, mode, chance))
        tally.cases += 1
        tally.hit += 1
        self.services("-u")
        self.check(tally, f"cut at {cut}, {mode}", [f.content for f in journal.acknowledged(cut)])

    def check(self, tally, case, accepted):
        left = self.world.settle()
        if left:
            tally.fault(case, f"stuck: {left}\n{self.one.tail()}")
        tally.accepted += len(accepted)
        names = {name_of(bytes(content)) for content in accepted}
        for user, box in zip(USERS, self.boxes):
            found = [(f, f.read_bytes()) for part in ("new", "cur") for f in (box / part).iterdir()]
            got = [name_of(text) for _, text in found]
            for file, text in found:
                if not text.rstrip(b"\n").endswith(b"end " + name_of(text)):
                    tally.fault(case, f"half a message in {file}: {len(text)} bytes {text[-30:]!r}")
            for name in names - set(got):
                tally.lost += 1
                tally.fault(case, f"lost: {name.decode()} for {user}\n{self.one.tail()}")
            for name in set(got):
                if got.count(name) > 1:
                    tally.twice += 1
                    tally.fault(case, f"{name.decode()} is {got.count(name)} times in the Maildir of {user}\n"
                                f"{self.one.tail()}")


def name_of(text):
    match = re.search(rb"Subject: n(\S+)n\n", text[:3000])
    return match[1] if match else b"?"


def power(programs, is_short, names=None):
    """Power cuts, by a model of the disk."""
    tally = Tally("power cut, modelled")
    lab = Lab(programs)
    chance = random.Random(random.random())
    try:
        journal = lab.record()
        cuts = journal.ends
        complete = sum(1 for _ in journal.acknowledged(10 ** 9))
        print(f"  recorded: {len(journal.changes)} changes, {len(journal.flushes)} flushes, {complete} messages accepted",
              flush=True)
        if complete < 17:
            tally.fault("the run", f"only {complete} of 17 messages are in the trace")
        lab.world.one.start()
        many = 5 if is_short else 150
        cases = [(cuts[int((i + chance.random()) * len(cuts) / many)], MODES[i % len(MODES)]) for i in range(many)]
        taking = [(cut, mode) for cut in journal.ends_at("/queue/taking") for mode in TAKING_MODES]
        cases += chance.sample(taking, min(3, len(taking))) if is_short else taking
        for cut, mode in cases:
            lab.try_state(tally, journal, cut + 1, mode, chance)
    finally:
        lab.world.close()
    print(tally.line(), flush=True)
    return [tally]
