"""Parts 1 and 2: every program of the chain is killed at each of its system calls, or the call fails."""
import os
import random
import subprocess
import threading
import time
from collections import Counter, namedtuple
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path

from boxes import PLACES
from dns_server import Dns
from faults import KILL, NEVER_FAIL, failures, kills
from gather import BURST, GATHER, deliver_at_once, expects_syncfs, send_at_once
from homes import Homes
from instance import PATIENCE, comes_true, run
from smtp_peer import Peer
from tracing import Trap, calls, ordinals
from world import MOST, Tally

# name: the service it belongs to (restarted for a case), or None: it starts with the next message.
# -down: while qmail-queued is down, so that qmail-queue leaves the message in queue/drop; -large: with a
# message that goes by descriptor, through a file; -busy: several at a time, which share flushes;
# -dns: the server is found in the DNS; -mbox, -program, -forward: no Maildir
CHAIN = {
    "qmail-queue": None, "qmail-smtpd": None, "qmail-local": None, "qmail-remote": None,
    "qmail-queue-down": None, "qmail-queued": "qmail-queued", "qmail-start": "qmail-send",
    "qmail-send": "qmail-send", "qmail-lspawn": "qmail-send", "qmail-rspawn": "qmail-send",
    "qmail-getpw": "qmail-send",
    "qmail-queue-large": None, "qmail-smtpd-large": None, "qmail-local-large": None,
    "qmail-remote-large": None, "qmail-queued-large": "qmail-queued", "qmail-rspawn-large": "qmail-send",
    "qmail-queued-busy": "qmail-queued", "qmail-local-busy": None, "qmail-remote-dns": None,
    "qmail-local-mbox": None, "qmail-local-program": None, "qmail-local-forward": None,
}
VARIANTS = ("down", "large", "busy", "dns", *PLACES)
SMALL = 300  # bytes of a message
SIZES = {"large": 1_500_000, "mbox": 150_000}  # the latter is written in three parts
SHARE = 12  # cases that a home takes at a time
IDLE = 2.5  # seconds after which a delivery process without work has ended, and told its spawner
ENOUGH = 0.9  # of the cases must take effect
RECORDED = {}  # name: its calls, which serve both parts

# child: 0 the program itself, else which of the processes that it forks; first: where those begin
Call = namedtuple("Call", "name nth child first")
# alone: nothing hastens the recovery. beyond: go on with the next calls of this name until there is none
Case = namedtuple("Case", "call what alone beyond", defaults=(False, False))


