"""Part 3, for real: an ext4 on a loop device is shut down in the middle of its work, and mounted again."""
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

SIZE_MIB = 128
CLIENTS = 6
# _IOR('X', 125, __u32); nothing more is written, not even what is in the journal's memory
EXT4_IOC_SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2
SIZES = (100, 3000, 60_000)
# How soon the file system writes without being told to, and in which order.
OPTIONS = ("data=ordered,commit=300", "data=writeback,commit=1", "data=ordered,commit=1",
           "data=writeback,commit=300")


class Disk:
    """An ext4 in a file. Direct I/O: the file holds what the file system has written, no more."""

    def __init__(self, folder, size_mib, options):
        self.folder, self.options, self.device = folder / "mount", options, None
        self.folder.mkdir(exist_ok=True)
        image = folder / "image"
        with open(image, "wb") as file:
            file.truncate(size_mib << 20)
        run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", image)
        self.device = run("losetup", "--find", "--show", "--direct-io=on", image).stdout.strip()
        try:
            self.mount()
        except AssertionError:
            self.close()
            raise

    def mount(self):
        run("mount", "-t", "ext4", "-o", self.options, self.device, self.folder)

    def cut(self):
        """From now on nothing reaches the device; whoever writes or flushes gets EIO."""
        fd = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(fd)

    def recover(self):
        """Mount it anew: the journal is replayed."""
        wait_for(lambda: run("umount", self.folder, check=False).returncode == 0, "the end of the old mount")
        self.mount()

    def close(self):
        run("umount", "-l", self.folder, check=False)
        run("losetup", "-d", self.device, check=False)


def probe(folder):
    """Skipped, if such a cut cannot be made here; a failure of anything later is a fault."""
    try:
        disk = Disk(folder, 16, OPTIONS[0])
        try:
            disk.cut()
            disk.recover()
        finally:
            disk.close()
    except (AssertionError, OSError) as error:
        raise Skipped(f"no loop device, or no ext4 to shut down: {error}".splitlines()[0]) from error


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


def one_round(programs, folder, tally, cuts, options, chance):
    """A fresh file system, and some cuts one after the other."""
    disk = Disk(folder, SIZE_MIB, options)
    world = letters = None
    try:
        world = World(programs, start=False, limits=True, folder=disk.folder / "instance")
        letters = Letters(world.one)
        os.sync()  # a system that was set up a while ago
        world.one.start()
        for number in range(cuts):
            accepted = one_cut(disk, world, letters, chance)
            disk.recover()
            world.one = letters.one = Instance(programs, folder=world.one.folder)
            world.one.start()
            letters.is_refusing = False
            case = f"{options}, cut {number} after {len(accepted)}"
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
    tally = Tally("power cut, ext4 on a loop device")
    folder = Path("/var/tmp") / f"pennypost-cut-{os.getpid()}"
    folder.mkdir()
    chance = random.Random(random.random())
    try:
        probe(folder)
        for options in OPTIONS[:1] if is_short else OPTIONS:
            one_round(programs, folder, tally, 2 if is_short else 15, options, chance)
    finally:
        remove_tree(folder)
    print(tally.line(), flush=True)
    return [tally]
