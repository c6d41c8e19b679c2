"""What shared flushes cost where another program writes to the same file system: the time from
the end of data to "250", with one flush for many messages (control/flush: shared), with one for
each (file), and with Postfix, which flushes each."""
import contextlib
import multiprocessing
import os
import statistics
import subprocess
import sys
import threading
import time

import load
from servers import DOMAIN, USER

LOCAL = f"{USER}@{DOMAIN}"
RATE, CHUNK, FILE_MAX = 100_000_000, 1 << 20, 1 << 30
SESSIONS = (1, 10)
WARM_S = 1.5  # until what the neighbour writes has begun to reach the disk


def write_for_ever(path, total):
    """100 MB/s, through the page cache, round and round in one file; total counts bytes."""
    chunk, start, written = os.urandom(CHUNK), time.monotonic(), 0
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    while True:
        os.pwrite(fd, chunk, written % FILE_MAX)
        written += CHUNK
        total.value = written
        time.sleep(max(0, start + written / RATE - time.monotonic()))


class Neighbour:
    def __init__(self, base):
        self.path, self.total = base + "/neighbour", multiprocessing.Value("q", 0, lock=False)
        self.process = multiprocessing.Process(target=write_for_ever, args=(self.path, self.total),
                                               daemon=True)
        self.start = time.monotonic()
        self.process.start()
        time.sleep(WARM_S)

    def mb_per_s(self):
        """What it has really written."""
        return self.total.value / 1e6 / (time.monotonic() - self.start)

    def close(self):
        self.process.terminate()
        self.process.join()
        os.unlink(self.path)


def accept_times(port, sessions, seconds):
    """Milliseconds from the end of data to 250 of every message that so many sessions send."""
    times, errors = [], []

    def talk():
        try:
            client = load.Client(port)
            client.say(b"HELO client.test")
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                times.append(client.send(LOCAL) * 1000)
            client.close()
        except load.TROUBLE as error:
            errors.append(error)
    threads = [threading.Thread(target=talk) for _ in range(sessions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise RuntimeError(f"session failed: {errors[0]}")
    return times


def set_flush(pennypost, word):
    with open(pennypost.folder + "/control/flush", "w", encoding="ascii") as file:
        file.write(word + "\n")
    subprocess.run(["s6-svc", "-r", "-wR", "-T", "60000",
                    pennypost.folder + "/service/qmail-queued"], check=True)


def measure(server, way, sessions, seconds):
    if way != "postfix":
        set_flush(server, way)
    with contextlib.closing(load.Maildir(server.maildir, server.uid, server.gid)):
        times = accept_times(server.port, sessions, seconds)
    server.cgroup.settle()
    return times


def attempt(server, way, sessions, seconds):
    """As measure; None if it fails, so that the others stay paired round by round."""
    try:
        return measure(server, way, sessions, seconds) or None
    except load.TROUBLE as error:
        print(f"\nneighbour {way} {sessions}: failed: {error}", file=sys.stderr)
        return None


def run(pennypost, postfix, base, rounds, seconds):
    """Returns a row for each way, number of sessions, with and without a writer; and how many
    measurements have failed."""
    ways = {"shared": pennypost, "file": pennypost, "postfix": postfix}
    found = {}
    for is_writing in (False, True):
        with (contextlib.closing(Neighbour(base)) if is_writing
              else contextlib.nullcontext()) as beside:
            for number in range(rounds):
                for sessions in SESSIONS:
                    order = list(ways) if number % 2 == 0 else list(ways)[::-1]
                    for way in order:
                        print(f"\rneighbour {is_writing} {sessions} {way}          ", end="",
                              file=sys.stderr, flush=True)
                        found.setdefault((way, sessions, is_writing), []).append(
                            attempt(ways[way], way, sessions, seconds))
            rate = beside.mb_per_s() if beside else 0
    print(file=sys.stderr)
    set_flush(pennypost, "shared")
    rows = [row_of(way, sessions, is_writing, times, rate if is_writing else 0)
            for (way, sessions, is_writing), times in found.items() if any(times)]
    return rows, sum(not one for times in found.values() for one in times)


def row_of(way, sessions, is_writing, rounds, rate):
    """rounds: a list of milliseconds for each round, None for one that has failed."""
    times = sorted(time_ms for one in rounds for time_ms in one or ())
    return {"way": way, "sessions": sessions, "neighbour": is_writing, "neighbour_mb_s": rate,
            "median_ms": statistics.median(times), "p95_ms": times[int(len(times) * 0.95)],
            "rounds_ms": [one and statistics.median(one) for one in rounds], "messages": len(times)}
