"""Part 3, for real: a file system on a loop device is shut down in the middle of its work, and used again."""
import os
import random
import signal
import threading
import time
from pathlib import Path

from instance import Instance, NotPossible, remove_tree, wait_for
from letters import SENDER, Letters
from loop_disk import EXT4_AT_ONCE, LoopDisk
from smtp_client import Load
from world import Tally, World

CLIENTS = 48  # so many that more than 20 messages share a flush, which is a syncfs then
SIZES = (100, 3000, 60_000)
SIZE_MB = {"ext4": 128, "xfs": 320}
# How soon the file system writes without being told to, and in which order.
ROUNDS = (("ext4", "data=ordered,commit=300"), ("ext4", "data=writeback,commit=1"),
          ("ext4", "data=ordered,commit=1"), ("ext4", "data=writeback,commit=300"), ("xfs", "defaults"))


def new_disk(folder, kind, options, size_mb=None, more=()):
    at_once = EXT4_AT_ONCE if kind == "ext4" else ()
    return LoopDisk(folder / "mount", size_mb or SIZE_MB[kind], kind, options, (*at_once, *more))


def probe(folder, kind, options):
    """returns why such a cut cannot be made here, or None; whatever fails later is a fault."""
    try:
        disk = new_disk(folder, kind, options)
        try:
            disk.cut()
            disk.remount()
        finally:
            disk.close()
    except (AssertionError, OSError) as error:
        return f"no loop device, or no {kind} to shut down: {error}".splitlines()[0]
    return None


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
    def new():
        name, text, recipients = letters.new(random.choice(SIZES))
        return name, SENDER, recipients, text
    stop = threading.Event()
    clients = [Load(world.one, stop, new) for _ in range(CLIENTS)]
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
    disk.remount()
    world.one = letters.one = Instance(programs, folder=world.one.folder)
    world.one.start()


def one_round(programs, folder, tally, cuts, disk_options, chance):
    """A fresh file system, and some cuts one after the other; every other time one more while it recovers."""
    disk = new_disk(folder, *disk_options)
    world = letters = None
    try:
        world = World(programs, start=False, limits=True, folder=disk.path / "instance")
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
                raise NotPossible(why)
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
