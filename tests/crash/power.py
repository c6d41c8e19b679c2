"""Part 3: power cuts. A run's changes of the disk are recorded; Pennypost is started on what a cut leaves."""
import hashlib
import os
import random
import smtplib
import subprocess
import threading
import time
from collections import Counter

from gather import BURST, deliver_at_once, expects_syncfs
from instance import run, wait_for
from journal import CALLS, Journal
from letters import LATE, SENDER, Letters, name_of
from world import MOST, Tally, World

MODES = ("none", "journal", "wild", "wild", "all")
TAKING_MODES = ("none", "wild", "wild")  # a sample of its own: while messages are taken in from queue/drop
PARTS = ("mess", "drop", "taking", "bad")
BURST_FOLDERS = ("/queue/mess/", "/Maildir/tmp/")  # of what syncfs is called for
FOLDERS = {"mess": "/queue/mess", "drop": "/queue/drop", "taking": "/queue/taking", "new": "/Maildir/new"}
SIZES = (300, 3000, 60_000, 300)
MESSAGES = 17
RECOVERIES = 12  # that are recorded, and cut in turn
HUGE = 2_500_000  # does not fit into a memfd: it comes through queue/drop


class Recording:
    """A run: its journal, when the peers had what, and what had been accepted and taken before it."""

    def __init__(self, journal, times, accepted=frozenset(), earlier=None):
        self.journal, self.times, self.accepted, self.earlier = journal, times, accepted, earlier or Counter()

    def promised(self, cut):
        """returns the names that had been accepted, and what the peers had, by then"""
        accepted = {name_of(bytes(file.content)) for file in self.journal.acknowledged(cut)}
        moment = self.journal.time_of(cut)
        taken = Counter((address, name) for address, times in self.times.items()
                        for then, name in times if then < moment)
        return self.accepted | accepted, self.earlier + taken


