#!/usr/bin/python3
"""scale.py - what a large queue, many sessions and long lists cost.

usage: scale.py [--short] [--parts queue,sessions,lists] [--counts N,...] [--kinds K,...]
                [--dir DIR] [--out DIR]

Prints tables, writes scale.json and scale.svg to --out. Messages are "waiting" for their time, all
"due", or wait on a disk that nothing has been read from since it was mounted ("cold").
A short run is not held to the goals. Exit 0; 1 when a part failed; 2 when the machine cannot run
this; 3 when a goal of tests/bench/README.md was missed.
"""
import argparse
import contextlib
import json
import os
import sys
import time

import chart
import load
import machine
from growth import Growing, fill_queue, queue_stat
from loop_disk import EXT4_AT_ONCE
from processes import Peak, private_bytes
from servers import REMOTE, SINK_PORT, USER

PARTS, KINDS = ("queue", "sessions", "lists"), ("waiting", "due", "cold")
COUNTS, SHORT_COUNTS = (1000, 10000, 100000, 1000000), (1000, 10000)
LATENCY_COUNT, LATENCY_ROUNDS = 21, 3
# Goals, at most: qmail-send's memory for a message, how much longer new mail takes than with an
# empty queue, a start until all is known, and until the first new mail is in its Maildir.
BYTES_PER_MESSAGE, SLOWER, START_S, FIRST_S = 100, 1.5, 60, 1
DISK_MB, SHORT_DISK_MB = 8192, 512


def say(text):
    print(text, file=sys.stderr, flush=True)


# ---- a large queue

def measure_start(server, count):
    """Start with count messages in the queue; one row of the table."""
    with contextlib.closing(server.maildir_box()) as box:
        begun = time.monotonic()
        row = {"ready_s": server.launch()}
        server.deliver(box, 1)
        row["first_s"] = time.monotonic() - begun
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
    row["all_bytes"] = server.cgroup.private_by_name()[1]
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
        before = server.cgroup.private_by_name()[1]
        clients = []
        try:
            for _ in range(number):
                clients.append(load.Client(server.port))
            server.cgroup.settle()
            after = server.cgroup.private_by_name()[1]
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

def run_lists(server, numbers):
    rows = []
    for number in numbers:
        server.cgroup.settle()
        with contextlib.closing(load.Sink(SINK_PORT, dump=True)) as sink, \
                Peak(server.cgroup.private_by_name) as peak:
            start = time.monotonic()
            load.smtp_source(server.port, f"{USER}@{REMOTE}", (1, 10240, 1, False), number)
            accepted = time.monotonic() - start
            sink.wait(number, 600)
            row = {"count": number, "accepted_s": accepted,
                   "delivered_s": time.monotonic() - start}
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
            ("recipients", lambda row: f"{row['count']}"),
            ("accepted s", decimals("accepted_s", 2)),
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
        if size > BYTES_PER_MESSAGE:
            missed.append(f"{count} {kind}: {size:.0f} bytes of qmail-send's memory per message")
    for row in rows:
        name = f"{row['count']} {row['kind']}"
        if row["count"] and row["settled_ms"] > SLOWER * base:
            missed.append(f"{name}: new mail takes {row['settled_ms'] / base:.2f} times as long "
                          "as with an empty queue")
        if row["scanned_s"] > START_S:
            missed.append(f"{name}: scanned only after {row['scanned_s']:.0f} s")
        if row["first_s"] > FIRST_S:
            missed.append(f"{name}: first new mail only {row['first_s']:.2f} s after the start")
    return missed