class Series:
    """All cases of one program."""

    def __init__(self, world, name, tally, is_short):
        self.label, self.is_short = name, is_short
        program, _, variant = name.rpartition("-")
        self.name, self.variant = (program, variant) if variant in VARIANTS else (name, "")
        self.world, self.one, self.tally = world, world.one, tally
        self.service = CHAIN[name]
        self.folder = self.one.home / "service" / (self.service or "qmail-queued")
        self.trap = Trap(self.one, self.name)

    def service_down(self):
        self.one.run("s6-svc", "-wd", "-T", PATIENCE * 1000, "-d", self.folder, check=False)

    def service_up(self):
        """Until it is ready, or the call was reached."""
        self.one.run("s6-svc", "-u", self.folder)
        with subprocess.Popen(["s6-svwait", "-U", "-t", str(PATIENCE * 1000), str(self.folder)],
                              stderr=subprocess.DEVNULL) as waits:
            while waits.poll() is None and not self.trap.has_struck():
                time.sleep(0.01)
            waits.kill()

    def end_sessions(self):
        """Have the next delivery start a new process: the spawner must have seen the end of the old one, or
        the delivery is deferred."""
        if self.name in ("qmail-local", "qmail-remote"):
            pids = self.one.processes(self.name)
            self.one.kill(self.name)
            self.one.wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids),
                              f"the end of {self.name}")

    def wait_started(self):
        """What was deferred is tried again."""
        deadline = time.monotonic() + PATIENCE
        while not self.trap.wait_started(1) and time.monotonic() < deadline:
            self.world.doqueue("qmail-send")

    def new(self, bounce=False):
        is_local = self.variant == "busy" and not self.service
        return self.world.new(SIZES.get(self.variant, SMALL), bounce=bounce, remote=not is_local)

    def send(self):
        """returns the messages: one, or several that were sent at the same time"""
        is_busy = self.variant == "busy"
        messages = [self.new() for _ in range(BURST if is_busy else 1)]
        way = self.world.by_queue if self.name == "qmail-queue" else self.world.by_smtp
        threads = [threading.Thread(target=way, args=(sent,)) for sent in messages]
        if not is_busy:
            threads[0].start()
        elif self.service:
            # first the notice of the one that has waited: if its flush fails, it comes 10 seconds later
            comes_true(lambda: self.trap.has_struck() or not self.world.left(), GATHER)
            send_at_once(self.one, threads)
        else:
            deliver_at_once(self.one, threads)
        for thread in threads:
            thread.join()
        return messages

    def run(self, arm):
        """One case; arm is called when the program does not run. returns the messages that were sent"""
        messages = []
        if self.service:
            self.service_down()
            messages.append(self.new(bounce=True))  # it waits in the queue, or in queue/drop
            self.world.by_queue(messages[0])
            arm()
            self.service_up()
        else:
            self.end_sessions()
            if self.variant == "down":
                self.service_down()
            arm()
        messages += self.send()
        if not self.service:
            self.wait_started()
        if self.variant == "down":
            self.one.run("s6-svc", "-u", self.folder)
        return messages

    def wait_end(self):
        """What the program still does: when it has been idle, when it is told to end."""
        if self.name == "qmail-queue" or self.trap.wait_struck(IDLE):
            return
        if self.service:
            self.service_down()

    def record(self):
        """The calls of an undisturbed run, by the program itself and its children."""
        messages = self.run(lambda: self.trap.arm("-f"))
        self.world.check(self.tally, "undisturbed", messages)
        if not self.is_short:
            self.wait_end()
        if not messages[-1].acknowledged:
            self.tally.fault("undisturbed", messages[-1].answer)
        found = calls(self.trap.trace())
        listed = []
        for child, names in enumerate(found):
            first = names.pop(0) if child and names else ""
            listed += [Call(name, nth, child, first) for name, nth in ordinals(names)]
        if self.variant == "busy" and self.service:
            listed = [call for call in listed if call.child == 1]  # the flusher
        if self.variant == "busy" and expects_syncfs(self.one.home) and \
                not any(call.name == "syncfs" for call in listed):
            self.tally.fault("undisturbed", "no flush by syncfs")
        return listed

    def case(self, call, what, alone=False):
        """returns whether the call was reached"""
        options = f"-e trace={call.name} -e inject={call.name}:{what}:when={call.nth}"
        title = f"{call.name} {call.nth} {what}" + (f" in child {call.child}" if call.child else "")
        if call.child:
            messages = self.run(lambda: self.trap.arm_child(call.child, call.first, options))
        else:
            messages = self.run(lambda: self.trap.arm(options))
        if call.child and self.service:
            self.trap.wait_struck(IDLE)
        self.world.check(self.tally, title, messages, may_be_torn=True, alone=alone,
                         may_cut=what == KILL)
        self.wait_end()
        has_struck = self.trap.has_struck()
        self.trap.disarm()
        return has_struck

    def counted_case(self, case):
        """A case of the list; when it does not reach its call (their number varies a little), once more."""
        self.tally.cases += 1
        self.tally.hit += self.case(*case[:3]) or self.case(*case[:3])

    def go_on(self, last, what):
        """The calls behind the last of the list, until there is none."""
        while self.case(last := last._replace(nth=last.nth + 1), what):
            self.tally.cases += 1
            self.tally.hit += 1

    def try_case(self, case):
        try:
            if case.beyond:
                self.go_on(case.call, case.what)
            else:
                self.counted_case(case)
        except AssertionError as error:  # a service is not ready again, a process does not end
            call = case.call
            self.tally.fault(f"{call.name} {call.nth} {case.what} in child {call.child}",
                             f"no recovery: {error}")
            self.trap.disarm()
            self.world.begin_anew()

    def end(self):
        self.trap.disarm()
        self.trap.remove()
        self.world.wait_ready(alone=False)


def sample(cases, most):
    """At most so many, spread evenly over the run, from a random start."""
    if not most or len(cases) <= most:
        return cases
    step = len(cases) / most
    start = random.uniform(0, step)
    return [cases[int(start + i * step)] for i in range(most)]


def last_calls(listed):
    """The last call of each name, in each process."""
    return {(call.name, call.child): call for call in listed}.values()


@contextmanager
def account(world, name, uid):
    """The local recipient is somebody whom only qmail-getpw knows: without a line in users/assign."""
    if name not in world.one.users:
        world.one.add_user(name, uid)
    accounts = world.one.folder / "passwd"
    accounts.write_text(Path("/etc/passwd").read_text(encoding="utf-8") +
                        f"{name}:x:{uid}:{uid}::{world.one.user_home(name)}:/bin/sh\n", encoding="utf-8")
    run("mount", "--bind", accounts, "/etc/passwd")
    usual = world.user
    world.use(name)
    try:
        yield
    finally:
        world.use(usual)
        run("umount", "-l", "/etc/passwd")


@contextmanager
def name_server(world):
    """The other server is found by its MX and A records, on port 25."""
    server, usual = Dns(), world.sink
    server.zone("sink.example. MX 10 mx.sink.example.", "mx.sink.example. A 127.0.0.2")
    world.sink = Peer("127.0.0.2", 25)
    route = (world.one.home / "control/smtproutes").read_text(encoding="utf-8")
    world.one.control("smtproutes", None)
    world.one.restart("qmail-send")
    try:
        yield
    finally:
        world.one.control("smtproutes", route)
        world.one.restart("qmail-send")
        world.sink.close()
        world.sink = usual
        server.close()


