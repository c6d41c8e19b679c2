"""Part 6: clients and users that take all they can get, and a machine that has nothing left."""
import os
import re
import resource
import socket
import subprocess
import threading
import time
from pathlib import Path

from instance import run, wait_for
from world import Tally, World

DAEMON_KIB = 64 * 1024  # what one process may ever take, recipients by the 100,000 included


class Watch(threading.Thread):
    """The largest private memory of each program of the instance, in KiB."""

    def __init__(self, one):
        super().__init__(daemon=True)
        self.one, self.peak, self.is_over = one, {}, threading.Event()

    def look(self):
        for pid in self.one.processes():
            try:
                text = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            size, name = re.search(r"^RssAnon:\s+(\d+)", text, re.M), re.search(r"^Name:\t(.*)", text, re.M)[1]
            if size and name.startswith(("qmail", "tcpserver")):
                self.peak[name] = max(self.peak.get(name, 0), int(size[1]))

    def run(self):
        while not self.is_over.wait(0.2):
            self.look()


def honest(world, tally, case):
    """An honest client sends a message, which arrives although the abuse goes on."""
    sent = world.by_smtp(world.new(), timeout=60)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and world.arrived(sent)[:2] != (1, 1):
        time.sleep(0.1)
    tally.accepted += sent.acknowledged
    if not sent.acknowledged or world.arrived(sent)[:2] != (1, 1):
        tally.lost += sent.acknowledged
        tally.fault(case, f"an honest client is not served: {sent.answer} {world.arrived(sent)}\n{world.one.tail()}")


def connect(world):
    return socket.create_connection((world.one.ip, world.one.port), timeout=60)


def no_sessions(world, tally, case):
    try:
        wait_for(lambda: not world.one.processes("qmail-smtpd"), "the end of the sessions", 60)
    except AssertionError:
        tally.fault(case, "sessions are left over\n" + world.one.tail())


def slow_clients(world, tally, is_short):
    """They send a byte a second. The limit on connections allows for them."""
    many = 100 if is_short else 1000
    sockets = [connect(world) for _ in range(many)]
    wait_for(lambda: len(world.one.processes("qmail-smtpd")) >= many, "a session for each")
    line = b"MAIL FROM:<slow@remote.example>\r\n"
    for second in range(2 if is_short else 6):
        for one in sockets:
            one.send(line[second:second + 1])
        time.sleep(1)
    honest(world, tally, "slow clients")
    for one in sockets:
        one.close()
    no_sessions(world, tally, "slow clients")


def deaf_clients(world, tally, is_short):
    """They ask and never read the answers, until nothing fits into the pipes any more."""
    sockets = [connect(world) for _ in range(5 if is_short else 50)]
    for one in sockets:
        one.setblocking(False)
        for _ in range(20_000 if is_short else 100_000):
            try:
                one.send(b"NOOP\r\n" * 100)
            except OSError:
                break
    honest(world, tally, "deaf clients")
    for one in sockets:
        one.close()
    no_sessions(world, tally, "deaf clients")


