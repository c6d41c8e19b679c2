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
# (sessions, neighbour writes): shared flushes may take at most so many times as long
GOALS = {(1, False): 1.15, (1, True): 1.15, (10, True): 3}


def write_for_ever(path):
    """100 MB/s, through the page cache, round and round in one file."""
    chunk, start, written = os.urandom(CHUNK), time.monotonic(), 0
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    while True:
        os.pwrite(fd, chunk, written % FILE_MAX)
        written += CHUNK
        time.sleep(max(0, start + written / RATE - time.monotonic()))


class Neighbour:
    def __init__(self, base):
        self.path = base + "/neighbour"
        self.process = multiprocessing.Process(target=write_for_ever, args=(self.path,), daemon=True)
        self.process.start()
        time.sleep(WARM_S)

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
        except (OSError, RuntimeError) as error:
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
    subprocess.run(["s6-svc", "-r", "-wR", "-T", "60000", pennypost.folder + "/service/qmail-queued"],
                   check=True)


def measure(server, way, sessions, seconds):
    if way != "postfix":
        set_flush(server, way)
    with contextlib.closing(load.Maildir(server.maildir, server.uid, server.gid)):
        times = accept_times(server.port, sessions, seconds)
    server.cgroup.settle()
    return times


def run(pennypost, postfix, base, rounds, seconds):
    """Returns (rows for bench.json, number of goals missed); prints a table."""
    ways = {"shared": pennypost, "file": pennypost, "postfix": postfix}
    found = {}
    for is_writing in (False, True):
        with contextlib.closing(Neighbour(base)) if is_writing else contextlib.nullcontext():
            for _ in range(rounds):
                for sessions in SESSIONS:
                    for way, server in ways.items():
                        print(f"\rneighbour {is_writing} {sessions} {way}          ", end="",
                              file=sys.stderr, flush=True)
                        found.setdefault((way, sessions, is_writing), []).extend(
                            measure(server, way, sessions, seconds))
    print(file=sys.stderr)
    set_flush(pennypost, "shared")
    return judge(found)


def judge(found):
    print("\nms from the end of data to 250: median (95 of 100 below)\n"
          f"{'sessions':>8} {'100 MB/s beside':>16} {'shared flush':>18} {'fsync for each':>18} "
          f"{'postfix':>18} {'shared/each':>12}  goal")
    rows, missed = [], 0
    for is_writing in (False, True):
        for sessions in SESSIONS:
            cells, middles = [], {}
            for way in ("shared", "file", "postfix"):
                times = sorted(found[way, sessions, is_writing])
                middles[way] = statistics.median(times)
                p95 = times[int(len(times) * 0.95)]
                cells.append(f"{middles[way]:.2f} ({p95:.1f})")
                rows.append({"way": way, "sessions": sessions, "neighbour": is_writing, "p95_ms": p95,
                             "median_ms": middles[way], "messages": len(times)})
            ratio, goal = middles["shared"] / middles["file"], GOALS.get((sessions, is_writing))
            is_missed = goal is not None and ratio > goal
            missed += is_missed
            print(f"{sessions:8} {'yes' if is_writing else 'no':>16} {cells[0]:>18} {cells[1]:>18} "
                  f"{cells[2]:>18} {ratio:12.2f}  {f'<= {goal}' if goal else ''}"
                  f"{'  MISSED' if is_missed else ''}")
    return rows, missed
