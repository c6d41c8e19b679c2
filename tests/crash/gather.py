"""Many messages at one moment, so that they share a flush, which lib/durable then makes by syncfs."""
import os
import signal
import time
from contextlib import contextmanager

from instance import comes_true, run

BURST = 24  # messages; syncfs is called for more than 20 files and folders
GATHER = 3  # seconds that they may need, at most
SOUND = ("ext2/ext3", "xfs", "btrfs", "f2fs", "tmpfs")  # as stat calls them


def expects_syncfs(folder):
    """As lib/durable.c decides."""
    release = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])
    return release >= (5, 17) and run("stat", "-f", "-c", "%T", folder).stdout.strip() in SOUND


@contextmanager
def standing_still(pids):
    """They do nothing meanwhile."""
    try:
        signal_all(pids, signal.SIGSTOP)
        yield
    finally:
        signal_all(pids, signal.SIGCONT)


def signal_all(pids, number):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def supervised(one, service):
    """[the process of a service], its helpers left out, or []"""
    told = one.run("s6-svstat", "-o", "pid", one.home / "service" / service, check=False).stdout
    return [int(told)] if told.strip().isdigit() else []


def send_at_once(one, threads):
    """Start the threads, each of which sends a message; qmail-queued finds them all at the same moment."""
    queued = supervised(one, "qmail-queued")
    with standing_still(queued):
        for thread in threads:
            thread.start()
        comes_true(lambda: waiting_clients() >= len(threads), GATHER if queued else 0, pause=0.01)
        time.sleep(0.05)


def deliver_at_once(one, threads):
    """The same; qmail-lspawn finds all deliveries at the same moment."""
    with standing_still(one.processes("qmail-lspawn")):
        send_at_once(one, threads)
        comes_true(lambda: not any(thread.is_alive() for thread in threads), GATHER, pause=0.01)
        time.sleep(0.1)


def waiting_clients():
    """How many have connected to qmail-queued: a line each, and one for the socket on which it listens."""
    with open("/proc/net/unix", encoding="utf-8", errors="replace") as sockets:
        return sum(line.rstrip().endswith("queue/inject") for line in sockets) - 1
