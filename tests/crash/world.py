"""A Pennypost that gets broken, a peer that takes mail, and the question whether anything was lost."""
import os
import smtplib
import subprocess
import time
from pathlib import Path

from boxes import Maildir, mark_of
from instance import PATIENCE, SERVICES, Instance, comes_true, remove_tree
from smtp_peer import Peer

MOST = int(os.environ.get("CRASH_MOST") or 0)  # cases of each program, states in power; 0: all of them
SINK_PORT = 2526
DETAILS = Path(__file__).resolve().parents[2] / "build/crash.out"  # the logs at each fault
DROP_PATIENCE = PATIENCE + 40
# In the order in which a message passes through them.
FOLDERS = ("drop", "taking", *(f"mess/{number}" for number in range(23)))
LOCAL, REMOTE = "alice@me.example", "bob@sink.example"
NOBODY, SENDER = "nobody@me.example", "carol@sink.example"  # the notice goes to our peer
NOTICE = b"This is the qmail-send program"
TEMPORARY = set(range(51, 100)) | {111}  # exit codes of qmail-queue that mean "try again"


class Sent:
    """One message: its name, what the sender was told, and where it has to arrive."""

    def __init__(self, name, text, local=True, remote=True, bounce=False):
        self.name, self.text, self.local, self.remote, self.bounce = name, text, local, remote, bounce
        self.acknowledged = False
        self.answer = ""  # code and text, or why there was none
        self.is_permanent = False
        self.is_hung = False  # no answer at all