def write_chart(path, results, about):
    queue = {kind: [row for row in results.get("queue", ()) if row["kind"] == kind]
             for kind in KINDS}
    cost = per_message(results)
    sessions, lists = results.get("sessions", ()), results.get("lists", ())

    def line(rows, key, factor=1.0):
        return [(row["count"], row[key] * factor) for row in rows]

    def panel(title, unit, across, lines, limit=None):
        return {"title": title, "unit": unit, "across": across, "lines": lines, "limit": limit}
    empty = next((row["settled_ms"] for row in results.get("queue", ()) if not row["count"]), None)
    queued, names = "messages in the queue", {"waiting": "waiting", "due": "all due",
                                              "cold": "waiting, after a reboot"}
    chart.write_lines(path, "Pennypost growing", [
        f"{about['time']}, {about['cpus']} × {about['cpu']}, {about['memory_gb']} GB, "
        f"Linux {about['kernel']}, ext4 in a loop-mounted file",
        f"Pennypost {about['pennypost']}; the queue is full of messages for a dead destination"], [
        panel("Start until every old message is known", "seconds", queued,
              [(names[kind], line(queue[kind], "scanned_s")) for kind in queue],
              (START_S, f"goal: {START_S} s")),
        panel("Start until the first new mail is delivered", "seconds", queued,
              [(names[kind], line(queue[kind], "first_s")) for kind in queue],
              (FIRST_S, f"goal: {FIRST_S} s")),
        panel("A new local message, connect to Maildir", "ms, median", queued,
              [(names[kind], line(queue[kind], "settled_ms")) for kind in queue],
              (SLOWER * empty, f"goal: {SLOWER} x empty queue") if empty else None),
        panel("The same while the old queue is read; qmail-qstat", "ms, median", queued,
              [("mail, waiting", line(queue["waiting"], "early_ms")),
               ("mail, all due", line(queue["due"], "early_ms")),
               ("qmail-qstat", line(queue["waiting"], "qstat_ms"))]),
        panel("Memory of qmail-send for each message", "bytes, private", queued,
              [(names[kind], [(row["count"], cost[row["count"], kind]) for row in queue[kind]])
               for kind in queue], (BYTES_PER_MESSAGE, f"goal: {BYTES_PER_MESSAGE} bytes")),
        panel("Memory of qmail-send", "MB, private", queued,
              [(names[kind], line(queue[kind], "send_bytes", 1e-6)) for kind in queue]),
        panel("Idle SMTP sessions: memory", "KB, private, for each", "sessions",
              [("all programs", line(sessions, "bytes_per_session", 1e-3))]),
        panel("Idle SMTP sessions: one more", "ms until its greeting", "sessions",
              [("accept", line(sessions, "accept_ms"))]),
        panel("One message to many: time", "seconds", "recipients",
              [("accepted", line(lists, "accepted_s")),
               ("at the sink", line(lists, "delivered_s"))]),
        panel("One message to many: peak memory", "MB, private", "recipients",
              [("all programs", line(lists, "all_bytes", 1e-6))])])


def names_of(known):
    """For argparse: one or more of the known names, with commas between."""
    def parse(text):
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"no {name!r}; there are {', '.join(known)}")
        return names
    return parse


def counts_of(text):
    return [int(number) for number in text.split(",")]


def arguments():
    parser = argparse.ArgumentParser(description="what growth costs")
    parser.add_argument("--short", action="store_true", help="at most 10,000 messages")
    parser.add_argument("--parts", type=names_of(PARTS), default=PARTS)
    parser.add_argument("--counts", type=counts_of,
                        help="messages in the queue: 1000,1000000")
    parser.add_argument("--kinds", type=names_of(KINDS), default=KINDS)
    parser.add_argument("--dir", default="/var/tmp/pennypost-scale")
    parser.add_argument("--out", default=".")
    return parser.parse_args()


def run_parts(server, options, disk, results):
    """results gets the rows of each part. Returns the number of parts that failed."""
    counts = options.counts or (SHORT_COUNTS if options.short else COUNTS)
    parts = {"queue": lambda: run_queue(server, disk, [0, *counts], options.kinds),
             "sessions": lambda: run_sessions(server, (10, 100, 1000)[:2 if options.short else 3]),
             "lists": lambda: run_lists(server, (10, 1000, 100000)[:2 if options.short else 3])}
    failures = 0
    for name in options.parts:
        say(f"-- {name}")
        try:
            results[name] = parts[name]()
        except load.TROUBLE as error:
            failures += 1
            say(f"{name}: failed: {error}")
    return failures


def show(options, results, about):
    """The tables and the files."""
    print_report(results)
    os.makedirs(options.out, exist_ok=True)
    with open(os.path.join(options.out, "scale.json"), "w", encoding="utf-8") as file:
        json.dump({"about": about, **results}, file, indent=1)
        file.write("\n")
    write_chart(os.path.join(options.out, "scale.svg"), results, about)


def run(options):
    """Returns (goals missed, parts failed)."""
    size_mb = SHORT_DISK_MB if options.short else DISK_MB
    machine.require(options.dir, size_mb * 3 // 4, always_loop=True)
    about = machine.about(short=options.short)
    server, results, failures = None, {}, 0
    # a million files of one block and one inode each
    disk = machine.loop_disk(options.dir, size_mb, ("-i", "4096", *EXT4_AT_ONCE))
    try:
        server = Growing(options.dir)
        failures = run_parts(server, options, disk, results)
    finally:
        try:
            if results:
                show(options, results, about)
        finally:
            if server:
                server.stop()
            disk.close()
    missed = [] if options.short else missed_goals(results)
    for sentence in missed:
        print(f"MISSED: {sentence}")
    return len(missed), failures


def main():
    options = arguments()
    missed, failures = load.or_exit(lambda: run(options))
    print(f"\nwrote scale.json and scale.svg; {missed} goals missed, {failures} parts failed")
    sys.exit(1 if failures else 3 if missed else 0)


if __name__ == "__main__":
    main()