def half_open(world, tally, is_short):
    """They go away in the middle, with a reset or without a word."""
    silent = [connect(world) for _ in range(20)]
    for at in range(20 if is_short else 200):
        one = connect(world)
        one.sendall(b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<alice@me.example>\r\nDATA\r\nSubject: half\r\n"[:10 + 5 * (at % 15)])
        if at % 2:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        one.close()
    honest(world, tally, "half-open")
    no_sessions(world, tally, "half-open")  # control/timeoutsmtpd ends the silent ones
    for one in silent:
        one.close()
    if any(b"Subject: half" in mail for mail in world.one.maildir("alice")):
        tally.fault("half-open", "half a message was delivered")


def many_recipients(world, tally, is_short):
    """One message for very many, who throw it away."""
    many = 5000 if is_short else 100_000
    world.one.dot_qmail("bob", "#", ext="default")
    code = world.one.inject(b"Subject: many\n\nhello\n", "carol@sink.example",
                            *(f"bob-{i}@me.example" for i in range(many)), check=False)
    if code != 0:
        tally.fault("recipients", f"qmail-queue exited {code}")
    honest(world, tally, "recipients")
    if world.settle(300):
        tally.fault("recipients", "not all were served\n" + world.one.tail())
    tally.accepted += 1
    if is_short:  # else the older lines are gone already
        try:
            world.one.wait_log(": success: did_0+0+0/", count=many)
        except AssertionError:
            done = sum(": success: did_0+0+0/" in line for line in world.one.log("qmail-send"))
            tally.fault("recipients", f"{done} of {many} deliveries in the log")


def endless_data(world, tally, is_short):
    """A message that does not end: databytes stops it, and nothing of it stays."""
    world.one.control("databytes", str(20_000_000 if is_short else 200_000_000))
    most = 40 if is_short else 2048
    chunk = (b"x" * 78 + b"\r\n") * 13107
    answer = b""
    with connect(world) as one:
        one.settimeout(120)
        one.sendall(b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<alice@me.example>\r\nDATA\r\n")
        time.sleep(0.5)
        one.recv(65536)
        try:
            for _ in range(most):
                one.sendall(chunk)
            one.sendall(b"\r\n.\r\n")
            answer = one.recv(65536)
        except OSError as error:
            answer = f"closed: {error}".encode()
    if not answer.startswith((b"552", b"closed")):
        tally.fault("endless data", answer.decode())
    world.one.control("databytes", None)
    honest(world, tally, "endless data")
    size = 10_000_000 if is_short else 150_000_000
    sent = world.by_smtp(world.new(size=size, remote=False), timeout=300)
    world.check(tally, "a large message", [sent])
    if not sent.acknowledged:
        tally.fault("a large message", sent.answer)


def greedy_program(world, tally, is_short):
    """A user's program starts as many processes as it may, and others are served."""
    world.one.dot_qmail("carol", "|prlimit --nproc=60 /bin/sh -c 'i=0; while [ $i -lt 300 ]; do sleep 5 & i=$((i+1)); "
                        "done; wait'; exit 0")
    for _ in range(3 if is_short else 30):
        world.one.inject(b"Subject: bomb\n\n", "carol@sink.example", "carol@me.example")
    time.sleep(1)
    honest(world, tally, "greedy program")
    if world.settle(120):
        tally.fault("greedy program", "the queue is not empty\n" + world.one.tail())


def full_process_table(world, tally, is_short):
    """No process can be started for a user: deferred, and delivered when there is room again."""
    uid = world.one.users["alice"][0]
    world.one.kill("qmail-local")
    (spawner,) = world.one.processes("qmail-lspawn")
    before = resource.prlimit(spawner, resource.RLIMIT_NPROC)
    resource.prlimit(spawner, resource.RLIMIT_NPROC, (8, before[1]))
    fillers = [subprocess.Popen(["sleep", "100"], user=uid, group=uid, extra_groups=[]) for _ in range(12)]
    sent = world.by_smtp(world.new())
    wait_for(lambda: any("deferral" in line for line in world.one.log("qmail-send")[-30:]), "a deferral")
    if world.arrived(sent)[0]:
        tally.fault("process table", "there was room: the test is wrong")
    for filler in fillers:
        filler.kill()
        filler.wait()
    world.check(tally, "process table", [sent])
    resource.prlimit(spawner, resource.RLIMIT_NPROC, before)


def small_disk(path, size, owner):
    """Put a small file system over a folder, with what the folder holds."""
    copy = path.with_name(path.name + ".saved")
    run("cp", "-a", path, copy)
    run("mount", "-t", "tmpfs", "-o", f"size={size},mode={path.stat().st_mode & 0o7777:o},uid={owner[0]},gid={owner[1]}",
        "tmpfs", path)
    run("cp", "-a", f"{copy}/.", path)
    return copy


def fill(path):
    file = os.open(path / "filler", os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(file, bytes(4096))
    except OSError:
        os.close(file)
    return path / "filler"


def full_queue_disk(world, tally, is_short):
    """The queue's disk is full: refused for now with a 4xx, never 250; all goes on when there is room."""
    world.one.stop()
    queue = world.one.home / "queue"
    saved = small_disk(queue, "4m", (queue.stat().st_uid, queue.stat().st_gid))
    try:
        world.one.start()
        filler = fill(queue)
        messages = [world.by_smtp(world.new(size)) for size in (300, 5000, 60_000, 3_000_000)]
        messages += [world.by_queue(world.new(size)) for size in (300, 60_000)]
        for sent in messages:
            if sent.acknowledged or not sent.answer.startswith(("4", "exit ")):
                tally.fault("full disk", f"said: {sent.answer}")
        filler.unlink()
        honest(world, tally, "a disk that was full")
        world.check(tally, "full disk", messages)
    finally:
        world.one.stop()
        run("umount", "-l", queue)
        run("rm", "-r", saved)
        world.one.start()


def full_mail_disk(world, tally, is_short):
    """A user's disk is full: deferred, nothing by halves, delivered when there is room."""
    world.one.kill("qmail-local")
    box = world.box()
    saved = small_disk(box, "1m", world.one.users["alice"][:2])
    try:
        filler = fill(box)
        messages = [world.by_smtp(world.new(size, remote=False)) for size in (300, 60_000, 400_000)]
        wait_for(lambda: sum("deferral" in line for line in world.one.log("qmail-send")[-40:]) >= 3, "the deferrals")
        filler.unlink()
        world.check(tally, "full Maildir", messages)
    finally:
        world.one.kill("qmail-local")
        run("umount", "-l", box)
        run("rm", "-r", saved)


CASES = (slow_clients, deaf_clients, half_open, many_recipients, endless_data, greedy_program,
         full_process_table, full_queue_disk, full_mail_disk)


def abuse(programs, is_short, names=None):
    """Load and abuse."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(limit, 8192), limit))
    tallies = []
    world = World(programs, limits=True, start=False)
    world.one.control("concurrencyincoming", "1100")
    world.one.control("timeoutsmtpd", "8")
    world.one.start()
    try:
        for case in CASES:
            if names and case.__name__ not in names:
                continue
            tally, watch, began = Tally(f"abuse: {case.__name__}"), Watch(world.one), time.monotonic()
            tallies.append(tally)
            tally.cases = tally.hit = 1
            watch.start()
            try:
                case(world, tally, is_short)
            except (AssertionError, OSError, subprocess.SubprocessError) as error:
                tally.fault(case.__name__, f"{error}")
            watch.is_over.set()
            watch.join()
            for name, size in watch.peak.items():
                if size > DAEMON_KIB:
                    tally.fault(case.__name__, f"{name} took {size} KiB")
            world.forget()
            sizes = ", ".join(f"{name} {size}" for name, size in sorted(watch.peak.items()))
            print(f"{tally.line()}; {time.monotonic() - began:.0f} s; KiB: {sizes}", flush=True)
    finally:
        world.close()
    return tallies
