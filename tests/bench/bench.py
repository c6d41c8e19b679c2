#!/usr/bin/python3
"""bench.py - Pennypost and Postfix side by side, in one run, on one file system.

usage: bench.py [--rounds N] [--short] [--cells REGEX] [--dir DIR] [--out DIR]

Prints a table (medians; the ratio's lowest and highest round), writes bench.json and bench.svg
to --out. The servers run one after the other in each round, so that both see the same machine.
Exit 0; 1 when a cell failed; 3 when a goal of tests/bench/README.md was missed.
"""
import argparse
import contextlib
import os
import platform
import re
import sys
import time

import load
import machine
import neighbour
import report
from servers import DOMAIN, REMOTE, SINK_PORT, USER, Pennypost, Postfix

SIZES = {"1K": 1024, "10K": 10240, "1M": 1 << 20}
LOCAL = f"{USER}@{DOMAIN}"

# (cell, metric): the ratio to Postfix that must be reached
GOALS = {
    ("s50-1K-keep", "delivered_per_s"): (">=", 3), ("s50-10K-keep", "delivered_per_s"): (">=", 3),
    ("s50-1K-keep", "cpu_s_per_1000"): ("<=", 0.25),
    ("s50-10K-keep", "cpu_s_per_1000"): ("<=", 0.25),
    ("s10-1K-keep", "delivered_per_s"): (">=", 2), ("s10-10K-keep", "delivered_per_s"): (">=", 2),
    ("s50-1K-conn", "delivered_per_s"): (">=", 2), ("s50-1K-conn", "cpu_s_per_1000"): ("<=", 0.4),
    ("s1-1K-keep", "delivered_per_s"): (">=", 1.2), ("s1-1K-conn", "delivered_per_s"): (">=", 1.2),
    ("out", "delivered_per_s"): (">=", 2.5), ("list", "recipients_per_s"): (">=", 2),
    ("s10-1M-keep", "delivered_per_s"): (">=", 1.7),
    ("s10-1M-keep", "cpu_s_per_1000"): ("<=", 0.45),
    ("latency", "delivered_ms"): ("<=", 1.0), ("s50-1K-keep", "pss_mb"): ("<=", 0.1),
}
SHORT = r"s50-1K-(keep|conn)|s10-1K-keep|s1-1K-keep|s10-1M-keep|out|list|latency|neighbour"


@contextlib.contextmanager
def measured(server, row, number):
    """Add CPU time per 1000 of number and memory to row; the memory is that at the end."""
    before = server.cgroup.cpu_seconds()
    yield
    server.cgroup.settle()
    row["cpu_s_per_1000"] = (server.cgroup.cpu_seconds() - before) * 1000 / number


def run_in(server, shape):
    """SMTP to Maildir."""
    row = {}
    with contextlib.closing(load.Maildir(server.maildir, server.uid, server.gid)) as box:
        os.sync()
        with measured(server, row, shape[2]):
            start = time.monotonic()
            load.smtp_source(server.port, LOCAL, shape)
            row["pss_mb"] = server.cgroup.pss_bytes() / 1e6
            box.wait(shape[2])
            row["delivered_per_s"] = shape[2] / (time.monotonic() - start)
    return row


def run_out(server, count):
    """SMTP to another server, one recipient each."""
    row = {}
    with contextlib.closing(load.Sink(SINK_PORT)) as sink:
        with measured(server, row, count):
            start = time.monotonic()
            load.smtp_source(server.port, f"{USER}@{REMOTE}", (10, 1024, count, True))
            row["pss_mb"] = server.cgroup.pss_bytes() / 1e6
            sink.wait(count)
            row["delivered_per_s"] = count / (time.monotonic() - start)
    return row


def run_list(server, recipients):
    """One message of 10 KiB to many recipients at one destination."""
    row = {}
    with contextlib.closing(load.Sink(SINK_PORT, dump=True)) as sink:
        with measured(server, row, recipients):
            start = time.monotonic()
            load.smtp_source(server.port, f"{USER}@{REMOTE}", (1, 10240, 1, False), recipients)
            sink.wait(recipients)
            row["recipients_per_s"] = recipients / (time.monotonic() - start)
    return row


