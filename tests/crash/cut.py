"""Part 3, for real: ext4 on a loop device; what the device holds at a moment is what a power cut leaves."""
import os
import random
import re
import signal
import threading
import time
from pathlib import Path

import smtplib

from instance import PATIENCE, Instance, remove_tree, run
from world import Tally

USERS = ("alice", "bob")
SIZE_MIB = 96
CLIENTS = 6


class Disk:
    """A file system in a file. Direct I/O: the file holds what the file system has written, no more."""

    def __init__(self, image, mount):
        self.image, self.mount = image, mount
        mount.mkdir(exist_ok=True)
        done = run("losetup", "--find", "--show", "--direct-io=on", image)
        self.device = done.stdout.strip()
        try:
            run("mount", "-t", "ext4", self.device, mount)
        except AssertionError:
            run("losetup", "-d", self.device)
            raise

    def close(self):
        run("umount", "-l", self.mount, check=False)
        run("losetup", "-d", self.device, check=False)


class Client(threading.Thread):
    """Sends numbered messages until told to stop; accepted: the names that got 250, in order."""

    def __init__(self, one, number, stop):
        super().__init__(daemon=True)
        self.one, self.number, self.stop, self.accepted = one, number, stop, []

    def run(self):
        count = 0
        while not self.stop.is_set():
            try:
                with smtplib.SMTP(self.one.ip, self.one.port, "client.example", timeout=30) as smtp:
                    for _ in range(30):
                        count += 1
                        name = f"{self.number}x{count}"
                        body = "x" * random.choice((100, 3000, 60_000)) + f"\nend {name}\n"
                        smtp.sendmail("s@remote.example", [f"{u}@me.example" for u in USERS], f"Subject: n{name}n\n\n{body}")
                        self.accepted.append(name)
                        if self.stop.is_set():
                            return
            except (OSError, smtplib.SMTPException):
                time.sleep(0.05)


def freeze(one, number):
    """Stop all that writes, or let it go on. A process that is within a flush stops after it."""
    for _ in range(2):
        for pid in one.processes():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass


def cut(folder, one, clients, number):
    """What is on the device now, and the names that had been accepted before."""
    freeze(one, signal.SIGSTOP)
    time.sleep(0.02)
    accepted = {name for client in clients for name in list(client.accepted)}
    image = folder / f"cut{number}"
    run("cp", "--sparse=always", folder / "image", image, timeout=60)
    freeze(one, signal.SIGCONT)
    return image, accepted


def check(programs, folder, image, accepted, tally, case):
    """Start Pennypost on the copy, in the place of the original."""
    disk = Disk(image, folder / "mount")
    one = None
    try:
        one = Instance(programs, folder=disk.mount / "instance")
        one.start()
        deadline = time.monotonic() + PATIENCE
        while one.queue_files() and time.monotonic() < deadline:
            run("s6-svc", "-a", one.home / "service/qmail-send", check=False)
            time.sleep(0.2)
        tally.accepted += len(accepted)
        if one.queue_files():
            tally.fault(case, f"stuck: {one.queue_files()}\n{one.tail()}")
        for user in USERS:
            mails = one.maildir(user)
            found = [name_of(mail) for mail in mails]
            for mail, name in zip(mails, found):
                if not mail.endswith(b"end " + name.encode() + b"\n"):
                    tally.fault(case, f"half a message: {name}, {len(mail)} bytes")
            lost = accepted - set(found)
            tally.lost += len(lost)
            twice = len(found) - len(set(found))
            tally.twice += twice
            if lost or twice:
                tally.fault(case, f"{user}: lost {sorted(lost)[:5]}, {twice} twice\n{one.tail()}")
    finally:
        if one:
            one.stop()
        disk.close()


def name_of(mail):
    match = re.search(rb"Subject: n(\S+)n\n", mail[:3000])
    return match[1].decode() if match else "?"


def prepare(folder):
    """An ext4 that commits its journal only when somebody flushes."""
    image = folder / "image"
    with open(image, "wb") as file:
        file.truncate(SIZE_MIB << 20)
    run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", image)
    disk = Disk(image, folder / "mount")
    run("mount", "-o", "remount,commit=300", disk.mount)
    return disk


def one_round(programs, folder, tally, cuts, chance):
    """Load on a fresh file system, some cuts, and a start on each."""
    disk = prepare(folder)
    one, images, stop = None, [], threading.Event()
    try:
        one = Instance(programs, folder=disk.mount / "instance")
        os.sync()  # a system that was set up a while ago
        one.start()
        clients = [Client(one, f"c{i}", stop) for i in range(CLIENTS)]
        for client in clients:
            client.start()
        for number in range(cuts):
            time.sleep(chance.uniform(0.1, 0.6))
            images.append(cut(folder, one, clients, number))
        stop.set()
        for client in clients:
            client.join(60)
    finally:
        stop.set()
        if one:
            one.stop()
        disk.close()
    for number, (image, accepted) in enumerate(images):
        tally.cases += 1
        tally.hit += 1
        check(programs, folder, image, accepted, tally, f"cut {number} after {len(accepted)}")
        image.unlink()


def real_cut(programs, is_short, names=None):
    """Power cuts, on a loop device."""
    tally = Tally("power cut, ext4 on a loop device")
    folder = Path("/var/tmp") / f"pennypost-cut-{os.getpid()}"
    folder.mkdir()
    chance = random.Random(random.random())
    try:
        for _ in range(1 if is_short else 6):
            one_round(programs, folder, tally, 2 if is_short else 8, chance)
    except AssertionError as error:
        if "losetup" not in str(error) and "mount" not in str(error):
            raise
        print(f"  left out, no loop device here: {error}".splitlines()[0], flush=True)
    finally:
        remove_tree(folder)
    print(tally.line(), flush=True)
    return [tally]
