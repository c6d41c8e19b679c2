"""Part 6: a machine that has nothing left: no room on a disk, no place in the process table."""
import os
import random
import re
import subprocess
import threading
import time
from pathlib import Path

from cut import new_disk, probe
from instance import SERVICES, NotPossible, remove_tree, run, wait_for
from processes import fields_of
from watch import Cgroup, peak_of
from world import World

SIZES = (300, 5000, 60_000, 400_000)
LARGE = 3_000_000  # more than is kept in memory
HOME_MIB, INODES = 48, 1500
FLOOD_BYTES = 100 << 20
VICTIMS = ("qmail-send", "qmail-queued", "tcpserver", "s6-log")  # killed on the full disk


# -- the process table ------------------------------------------------------------------------


class NoProcesses:
    """While it lasts, these can start none: their own users have more than one. Those of root can, but not as
    somebody else."""

    def __init__(self, *pids, number=1):
        self.pids, self.number = pids, number

    def set(self, pid, number):
        # what is not root's can be changed by its own account, without any capability
        uid, gid = map(int, fields_of(pid, "status", "Uid", "Gid"))
        run("prlimit", f"--pid={pid}", f"--nproc={number}:", user=uid, group=gid, extra_groups=[])

    def __enter__(self):
        self.before = [re.search(r"Max processes +(\S+)", Path(f"/proc/{pid}/limits").read_text())[1]
                       for pid in self.pids]
        for pid in self.pids:
            self.set(pid, self.number)

    def __exit__(self, *_):
        for pid, number in zip(self.pids, self.before):
            if Path(f"/proc/{pid}").exists():
                self.set(pid, number)


def deferrals(world):
    return sum(": deferral: " in line for line in world.one.log("qmail-send"))


def no_delivery_process(world, tally, is_short):
    """None can be started for a user, or to send mail out: deferred, delivered when there is room again."""
    uid = world.one.users["alice"][0]
    for name in ("qmail-local", "qmail-remote"):
        world.one.kill(name)
    spawners = [*world.one.processes("qmail-lspawn"), *world.one.processes("qmail-rspawn")]
    # at setuid() the process itself does not count yet
    fillers = [subprocess.Popen(["sleep", "100"], user=uid, group=uid, extra_groups=[]) for _ in range(3)]
    try:
        with NoProcesses(*spawners):
            before = deferrals(world)
            sent = world.by_smtp(world.new())
            wait_for(lambda: deferrals(world) >= before + 2, "two deferrals")
            if any(world.arrived(sent)[:2]):
                tally.fault("no delivery process",
                            f"there was room: {world.arrived(sent)}\n{world.one.tail()}")
    finally:
        for filler in fillers:
            filler.kill()
            filler.wait()
    world.check(tally, "no delivery process", [sent])


def no_session(world, tally, is_short):
    """tcpserver cannot start a session: it closes that connection, and serves the next when there is room."""
    servers = world.one.processes("tcpserver")
    with NoProcesses(*servers):
        refused = [world.by_smtp(world.new()) for _ in range(3)]
    world.still_works(tally, "no session")
    if world.one.processes("tcpserver") != servers:
        tally.fault("no session", "tcpserver has ended")
    if any(sent.acknowledged for sent in refused):
        tally.fault("no session", "there was room: the test is wrong")
    world.check(tally, "no session", refused)


def no_flusher(world, tally, is_short):
    """qmail-queued cannot start its helpers: 4xx, and all goes on when there is room."""
    family = world.one.processes("qmail-queued")
    supervisor, = {parent_of(pid) for pid in family} - set(family)
    messages = []
    with NoProcesses(supervisor):  # what it starts as root becomes qmailq by itself, and has a helper by then
        world.one.kill("qmail-queued")
        for size in (300, 3_000_000, 300):
            time.sleep(0.7)
            messages.append(world.by_smtp(world.new(size)))
    for sent in messages:
        if not sent.answer.startswith("4"):
            tally.fault("no flusher", f"said: {sent.answer}")
    wait_for(lambda: world.one.processes("qmail-queued"), "s6-supervise")
    world.one.wait_ready()
    world.still_works(tally, "no flusher")
    world.check(tally, "no flusher", messages)


