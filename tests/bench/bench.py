#!/usr/bin/python3
"""bench.py - Pennypost and Postfix side by side, in one run, on one file system.

usage: bench.py [--rounds N] [--short] [--cells REGEX] [--dir DIR] [--out DIR]

Prints a table (median, lowest and highest round), writes bench.json and bench.svg to --out, also
when it is ended early. The servers run one after the other in each round, each of them first in
every second round, so that both see the same machine. A short run has too few messages to be held
to the goals. Exit 0; 1 when a cell failed; 2 when the machine cannot run this; 3 when a goal of
tests/bench/README.md was missed.
"""
import argparse
import contextlib
import os
import re
import sys
import time

import load
import machine
import neighbour
import report
from processes import Peak
from servers import DOMAIN, REMOTE, SINK_PORT, USER, Pennypost, Postfix

SIZES = {"1K": 1024, "10K": 10240, "1M": 1 << 20}
LOCAL = f"{USER}@{DOMAIN}"

SHORT = r"s50-1K-(keep|conn)|s10-1K-keep|s1-1K-keep|s10-1M-keep|out|list|latency|neighbour"


@contextlib.contextmanager
def measured(server, row, number):
    """Add CPU time per 1000 of number, and the most memory at any time, to row."""
    before, workers = server.cgroup.cpu_seconds(), machine.KernelWorkers()
    with Peak(lambda: ({}, server.cgroup.pss_bytes())) as peak:
        yield
    row["pss_mb"] = peak.most / 1e6
    server.cgroup.settle()
    row["cpu_s_per_1000"] = (server.cgroup.cpu_seconds() - before) * 1000 / number
    row["kernel_s_per_1000"] = workers.seconds() * 1000 / number


def run_in(server, shape):
    """SMTP to Maildir."""
    row = {}
    with contextlib.closing(load.Maildir(server.maildir, server.uid, server.gid)) as box:
        os.sync()
        with measured(server, row, shape[2]):
            start = time.monotonic()
            load.smtp_source(server.port, LOCAL, shape)
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
    row = {}
    with contextlib.closing(load.Maildir(server.maildir, server.uid, server.gid)) as box:
        with measured(server, row, count):
            row["accepted_ms"], row["delivered_ms"] = load.latency(server.port, LOCAL, box, count)
    return row


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
    options = parser.parse_args()
    names = [*cells(options.short), "neighbour"]
    options.cells = options.cells or (SHORT if options.short else ".*")
    try:
        if not any(re.fullmatch(options.cells, name) for name in names):
            parser.error(f"no cell matches {options.cells}; there are {', '.join(names)}")
    except re.error as error:
        parser.error(f"--cells {options.cells}: {error}")
    if options.rounds < 1:
        parser.error("at least one round")
    return options


def run_rounds(servers, chosen, rounds, results):
    """Every cell, every round, every server in turn; results gets them. Returns the number of
    failures: such a run counts as None, so that the others stay paired round by round."""
    failures, done, total = 0, 0, len(chosen) * rounds * len(servers)
    for name, (function, argument) in chosen.items():
        rows = results[name] = {server.name: [] for server in servers}
        for number in range(rounds):
            for server in servers if number % 2 == 0 else servers[::-1]:
                done += 1
                print(f"\r[{done}/{total}] {name} {server.name}          ", end="",
                      file=sys.stderr, flush=True)
                row = None
                try:
                    row = function(server, argument)
                except load.TROUBLE as error:
                    failures += 1
                    print(f"\n{name} {server.name}: failed: {error}", file=sys.stderr)
                    server.cgroup.settle()
                rows[server.name].append(row)
    print(file=sys.stderr)
    return failures


def run_neighbour(servers, options, about):
    """Returns the number of failures; about gets the rows."""
    try:
        about["neighbour"], failures = neighbour.run(*servers, options.dir,
                                                     *((1, 1) if options.short else (6, 1.5)))
    except load.TROUBLE as error:
        print(f"\nneighbour: failed: {error}", file=sys.stderr)
        return 1
    return failures


def show(options, results, about):
    """The tables and the files; returns the number of goals missed."""
    missed = report.print_table(results, not options.short) if results else 0
    if about.get("neighbour"):
        missed += report.print_besides(about["neighbour"], not options.short)
    report.write_json(os.path.join(options.out, "bench.json"), results, about)
    report.write_svg(os.path.join(options.out, "bench.svg"), results, about)
    print("\nwrote bench.json and bench.svg")
    return missed


def run(options):
    """Returns (goals missed, failures)."""
    chosen = {name: cell for name, cell in cells(options.short).items()
              if re.fullmatch(options.cells, name)}
    machine.require(options.dir, 3000)
    os.makedirs(options.out, exist_ok=True)
    file_system, undo = machine.journalled_directory(options.dir)
    about = machine.about(rounds=options.rounds, short=options.short, file_system=file_system,
                          postfix=Postfix.version())
    servers, results, failures, missed = [], {}, 0, 0
    try:
        for kind in (Pennypost, Postfix):
            servers.append(kind(options.dir))
        for server in servers:
            run_in(server, (10, 1024, 100, True))  # warm up
        failures += run_rounds(servers, chosen, options.rounds, results)
        if re.fullmatch(options.cells, "neighbour"):
            failures += run_neighbour(servers, options, about)
    finally:
        try:
            if results or about.get("neighbour"):
                missed = show(options, results, about)
        finally:
            for server in servers:
                server.stop()
            undo()
    return missed, failures


def main():
    options = arguments()
    missed, failures = load.or_exit(lambda: run(options))
    print(f"{missed} goals missed, {failures} runs failed")
    sys.exit(1 if failures else 3 if missed else 0)


if __name__ == "__main__":
    main()
