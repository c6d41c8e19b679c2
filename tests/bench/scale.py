#!/usr/bin/python3
"""scale.py - what a large queue, many sessions and long lists cost.

usage: scale.py [--short] [--parts queue,sessions,lists] [--counts N,...] [--kinds K,...]
                [--dir DIR] [--out DIR]

Prints tables, writes scale.json and scale.svg to --out. Messages are "waiting" for their time, all
"due", or wait on a disk that nothing has been read from since it was mounted ("cold").
Exit 0; 1 when a part failed; 3 when a goal of tests/bench/README.md was missed.
"""
import argparse
import contextlib
import json
import os
import subprocess
import sys
import threading
import time

import chart
import load
import machine
from growth import Growing, fill_queue, private_bytes, queue_stat
from servers import REMOTE, SINK_PORT, USER

COUNTS, SHORT_COUNTS = (1000, 10000, 100000, 1000000), (1000, 10000)
LATENCY_COUNT, LATENCY_ROUNDS = 21, 3
# goals: (name, unit, at most)
BYTES_PER_MESSAGE, SLOWER, START_S = 100, 1.5, 60


def say(text):
    print(text, file=sys.stderr, flush=True)


# ---- a large queue

def measure_start(server, count):
    """Start with count messages in the queue; one row of the table."""
    with contextlib.closing(server.maildir_box()) as box:
        begun = time.monotonic()
        row = {"ready_s": server.launch()}
        early = server.deliver(box, 1)
        row["first_s"] = time.monotonic() - begun
        row["early_ms"] = early[1]
    with contextlib.closing(server.maildir_box()) as box:
        row["early_accepted_ms"], row["early_ms"] = server.deliver(box, LATENCY_COUNT)
    took = server.wait_scanned(count)
    row["scanned_s"] = time.monotonic() - begun
    row["qstat_scanning_ms"] = max(took) * 1000
    server.cgroup.settle()
    # the lowest of some medians: other work on the machine only ever adds
    rounds = []
    for _ in range(LATENCY_ROUNDS):
        with contextlib.closing(server.maildir_box()) as box:
            rounds.append(server.deliver(box, LATENCY_COUNT)[::-1])
    row["settled_ms"], row["accepted_ms"] = min(rounds)
    known, _, seconds = queue_stat(server.folder)
    row["known"], row["qstat_ms"] = known, seconds * 1000
    row["send_bytes"] = private_bytes(server.sender())
    row["all_bytes"] = sum(server.private_by_name().values())
    return row


def run_queue(server, disk, counts, kinds):
    """Rows for each number of messages: waiting for their time, due, and waiting on a disk that
    nothing has been read from yet."""
    rows = []
    for count in counts:
        for kind in kinds if count else ["empty"]:
            server.stop()
            empty(server.folder)
            if count:
                say(f"writing {count} messages, {kind}")
                fill_queue(server.folder, count, kind == "due")
            disk.settle()
            if kind == "cold":
                disk.remount()
            row = {"count": count, "kind": kind, **measure_start(server, count)}
            rows.append(row)
            say(json.dumps(row))
    server.stop()
    empty(server.folder)
    server.launch()
    return rows


def empty(folder):
    """Remove every message."""
    for number in range(23):
        path = f"{folder}/queue/mess/{number}"
        for name in os.listdir(path):
            os.unlink(f"{path}/{name}")


# ---- many sessions