def parent_of(pid):
    return int(fields_of(pid, "status", "PPid")[0])


def full_process_table(world, tally, is_short):
    """Nobody at all can start a process, and a daemon dies meanwhile: s6 starts it again after a minute."""
    group = Cgroup("pids", world.one)
    try:
        for name in ("qmail-local", "qmail-remote"):
            world.one.kill(name)
        group.write("pids.max", "1")
        if not is_short:
            world.one.kill("qmail-send")
        messages = [world.by_smtp(world.new()), world.by_queue(world.new()), world.by_queue(world.new())]
        time.sleep(1)
        if messages[0].acknowledged or any(world.arrived(sent)[0] for sent in messages):
            tally.fault("full process table", "there was room: the test is wrong")
        group.write("pids.max", "max")
        wait_for(lambda: world.one.processes("qmail-send"), "s6-supervise", 90)
        world.still_works(tally, "full process table")
        world.check(tally, "full process table", messages)
    finally:
        group.write("pids.max", "max")
        group.close()


# -- disks --------------------------------------------------------------------------------------


def small_disk(path, size, owner):
    """Put a small file system over a folder, with what the folder holds."""
    copy = path.with_name(path.name + ".saved")
    run("cp", "-a", path, copy)
    mode = f"{path.stat().st_mode & 0o7777:o}"
    run("mount", "-t", "tmpfs", "-o", f"size={size},mode={mode},uid={owner[0]},gid={owner[1]}", "tmpfs", path)
    run("cp", "-a", f"{copy}/.", path)
    return copy


def fill(path):
    """Take all blocks."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    os.write(file, bytes(size))
            except OSError:
                pass
    finally:
        os.close(file)


def full_mail_disk(world, tally, is_short):
    """A user's disk is full: deferred, nothing by halves, delivered when there is room."""
    world.one.kill("qmail-local")
    box = world.box()
    saved = small_disk(box, "1m", world.one.users["alice"][:2])
    try:
        fill(box / "filler")
        before = deferrals(world)
        messages = [world.by_smtp(world.new(size, remote=False)) for size in SIZES]
        wait_for(lambda: deferrals(world) >= before + len(SIZES), "the deferrals")
        (box / "filler").unlink()
        world.check(tally, "full Maildir", messages)
    finally:
        world.one.kill("qmail-local")
        run("umount", "-l", box)
        run("rm", "-r", saved)


class Filler(threading.Thread):
    """Takes what there is of a disk, and what becomes free, until told to stop."""

    def __init__(self, folder, takes_inodes):
        super().__init__(daemon=True)
        self.folder, self.takes_inodes, self.is_over = folder, takes_inodes, threading.Event()
        folder.mkdir()

    def take(self):
        if not self.takes_inodes:
            return fill(self.folder / "filler")
        try:
            while True:
                (self.folder / str(random.random())).touch()
        except OSError:
            return None

    def run(self):
        while not self.is_over.wait(0.02):
            self.take()

    def release(self):
        self.is_over.set()
        self.join()
        remove_tree(self.folder)


class Client(threading.Thread):
    """Sends mail until told to stop, by SMTP or by qmail-queue."""

    def __init__(self, world, lock, is_local):
        super().__init__(daemon=True)
        self.world, self.lock, self.is_local = world, lock, is_local
        self.is_over, self.sent, self.refused = threading.Event(), [], 0

    def run(self):
        send = self.world.by_queue if self.is_local else self.world.by_smtp
        while not self.is_over.is_set():
            with self.lock:
                sent = self.world.new(random.choice(SIZES * 5 + (LARGE,)))
            send(sent)
            if sent.answer[:1] != "4" or len(self.sent) < 20:  # World.check reads all mail for each
                self.sent.append(sent)
            self.refused += not sent.acknowledged
            time.sleep(0.02)