class Lab:
    """An instance whose run is recorded once, and which then starts on many states."""

    def __init__(self, programs):
        self.world = World(programs, start=False)
        self.one = self.world.one
        self.letters = Letters(self.one)
        self.queue = self.one.home / "queue"
        self.boxes = self.letters.boxes()
        self.owner = (self.queue / "mess").stat()
        self.trace = self.one.folder / "trace"
        self.tried = set()  # states, and what was promised in them

    def close(self):
        self.letters.close()
        self.world.close()

    # -- the run ----------------------------------------------------------------------------

    def record(self):
        """Two messages while nothing runs; then the start, and traffic. returns a Recording"""
        script = []
        for i in range(2):
            _, text, recipients = self.letters.new(500)
            (self.one.folder / f"m{i}").write_text(text)
            (self.one.folder / f"e{i}").write_bytes(envelope(recipients))
            files = f"<{self.one.folder}/m{i} 1<{self.one.folder}/e{i}"
            script.append(f"{self.one.home}/bin/qmail-queue {files}")
        self.letters.is_refusing = True

        def work():
            threads = [threading.Thread(target=self.traffic, args=(count,)) for count in (4, 4, 4, 3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            deliver_at_once(self.one, [threading.Thread(target=self.one_of_burst) for _ in range(BURST)])
            self.wait_tried()
            self.letters.is_refusing = False
            self.settle()
        return Recording(self.traced(script, work), self.times())

    def record_recovery(self, recording, cut, mode, chance):
        """The start on what a cut leaves: a cut may come then, too. returns a Recording"""
        self.one.stop()
        state = recording.journal.state(cut, mode, chance)
        self.lay_out(state)
        journal = self.traced([], self.settle, state)
        return Recording(journal, self.times(), *recording.promised(cut))

    def times(self):
        return {address: list(peer.messages.times) for address, peer in self.letters.peers.items()}

    def traced(self, script, work, state=None):
        """The start, some work and the end under strace. returns the Journal"""
        script = ["set -e", *script, f"exec s6-svscan {self.one.home}/service"]
        with open(self.one.folder / "s6-svscan.log", "ab") as log:
            self.one.scanner = subprocess.Popen(
                ["strace", "-f", "-ttt", "-y", "-xx", "-s", "4000000", "-e", f"trace={CALLS}",
                 "-o", self.trace, "sh", "-c", "\n".join(script)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env=self.one.env, cwd="/")
        self.one.wait_ready()
        work()
        time.sleep(1.5)  # the last flushes
        run("s6-svscanctl", "-t", self.one.home / "service", check=False)
        self.one.scanner.wait(30)
        self.one.scanner = None
        with open(self.trace, encoding="ascii", errors="replace") as file:
            lines = file.read().splitlines()
        self.trace.unlink()
        return Journal(lines, self.one.home, [self.queue, *self.boxes], state)

    def settle(self):
        left = self.world.settle()
        assert not left, f"a run that is recorded does not end: {left}\n{self.one.tail()}"

    def wait_tried(self):
        """Until only that is left which was refused."""
        late = sum(LATE in self.letters.recipients(f"p{i}") for i in range(MESSAGES))
        self.one.wait_log(": deferral: ", count=late)
        wait_for(lambda: len(self.one.queue_files()) == late, "the end of the first deliveries")

    def traffic(self, count):
        with smtplib.SMTP(self.one.ip, self.one.port, "client.example", timeout=60) as smtp:
            for i in range(count):
                size = HUGE if count == 3 and i == 1 else SIZES[i]
                _, text, recipients = self.letters.new(size)
                smtp.sendmail(SENDER, recipients, text)

    def one_of_burst(self):
        with smtplib.SMTP(self.one.ip, self.one.port, "client.example", timeout=60) as smtp:
            _, text, recipients = self.letters.new(kind="b")
            smtp.sendmail(SENDER, recipients, text)

    # -- a state ----------------------------------------------------------------------------

    def wipe(self):
        for part in PARTS:
            for file in (self.queue / part).rglob("*"):
                if not file.is_dir():
                    file.unlink()
        self.letters.forget()

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
                owner = next((uid, gid) for uid, gid, home in self.one.users.values()
                             if path.startswith(f"{home}/"))
            os.chown(path, *owner)

    def services(self, what, *options):
        for service in ("qmail-send", "qmail-queued"):
            self.one.run("s6-svc", *options, what, self.one.home / "service" / service, check=False)

    def try_state(self, tally, recording, cut, mode, chance):
        state = recording.journal.state(cut, mode, chance)
        accepted, earlier = recording.promised(cut)
        mark = digest(state, accepted, earlier)
        if mark in self.tried:
            return
        self.tried.add(mark)
        self.services("-d", "-wd", "-T", "20000")
        wait_for(lambda: not self.one.processes("qmail-local") + self.one.processes("qmail-remote"),
                 "the end of the deliveries")
        self.lay_out(state)
        tally.cases += 1
        tally.hit += 1
        self.services("-u")
        case = f"cut at {cut}, {mode}"
        left = self.world.settle()
        if left:
            tally.fault(case, f"stuck: {left}\n{self.one.tail()}")
        self.letters.check(tally, case, accepted, earlier)


def envelope(recipients):
    return f"F{SENDER}\0".encode() + b"".join(b"T" + r.encode() + b"\0" for r in recipients) + b"\0"


def digest(state, *more):
    """The same for the same files; names of inodes are not part of it."""
    links = {}
    text = hashlib.sha256()
    for path, (bits, content, identity) in sorted(state.items()):
        text.update(repr((path, bits, len(content), links.setdefault(identity, path))).encode())
        text.update(content)
    text.update(repr([sorted(each) for each in more]).encode())
    return text.digest()


def all_cases(journal, names=None):
    """Every moment at which the disk may have changed, in every way. names: while these folders did"""
    cuts = journal.ends
    if names:
        cuts = sorted({end for name in names for end in (
            journal.ends_at(FOLDERS[name]) if name in FOLDERS else around_syncfs(journal))})
    return [(cut, mode) for cut in cuts for mode in MODES]


def around_syncfs(journal):
    return [end for folder in BURST_FOLDERS for end in journal.ends_by_syncfs(folder)]


def some(cases, most, chance):
    """At most so many, in their order."""
    return sorted(chance.sample(cases, min(most, len(cases))))


def few_cases(journal, chance):
    """A few of them, over the run, while messages are taken in from queue/drop, and around a syncfs."""
    cuts = journal.ends
    taking = [(cut, mode) for cut in journal.ends_at("/queue/taking") for mode in TAKING_MODES]
    burst = [(cut, "none") for cut in around_syncfs(journal)]
    return [(cuts[int((i + chance.random()) * len(cuts) / 5)], MODES[i % len(MODES)]) for i in range(5)] + \
        some(taking, 3, chance) + some(burst, 2, chance)


def try_cases(lab, tally, recording, cases, chance):
    for number, (cut, mode) in enumerate(cases):
        lab.try_state(tally, recording, cut + 1, mode, chance)
        if number % 200 == 199:
            print(f"  {number + 1} of {len(cases)} states, {tally.cases} of them unlike", flush=True)


def try_recoveries(lab, tally, recording, is_short, chance):
    """A second cut, while Pennypost recovers from the first."""
    for _ in range(1 if is_short or MOST else RECOVERIES):
        cut, mode = chance.choice(all_cases(recording.journal))
        if is_short:
            mode = "none"  # others leave more torn files, for which qmail-send waits 10 seconds
        recovery = lab.record_recovery(recording, cut + 1, mode, chance)
        lab.one.start()
        again = some(all_cases(recovery.journal), 2 if is_short or MOST else 100, chance)
        try_cases(lab, tally, recovery, again, chance)


def power(programs, is_short, names=None):
    """Power cuts, by a model of the disk."""
    tallies = [Tally("power cut, modelled"), Tally("power cut while it recovers, modelled")]
    lab = Lab(programs)
    chance = random.Random(random.random())
    try:
        recording = lab.record()
        journal = recording.journal
        accepted, _ = recording.promised(10 ** 9)
        cases = few_cases(journal, chance) if is_short else all_cases(journal, names)
        if MOST:
            cases = some(cases, MOST, chance)
        print(f"  recorded: {len(journal.changes)} changes, {len(journal.flushes)} flushes, "
              f"{len(journal.together)} of them by syncfs, "
              f"{len(accepted)} messages accepted; {len(cases)} states", flush=True)
        sent = MESSAGES + BURST
        if len(accepted) < sent:
            tallies[0].fault("the run", f"only {len(accepted)} of {sent} messages are in the trace")
        for folder in BURST_FOLDERS if expects_syncfs(lab.one.home) else ():
            if not journal.ends_by_syncfs(folder):
                tallies[0].fault("the run", f"no flush by syncfs of what is in {folder}")
        lab.one.start()
        try_cases(lab, tallies[0], recording, cases, chance)
        try_recoveries(lab, tallies[1], recording, is_short, chance)
    finally:
        lab.close()
    for tally in tallies:
        print(tally.line(), flush=True)
    return tallies
