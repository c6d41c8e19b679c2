"""Part 3, for real: a file system on a loop device is shut down in the middle of its work, and used again."""
import fcntl
import os
import random
import signal
import smtplib
import struct
import threading
import time
from pathlib import Path

from instance import Instance, remove_tree, run, wait_for
from letters import SENDER, Letters
from world import Skipped, Tally, World

CLIENTS = 6
# _IOR('X', 125, __u32), for ext4 and xfs; nothing more is written, not even what the journal has in memory
SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2
SIZES = (100, 3000, 60_000)
SIZE_MIB = {"ext4": 128, "xfs": 320}
MAKE = {"ext4": ("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"),
        "xfs": ("mkfs.xfs", "-q", "-f")}
# How soon the file system writes without being told to, and in which order.
ROUNDS = (("ext4", "data=ordered,commit=300"), ("ext4", "data=writeback,commit=1"),
          ("ext4", "data=ordered,commit=1"), ("ext4", "data=writeback,commit=300"), ("xfs", "defaults"))


class Disk:
    """A file system in a file. Direct I/O: the file holds what the file system has written, no more."""

    def __init__(self, folder, kind, options, size_mib=None, more=()):
        self.folder, self.kind, self.options, self.device = folder / "mount", kind, options, None
        self.folder.mkdir(exist_ok=True)
        image = folder / "image"
        with open(image, "wb") as file:
            file.truncate((size_mib or SIZE_MIB[kind]) << 20)
        run(*MAKE[kind], *more, image)
        self.device = run("losetup", "--find", "--show", "--direct-io=on", image).stdout.strip()
        try:
            self.mount()
        except AssertionError:
            self.close()
            raise

    def mount(self):
        run("mount", "-t", self.kind, "-o", self.options, self.device, self.folder)

    def cut(self):
        """From now on nothing reaches the device; whoever writes or flushes gets EIO."""
        fd = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(fd)

    def recover(self):
        """Mount it anew: the journal is replayed."""
        wait_for(lambda: run("umount", self.folder, check=False).returncode == 0, "the end of the old mount")
        self.mount()

    def close(self):
        run("umount", "-l", self.folder, check=False)
        run("losetup", "-d", self.device, check=False)


def probe(folder, kind, options):
    """returns why such a cut cannot be made here, or None; whatever fails later is a fault."""
    try:
        disk = Disk(folder, kind, options)
        try:
            disk.cut()
            disk.recover()
        finally:
            disk.close()
    except (AssertionError, OSError) as error:
        return f"no loop device, or no {kind} to shut down: {error}".splitlines()[0]
    return None


class Client(threading.Thread):
    """Sends messages until told to stop; accepted: the names that got 250."""

    def __init__(self, letters, stop):
        super().__init__(daemon=True)
        self.letters, self.stop, self.accepted = letters, stop, []

    def run(self):
        one = self.letters.one
        while not self.stop.is_set():
            try:
                with smtplib.SMTP(one.ip, one.port, "client.example", timeout=30) as smtp:
                    for _ in range(30):
                        name, text, recipients = self.letters.new(random.choice(SIZES))
                        smtp.sendmail(SENDER, recipients, text)
                        self.accepted.append(name)
                        if self.stop.is_set():
                            return
            except (OSError, smtplib.SMTPException):
                time.sleep(0.05)


def end_all(one):
    """As a power cut does: nobody has time to tidy up."""
    def is_empty():
        one.kill(None, signal.SIGKILL)
        return not one.processes()
    wait_for(is_empty, "the end of all processes")
    one.scanner.wait()
    one.scanner = None


def one_cut(disk, world, letters, chance):
    """Load, and the cut in the middle of it. returns the names that had been accepted"""
    stop = threading.Event()
    clients = [Client(letters, stop) for _ in range(CLIENTS)]
    letters.is_refusing = True
    try:
        for client in clients:
            client.start()
        wait_for(lambda: any(client.accepted for client in clients), "the first 250")
        time.sleep(chance.uniform(0, 0.6))
        accepted = {name for client in clients for name in list(client.accepted)}
        disk.cut()
    finally:
        stop.set()
    end_all(world.one)
    for client in clients:
        client.join(60)
    return accepted


def start_again(programs, disk, world, letters):
    disk.recover()
    world.one = letters.one = Instance(programs, folder=world.one.folder)
    world.one.start()


def one_round(programs, folder, tally, cuts, disk_options, chance):
    """A fresh file system, and some cuts one after the other; every other time one more while it recovers."""
    disk = Disk(folder, *disk_options)
    world = letters = None
    try:
        world = World(programs, start=False, limits=True, folder=disk.folder / "instance")
        letters = Letters(world.one)
        os.sync()  # a system that was set up a while ago
        world.one.start()
        for number in range(cuts):
            case = f"{' '.join(disk_options)}, cut {number}"
            accepted = one_cut(disk, world, letters, chance)
            start_again(programs, disk, world, letters)
            letters.is_refusing = False
            if number % 2:
                time.sleep(chance.uniform(0, 0.3))
                disk.cut()
                end_all(world.one)
                start_again(programs, disk, world, letters)
            tally.cases += 1
            tally.hit += 1
            left = world.settle()
            if left:
                tally.fault(case, f"stuck: {left}\n{world.one.tail()}")
            letters.check(tally, case, accepted)
            letters.forget()
    finally:
        if letters:
            letters.close()
        if world:
            world.close()
        disk.close()


def real_cut(programs, is_short, names=None):
    """Power cuts, on a loop device."""
    folder = Path("/var/tmp") / f"pennypost-cut-{os.getpid()}"
    folder.mkdir()
    chance = random.Random(random.random())
    tallies = {kind: Tally(f"power cut, {kind} on a loop device") for kind, _ in ROUNDS}
    try:
        for kind, options in ROUNDS[:1] if is_short else ROUNDS:
            why = probe(folder, kind, options)
            if why and kind == ROUNDS[0][0]:
                raise Skipped(why)
            if why:
                print(f"  left out: {why}", flush=True)
            else:
                one_round(programs, folder, tallies[kind], 2 if is_short else 15, (kind, options), chance)
    finally:
        remove_tree(folder)
    done = [tally for tally in tallies.values() if tally.cases]
    for tally in done:
        print(tally.line(), flush=True)
    return done