def flood_log(world):
    """Write more into a log than s6-log may keep in memory. It ends and comes back; nobody waits for it."""
    time.sleep(0.1)  # it was killed
    server = wait_for(lambda: world.one.processes("tcpserver"), "tcpserver")[0]
    pipe = os.open(f"/proc/{server}/fd/2", os.O_WRONLY | os.O_NONBLOCK)
    lines, left = (b"x" * 1000 + b"\n") * 4, FLOOD_BYTES
    deadline = time.monotonic() + 20
    while left > 0 and time.monotonic() < deadline:
        try:
            left -= os.write(pipe, lines)
        except BlockingIOError:
            time.sleep(0.001)
    os.close(pipe)
    if left > 0:
        raise AssertionError(f"the logger does not read any more: {left} bytes")


def wait_logs(world, began):
    """A line since then is in each log that has something to tell."""
    begin = f"@{(1 << 62) + 10 + int(began):016x}"
    honest_lines = {"qmail-smtpd": "end", "qmail-send": "end msg"}
    for service, word in honest_lines.items():
        wait_for(lambda: any(line > begin and word in line for line in world.one.log(service, stamps=True)),
                 f"lines in the log of {service}", 20)


def full_home(programs, tally, is_short, takes_inodes):
    """Queue, Maildirs and logs lie on one small ext4. It becomes full while mail comes in, and stays so for a
    while: who is told 250 gets his mail delivered, others hear 4xx, nobody waits. When there is room again
    all goes on by itself."""
    case = "no inodes in the home" if takes_inodes else "no blocks in the home"
    folder = Path("/var/tmp") / f"pennypost-abuse-{os.getpid()}"
    folder.mkdir()
    disk = world = None
    try:
        why = probe(folder, "ext4", "data=ordered")
        if why:
            raise NotPossible(why)
        disk = new_disk(folder, "ext4", "data=ordered", HOME_MIB,
                        ("-m", "0", *(("-N", str(INODES)) if takes_inodes else ())))
        world = World(programs, start=False, limits=True, folder=disk.path / "instance")
        for service in SERVICES:  # small logs for a small disk
            script = world.one.home / f"service/{service}/log/run"
            script.write_text(script.read_text().replace(" n20 s5000000 ", " n3 s100000 "))
        world.one.start()
        with peak_of(world.one, None) as peak:
            filler = Filler(disk.path / "filler", takes_inodes)
            fill_and_free(world, tally, case, filler, 2 if is_short else 30)
        return peak
    finally:
        if world:
            world.close()
        if disk:
            disk.close()
        remove_tree(folder)


def fill_and_free(world, tally, case, filler, seconds):
    lock = threading.Lock()
    clients = [Client(world, lock, is_local=i == 0) for i in range(4)]
    for client in clients:
        client.start()
    try:
        wait_for(lambda: any(s.acknowledged for client in clients for s in client.sent), "the first message")
        filler.take()
        filler.start()
        end = time.monotonic() + seconds
        wait_for(lambda: sum(client.refused for client in clients) > 20, "refusals")
        time.sleep(max(0, end - seconds / 2 - time.monotonic()))
        for name in VICTIMS:
            world.one.kill(name)
        killed_us = time.time_ns() // 1000
        if not filler.takes_inodes:  # without them s6-log cannot begin a new file, or start
            flood_log(world)
        time.sleep(max(0, end - time.monotonic()))
    finally:
        filler.release()
        for client in clients:
            client.is_over.set()
        for client in clients:
            client.join(60)
    if any(client.is_alive() for client in clients):
        tally.fault(case, f"a client still waits\n{world.one.tail()}")
    world.one.wait_ready()
    world.still_works(tally, case)
    messages = [sent for client in clients for sent in client.sent]
    for sent in messages:
        # while tcpserver is dead nobody listens
        is_later = sent.answer.startswith(("4", "exit ", "connection:"))
        if not sent.acknowledged and (sent.is_hung or not is_later):
            tally.fault(case, f"said: {sent.answer}")
    for name in world.bad():  # only what qmail-queued was writing when it was killed; ids are times
        if not name.isdigit() or int(name) > killed_us:
            tally.fault(case, f"set aside: {name}")
    world.check(tally, case, messages, may_be_torn=True)
    began = time.time()
    world.still_works(tally, case)
    wait_logs(world, began)
    world.forget()