def run_sessions(server, numbers):
    rows = []
    for number in numbers:
        server.cgroup.settle()
        before = sum(server.private_by_name().values())
        clients = []
        try:
            for _ in range(number):
                clients.append(load.Client(server.port))
            server.cgroup.settle()
            after = sum(server.private_by_name().values())
            times = []
            for _ in range(LATENCY_COUNT):
                start = time.monotonic()
                one = load.Client(server.port)
                times.append((time.monotonic() - start) * 1000)
                one.close()
        finally:
            for client in clients:
                client.close()
        row = {"count": number, "bytes_per_session": (after - before) / number,
               "accept_ms": sorted(times)[len(times) // 2]}
        rows.append(row)
        say(json.dumps(row))
    return rows


# ---- long lists

class Peak:
    """The most private memory each program has had, looked at ten times a second."""

    def __init__(self, server):
        self.server, self.sizes, self.most, self.is_over = server, {}, 0, False
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def watch(self):
        while not self.is_over:
            now = self.server.private_by_name()
            self.most = max(self.most, sum(now.values()))
            for name, size in now.items():
                self.sizes[name] = max(self.sizes.get(name, 0), size)
            time.sleep(0.1)

    def close(self):
        self.is_over = True
        self.thread.join()


def run_lists(server, numbers):
    rows = []
    for number in numbers:
        server.cgroup.settle()
        with contextlib.closing(load.Sink(SINK_PORT, dump=True)) as sink, \
                contextlib.closing(Peak(server)) as peak:
            start = time.monotonic()
            load.smtp_source(server.port, f"{USER}@{REMOTE}", (1, 10240, 1, False), number)
            accepted = time.monotonic() - start
            sink.wait(number, 600)
            row = {"count": number, "accepted_s": accepted, "delivered_s": time.monotonic() - start}
        row["all_bytes"] = peak.most
        row["by_name"] = peak.sizes
        rows.append(row)
        say(json.dumps(row))
    return rows


# ---- the report

def print_rows(title, columns, rows):
    """columns: [(heading, function of a row)]"""
    print(f"\n{title}")
    print("  ".join(f"{heading:>12}" for heading, _ in columns))
    for row in rows:
        print("  ".join(f"{value(row):>12}" for _, value in columns))


def decimals(key, number, factor=1.0):
    return lambda row: f"{row[key] * factor:.{number}f}"


def per_message(results):
    """Bytes of qmail-send's memory per message, by (count, kind)."""
    base = next((row["send_bytes"] for row in results.get("queue", ()) if not row["count"]), 0)
    return {(row["count"], row["kind"]): (row["send_bytes"] - base) / row["count"]
            for row in results.get("queue", ()) if row["count"]}


def print_report(results):
    cost = per_message(results)
    if results.get("queue"):
        print_rows("Queued messages for a dead destination", [
            ("messages", lambda row: f"{row['count']}"), ("they are", lambda row: row["kind"]),
            ("ready s", decimals("ready_s", 2)), ("1st mail s", decimals("first_s", 2)),
            ("scanned s", decimals("scanned_s", 1)), ("mail then ms", decimals("early_ms", 1)),
            ("settled ms", decimals("settled_ms", 1)), ("qstat ms", decimals("qstat_ms", 1)),
            ("send MB", decimals("send_bytes", 2, 1e-6)),
            ("bytes each", lambda row: f"{cost.get((row['count'], row['kind']), 0):.0f}")],
            results["queue"])
    if results.get("sessions"):
        print_rows("Idle SMTP sessions", [
            ("sessions", lambda row: f"{row['count']}"),
            ("KB each", decimals("bytes_per_session", 0, 1e-3)),
            ("accept ms", decimals("accept_ms", 2))], results["sessions"])
    if results.get("lists"):
        print_rows("One message of 10 KiB to many recipients at one destination", [
            ("recipients", lambda row: f"{row['count']}"), ("accepted s", decimals("accepted_s", 2)),
            ("delivered s", decimals("delivered_s", 2)), ("all MB", decimals("all_bytes", 1, 1e-6)),
            ("send MB", lambda row: f"{row['by_name'].get('qmail-send', 0) / 1e6:.1f}"),
            ("queued MB", lambda row: f"{row['by_name'].get('qmail-queued', 0) / 1e6:.1f}"),
            ("smtpd MB", lambda row: f"{row['by_name'].get('qmail-smtpd', 0) / 1e6:.1f}")],
            results["lists"])


def missed_goals(results):
    """Sentences about what was not reached."""
    missed = []
    rows = results.get("queue", ())
    base = next((row["settled_ms"] for row in rows if not row["count"]), None)
    for (count, kind), size in per_message(results).items():
        if size > BYTES_PER_MESSAGE and count >= 100000:
            missed.append(f"{count} {kind}: {size:.0f} bytes of qmail-send's memory per message")
    for row in rows:
        if row["count"] and row["settled_ms"] > SLOWER * base:
            missed.append(f"{row['count']} {row['kind']}: new mail takes "
                          f"{row['settled_ms'] / base:.2f} times as long as with an empty queue")
        if row["scanned_s"] > START_S:
            missed.append(f"{row['count']} {row['kind']}: scanned only after {row['scanned_s']:.0f} s")
    return missed


def write_chart(path, results):
    queue = {kind: [row for row in results.get("queue", ()) if row["kind"] == kind] for kind in
             ("waiting", "due", "cold")}

    def line(rows, key, factor=1.0):
        return [(row["count"], row[key] * factor) for row in rows]
    chart.write_lines(path, [
        ("Queued messages for a dead destination", "messages in the queue", [
            ("seconds until all are known", line(queue["waiting"], "scanned_s")),
            ("the same, after a reboot", line(queue["cold"], "scanned_s")),
            ("ms, new mail right after the start", line(queue["waiting"], "early_ms")),
            ("ms, new mail later", line(queue["waiting"], "settled_ms")),
            ("ms, qmail-qstat", line(queue["waiting"], "qstat_ms")),
            ("MB, qmail-send", line(queue["waiting"], "send_bytes", 1e-6)),
            ("MB, qmail-send, all are due", line(queue["due"], "send_bytes", 1e-6))]),
        ("Idle SMTP sessions", "sessions", [
            ("KB of memory each", line(results.get("sessions", ()), "bytes_per_session", 1e-3)),
            ("ms until the greeting", line(results.get("sessions", ()), "accept_ms"))]),
        ("One message to many recipients", "recipients", [
            ("seconds until all have it", line(results.get("lists", ()), "delivered_s")),
            ("MB, all programs", line(results.get("lists", ()), "all_bytes", 1e-6))])])


def arguments():
    parser = argparse.ArgumentParser(description="what a large queue, many sessions, long lists cost")
    parser.add_argument("--short", action="store_true", help="at most 10,000 messages")
    parser.add_argument("--parts", default="queue,sessions,lists")
    parser.add_argument("--counts", help="messages in the queue: 1000,1000000")
    parser.add_argument("--kinds", default="waiting,due,cold")
    parser.add_argument("--dir", default="/var/tmp/pennypost-scale")
    parser.add_argument("--out", default=".")
    return parser.parse_args()


def run_parts(server, options, disk):
    counts = SHORT_COUNTS if options.short else COUNTS
    if options.counts:
        counts = [int(count) for count in options.counts.split(",")]
    kinds = options.kinds.split(",")
    parts = {"queue": lambda: run_queue(server, disk, [0, *counts], kinds),
             "sessions": lambda: run_sessions(server, (10, 100) if options.short else (10, 100, 1000)),
             "lists": lambda: run_lists(server, (10, 1000) if options.short else (10, 1000, 100000))}
    results, failures = {}, 0
    for name in options.parts.split(","):
        say(f"-- {name}")
        try:
            results[name] = parts[name]()
        except (TimeoutError, RuntimeError, OSError, subprocess.SubprocessError) as error:
            failures += 1
            say(f"{name}: failed: {error}")
    return results, failures


def main():
    options = arguments()
    if os.geteuid() != 0:
        sys.exit("scale.py: fatal: must be root (cgroups, accounts, mount)")
    os.makedirs(options.dir, exist_ok=True)
    # a million files of one block and one inode each
    disk = machine.LoopFileSystem(
        options.dir, 8192, ("-i", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0"))
    server = None
    try:
        server = Growing(options.dir)
        results, failures = run_parts(server, options, disk)
    finally:
        if server:
            server.stop()
        disk.undo()
    print_report(results)
    missed = missed_goals(results)
    for text in missed:
        print(f"MISSED: {text}")
    with open(os.path.join(options.out, "scale.json"), "w", encoding="ascii") as file:
        json.dump(results, file, indent=1)
    write_chart(os.path.join(options.out, "scale.svg"), results)
    print(f"\nwrote scale.json and scale.svg; {len(missed)} goals missed, {failures} parts failed")
    sys.exit(1 if failures else 3 if missed else 0)


if __name__ == "__main__":
    main()