class Tally:
    """What a series of cases came to."""

    def __init__(self, name):
        self.name, self.cases, self.hit, self.accepted = name, 0, 0, 0
        self.lost, self.twice, self.twice_remote, self.faults = 0, 0, 0, []
        self.repeated, self.torn = 0, 0  # not in Maildirs

    def fault(self, case, what):
        what, _, more = what.partition("\n")
        self.faults.append(f"{case}: {what}")
        print(f"  FAULT {self.name}: {case}: {what}", flush=True)
        DETAILS.parent.mkdir(exist_ok=True)
        with open(DETAILS, "a", encoding="utf-8") as details:
            print(f"==== {self.name}: {case}: {what}\n{more}", file=details)

    def add(self, other):
        for name in ("cases", "hit", "accepted", "lost", "twice", "twice_remote", "repeated", "torn",
                     "faults"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def line(self):
        return (f"{self.name}: {self.cases} cases, {self.hit} took effect, "
                f"{self.accepted} messages accepted, {self.lost} lost, {self.twice} twice in a Maildir, "
                f"{self.twice_remote} twice by SMTP, " +
                (f"{self.repeated} repeated, {self.torn} cut off in an mbox, " if self.repeated else "") +
                f"{len(self.faults)} faults")


class World:
    """An instance with a Maildir for alice@me.example, and a peer for everything at sink.example."""

    def __init__(self, programs, start=True, limits=False, **options):
        self.one = Instance(programs, **options)
        for service in () if limits else SERVICES:  # strace needs more than our programs
            self.one.write(f"service/{service}/env/MEMORY", "=\n")
        self.one.control("smtproutes", f"sink.example:127.0.0.1:{SINK_PORT}")
        self.one.control("sessionidle", "1")
        self.sink = Peer("127.0.0.1", SINK_PORT)
        self.count = 0
        self.use("alice")
        if start:
            self.one.start()

    def close(self):
        self.one.stop()
        self.sink.close()
        if not os.environ.get("KEEP"):
            remove_tree(self.one.folder)

    def use(self, user, place=Maildir):
        """Who the local recipient is, and where his mail goes."""
        self.user, self.place = user, place(self.one, user)

    # -- sending ----------------------------------------------------------------------------

    def new(self, size=300, **where):
        self.count += 1
        name = f"c{os.getpid()}x{self.count}"
        body = (f"line {name} of the body\n" * (size // 24 + 1)) + f"end {name}\n"
        return Sent(name, f"Subject: n{name}n\n\n{body}", **where)

    def recipients(self, sent):
        return [f"{self.user}@me.example"] * sent.local + [REMOTE] * sent.remote + [NOBODY] * sent.bounce

    def by_smtp(self, sent, timeout=PATIENCE):
        """Send it; what was said is in sent.answer."""
        try:
            with smtplib.SMTP(self.one.ip, self.one.port, "client.example", timeout=timeout) as smtp:
                smtp.ehlo()
                code, text = smtp.mail(SENDER)
                for recipient in self.recipients(sent):
                    if code < 300:
                        code, text = smtp.rcpt(recipient)
                if code < 300:
                    code, text = smtp.data(sent.text.replace("\n", "\r\n").encode())
                sent.answer = f"{code} {text.decode(errors='replace')}"
                sent.acknowledged = 200 <= code < 300
                sent.is_permanent = code >= 500
        except smtplib.SMTPResponseException as reply:
            sent.answer, sent.is_permanent = f"{reply.smtp_code} {reply.smtp_error}", reply.smtp_code >= 500
        except (OSError, smtplib.SMTPException) as error:
            sent.answer = sent.answer or f"connection: {error}"
            sent.is_hung = "timed out" in str(error)
        return sent

    def by_queue(self, sent):
        """Send it with bin/qmail-queue."""
        try:
            code = self.one.inject(sent.text.encode(), SENDER, *self.recipients(sent), check=False)
        except subprocess.TimeoutExpired:
            sent.answer, sent.is_hung = "no end of qmail-queue", True
            return sent
        sent.acknowledged, sent.answer = code == 0, f"exit {code}"
        sent.is_permanent = code > 0 and code not in TEMPORARY
        return sent

    # -- what arrived -----------------------------------------------------------------------

    def box(self):
        return self.one.user_home(self.user) / "Maildir"

    def arrived(self, sent):
        """How often it is in each place where it should be, how often the peer has it and how often a notice
        of its failure, and how many are incomplete there."""
        peer = [m for m in self.sink.messages if mark_of(sent).replace(b"\n", b"\r\n") in m]
        notices = [m for m in peer if NOTICE in m]
        remote = [m for m in peer if NOTICE not in m]
        text = sent.text.encode().rstrip(b"\n")
        torn = sum(not m.replace(b"\r\n", b"\n").rstrip(b"\n").endswith(text) for m in remote)
        return min(whole for whole, _ in self.place.counts(sent)), len(remote), len(notices), torn

    def forget(self):
        """Remove what arrived, and what was set aside."""
        self.place.forget()
        for file in (self.one.home / "queue/bad").iterdir():
            file.unlink()
        self.sink.messages.clear()
        self.sink.commands.clear()
        self.sink.packets.clear()
        self.sink.connections[:] = [c for c in self.sink.connections if c.fileno() >= 0]

    # -- recovery ---------------------------------------------------------------------------

    def is_ready(self, *services):
        folders = [self.one.home / "service" / service for service in services]
        return self.one.run("s6-svwait", "-U", "-t", 10, *folders, check=False).returncode == 0

    def doqueue(self, *services):
        """As qmailctl does: a signal would end a service that is just starting."""
        for service in services:
            if self.is_ready(service):
                self.one.run("s6-svc", "-a", self.one.home / "service" / service, check=False)

    def wait_ready(self, alone):
        """s6 starts a service at most once a second, unless it is told to."""
        if not alone and self.is_ready(*SERVICES):
            return
        for service in () if alone else SERVICES:
            self.one.run("s6-svc", "-u", self.one.home / "service" / service, check=False)
        self.one.wait_ready()

    def settle(self, patience=PATIENCE, alone=False):
        """Wait until every service is ready and the queue empty; returns what is still there. alone: nobody
        is told to make haste, but for qmail-send, which waits for hours before it tries again."""
        self.wait_ready(alone)
        began = start = time.monotonic()
        asked = 0
        while True:
            left = self.left() or self.left()  # twice: one may have moved while we looked
            if not left:
                return []
            # alone, queue/drop is looked at every 30 seconds, after a death of that helper in 60; only
            # what has been taken in from there can come to rest
            if any(name.startswith(("drop/", "taking/")) for name in left) and \
                    time.monotonic() < began + DROP_PATIENCE:
                start = time.monotonic()
            if time.monotonic() > start + patience:
                return left
            if time.monotonic() - asked > 0.4:
                self.doqueue("qmail-send", *(() if alone else ("qmail-queued",)))
                asked = time.monotonic()
            time.sleep(0.03)

    def left(self):
        """The messages in the queue, as "drop/NAME"."""
        queue = self.one.home / "queue"
        return [f"{folder}/{entry.name}" for folder in FOLDERS
                for entry in os.scandir(queue / folder) if entry.is_file()]

    def bad(self):
        return sorted(f.name for f in (self.one.home / "queue/bad").iterdir())

    def temporary(self):
        return sorted((self.box() / "tmp").iterdir())

    def check_local(self, tally, case, sent, may_cut):
        """Nothing by halves, and not too often. may_cut: what a kill has cut off may stay in an mbox"""
        counts = self.place.counts(sent)
        most, torn = max(whole for whole, _ in counts), sum(torn for _, torn in counts)
        if torn > self.place.may_cut * may_cut:
            tally.fault(case, f"half a message: {sent.name}")
        elif torn:
            tally.torn += 1
        if most > 1 and self.place.most == 1:
            tally.twice += 1
            tally.fault(case, f"{sent.name} is {most} times in the Maildir")
        elif most > (self.place.most if sent.acknowledged else 1):
            tally.fault(case, f"{sent.name} is delivered {most} times: {counts}")
        tally.repeated += most > 1

    def check(self, tally, case, messages, may_be_torn=False, alone=False, may_cut=False):
        """Everything has come to rest: were the promises kept? alone: see settle; may_cut: check_local"""
        left = self.settle(alone=alone)
        if left:
            tally.fault(case, f"stuck in the queue: {left}\n{self.one.tail()}")
        if self.bad() and not may_be_torn:
            tally.fault(case, f"set aside: {self.bad()}")
        for sent in messages:
            local, remote, notices, torn = self.arrived(sent)
            tally.accepted += sent.acknowledged
            if sent.acknowledged and (local < sent.local or remote < sent.remote or notices < sent.bounce):
                tally.lost += 1
                tally.fault(case, f"lost: {sent.name} local {local} remote {remote} bounced {notices}\n"
                            f"{self.one.tail()}")
            if torn:
                tally.fault(case, f"half a message: {sent.name}")
            self.check_local(tally, case, sent, may_cut)
            tally.twice_remote += remote > 1 or notices > 1
            if sent.is_hung:
                tally.fault(case, f"hangs: {sent.answer}\n{self.one.tail()}")
            if sent.is_permanent:
                tally.fault(case, f"permanent failure for a passing trouble: {sent.answer}")
        if self.place.damage():
            tally.fault(case, self.place.damage())
        if left:  # the next case begins clean
            self.purge()
        self.forget()

    def still_works(self, tally, case):
        """An honest client sends a message, which arrives whatever else goes on."""
        def arrives():
            return self.arrived(sent)[:2] == (1, 1)
        sent = self.by_smtp(self.new(), timeout=60)
        tally.accepted += sent.acknowledged
        if not (sent.acknowledged and comes_true(arrives, 60, 0.05)):
            tally.lost += sent.acknowledged
            tally.fault(case, f"an honest client is not served: {sent.answer} {self.arrived(sent)}\n"
                        f"{self.one.tail()}")

    def begin_anew(self):
        """After a fault: everything is stopped, the queue emptied, everything started."""
        self.one.stop()
        for name in self.left():
            (self.one.home / "queue" / name).unlink(missing_ok=True)
        self.forget()
        self.one.start()

    def purge(self):
        self.one.run("s6-svc", "-wd", "-T", PATIENCE * 1000, "-d",
                     self.one.home / "service/qmail-send", check=False)
        for name in self.left():
            (self.one.home / "queue" / name).unlink(missing_ok=True)
        self.one.run("s6-svc", "-u", self.one.home / "service/qmail-send", check=False)

    def check_temporary(self, tally):
        """What crashes left in Maildir/tmp goes away with a later delivery."""
        left = self.temporary()
        for file in left:
            os.utime(file, (time.time() - 48 * 3600,) * 2)
        if left:
            self.one.kill("qmail-local")
            sent = self.by_smtp(self.new(remote=False))
            self.check(tally, "sweep", [sent])
            comes_true(lambda: not self.temporary(), pause=0.1)
        if self.temporary():
            tally.fault("sweep", f"Maildir/tmp still has {[f.name for f in self.temporary()]}")
        return len(left)