def run_latency(server, count):
    with contextlib.closing(load.Maildir(server.maildir, server.uid, server.gid)) as box:
        accepted, delivered = load.latency(server.port, LOCAL, box, count)
    return {"accepted_ms": accepted, "delivered_ms": delivered}


def cells(short):
    """name -> (function, argument)"""
    count = {1: 300, 10: 2000, 50: 4000}
    table = {}
    for size, size_bytes in SIZES.items():
        for sessions in (1, 10, 50):
            for way in ("keep", "conn"):
                messages = (10 * min(sessions, 20) if size == "1M" else count[sessions])
                messages = max(messages // (4 if short else 1), 20)
                shape = (sessions, size_bytes, messages, way == "keep")
                table[f"s{sessions}-{size}-{way}"] = run_in, shape
    table["out"] = run_out, 500 if short else 3000
    table["list"] = run_list, 1000 if short else 5000
    table["latency"] = run_latency, 30 if short else 100
    return table


def arguments():
    parser = argparse.ArgumentParser(description="Pennypost and Postfix side by side")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--short", action="store_true", help="fewer cells and messages")
    parser.add_argument("--cells", default=None, help="regular expression on cell names")
    parser.add_argument("--dir", default="/var/tmp/pennypost-bench")
    parser.add_argument("--out", default=".")
    return parser.parse_args()


def run_rounds(servers, chosen, rounds):
    """Every cell, every round, every server in turn. Returns (results, number of failures)."""
    results, failures = {}, 0
    total, done = len(chosen) * rounds * len(servers), 0
    for name, (function, argument) in chosen.items():
        rows = results[name] = {server.name: [] for server in servers}
        for _ in range(rounds):
            for server in servers:
                done += 1
                print(f"\r[{done}/{total}] {name} {server.name}          ", end="",
                      file=sys.stderr, flush=True)
                try:
                    rows[server.name].append(function(server, argument))
                except (TimeoutError, RuntimeError, OSError) as error:
                    failures += 1
                    print(f"\n{name} {server.name}: failed: {error}", file=sys.stderr)
                    server.cgroup.settle()
    print(file=sys.stderr)
    return results, failures


def full(pattern):
    """The default is everything."""
    return ".*" if pattern == "." else pattern


def main():
    options = arguments()
    if os.geteuid() != 0:
        sys.exit("bench.py: fatal: must be root (cgroups, accounts, mount)")
    pattern = options.cells or (SHORT if options.short else ".")
    chosen = {name: cell for name, cell in cells(options.short).items()
              if re.fullmatch(full(pattern), name)}
    about = {"kernel": platform.release(), "cpus": os.cpu_count(), "rounds": options.rounds,
             "file_system": "ext4 with journal", "time": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())}
    undo = machine.journalled_directory(options.dir)
    servers = []
    try:
        for kind in (Pennypost, Postfix):
            servers.append(kind(options.dir))
        for server in servers:
            run_in(server, (10, 1024, 100, True))  # warm up
        results, failures = run_rounds(servers, chosen, options.rounds)
        missed = report.print_table(results, GOALS)
        if re.fullmatch(full(pattern), "neighbour"):
            rows, more = neighbour.run(*servers, options.dir, *((2, 1) if options.short else (4, 2)))
            about["neighbour"], missed = rows, missed + more
    finally:
        for server in servers:
            server.stop()
        undo()
    report.write_json(os.path.join(options.out, "bench.json"), results, about)
    report.write_svg(os.path.join(options.out, "bench.svg"), results)
    print(f"wrote bench.json and bench.svg; {missed} goals missed, {failures} runs failed")
    sys.exit(1 if failures else 3 if missed else 0)


if __name__ == "__main__":
    main()