@contextmanager
def other_place(world, place):
    """The local recipient's mail goes to another place than his Maildir."""
    world.one.dot_qmail(world.user, place.instructions)
    world.use(world.user, place)
    try:
        yield
    finally:
        (world.one.user_home(world.user) / ".qmail").unlink()
        world.use(world.user)


def surroundings(world, name):
    """What the cases of a program need."""
    if name == "qmail-getpw":
        return account(world, "erin", 5009)
    if name.endswith("-dns"):
        return name_server(world)
    variant = name.rpartition("-")[2]
    if variant in PLACES:
        return other_place(world, PLACES[variant])
    return nullcontext()


def record(world, name, title, is_short):
    """In a home: returns the calls of an undisturbed run, and what came of its messages."""
    tally = Tally(title)
    series = Series(world, name, tally, is_short)
    with surroundings(world, name):
        listed = series.record()
        series.end()
    return listed, tally


def try_cases(world, name, title, is_short, cases):
    """In a home. returns what came of them, how many temporary files the last delivery removed, seconds"""
    began, tally, swept = time.monotonic(), Tally(title), 0
    try:
        series = Series(world, name, tally, is_short)
        with surroundings(world, name):
            for case in cases:
                series.try_case(case)
            series.end()
            swept = world.check_temporary(tally)
    except AssertionError as error:
        tally.fault("between two cases", f"no recovery: {error}")
        world.begin_anew()
    return tally, swept, time.monotonic() - began


def choose(listed, ways, is_short, most):
    """The cases of a program. The first of each of its processes, those that it forks counted, has to recover
    without being hastened, which may last a minute or two."""
    cases = sample([Case(call, what) for call in listed for what in ways(call)], most)
    seen = set()
    for i, case in enumerate(() if is_short else cases):
        cases[i] = case._replace(alone=case.call.child not in seen)
        seen.add(case.call.child)
    if not most:
        cases += [Case(call, what, beyond=True) for call in last_calls(listed) for what in ways(call)[:1]]
    return sorted(cases, key=lambda case: not case.alone)


def judge(tallies):
    """Too many cases that did not reach their call say nothing."""
    cases, hit = sum(t.cases for t in tallies), sum(t.hit for t in tallies)
    if hit < ENOUGH * cases:
        tallies[-1].fault("all cases", f"only {hit} of {cases} took effect")


def share_out(chosen, tallies, is_short):
    """{name: cases} as tasks; the long ones first, so that in the end no home waits for another."""
    tasks = [(name, tallies[name].name, is_short, cases[i:i + SHARE])
             for name, cases in chosen.items() for i in range(0, len(cases), SHARE)]
    return sorted(tasks, key=lambda task: not any(case.alone for case in task[-1]))


def run_part(programs, title, ways, is_short, names):
    began, swept, seconds = time.monotonic(), Counter(), Counter()
    if not names:
        names = [name for name in CHAIN if not (is_short and name.endswith(("-large", "-busy")))]
    tallies = {name: Tally(f"{title} {name}") for name in names}
    with Homes(programs, len(names)) as homes:
        unknown = [(name, tallies[name].name, is_short) for name in names if name not in RECORDED]
        for (name, *_), (listed, tally) in homes.each(record, unknown):
            RECORDED[name] = listed
            tallies[name].add(tally)
        chosen = {name: choose(RECORDED[name], partial(ways, name), is_short,
                               MOST or (0 if not is_short else 1 if CHAIN[name] else 2)) for name in names}
        tasks = share_out(chosen, tallies, is_short)
        left = Counter(name for name, *_ in tasks)
        for (name, *_), (tally, files, spent) in homes.each(try_cases, tasks):
            tallies[name].add(tally)
            swept[name] += files
            seconds[name] += spent
            left[name] -= 1
            if not left[name]:
                if not is_short:
                    judge([tallies[name]])
                print(f"{tallies[name].line()}, {swept[name]} temporary files swept; "
                      f"{seconds[name] / max(1, tallies[name].cases):.2f} s a case, "
                      f"ready after {time.monotonic() - began:.0f} s", flush=True)
    if is_short:
        judge(list(tallies.values()))
    return list(tallies.values())


def kill(programs, is_short, names=None):
    """Every system call."""
    return run_part(programs, "killed:", kills, is_short, names)


def fail(programs, is_short, names=None):
    """Every failing call."""
    tallies = run_part(programs, "failing:", failures, is_short, names)
    found = {call.name for listed in RECORDED.values() for call in listed}
    print(f"  not tried, they cannot fail: {' '.join(sorted(found & NEVER_FAIL))}", flush=True)
    return tallies
