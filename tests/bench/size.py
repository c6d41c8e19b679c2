#!/usr/bin/python3
"""size.py - how small it is: lines of code and size of each program, private memory when idle.

usage: size.py [--bin DIR] [--dir DIR] [--out DIR]

Starts an instance, sends messages through it, and looks at each process while it waits: programs
that come and go (qmail-smtpd, qmail-local, qmail-remote, qmail-queue) while their peer is silent.
"Lines" have neither blank lines nor comments: "own" is the file with main(), "with modules" adds
every module of its folder and of lib/ that is linked in, by the names in the binary's debug
information. "Private" is memory that no other process shares (Private_Clean + Private_Dirty).
Prints tables, writes size.json to --out. Exit 0; 1 when it cannot be measured; 2 when the machine
cannot run this; 3 when the whole idle system needs more than 5 MiB of private memory.
"""
import argparse
import contextlib
import glob
import json
import os
import re
import subprocess
import sys
import time

import load
import machine
from growth import LOCAL, SOURCE, Growing
from instance import comes_true
from processes import name_of, private_bytes
from servers import REMOTE, SINK_PORT, USER

LIMIT_BYTES = 5 << 20
SESSION_END_S = 40  # delivery processes wait so long for the next job, at most
QUIET_S = 0.5


def code_lines(path):
    """Lines that are neither blank nor comment, in C or in a script."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if path.endswith((".c", ".h")):
        text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    else:
        text = re.sub(r"^\s*#.*", "", text, flags=re.M)
    return sum(bool(line.strip()) for line in text.splitlines())


def sources_of_programs():
    """{program: path of its own source}, scripts too"""
    found = {}
    for path in sorted(glob.glob(f"{SOURCE}/qmail-*/*")):
        name = os.path.basename(path)
        if "." not in name:
            found[name] = path
        elif name.endswith(".c"):
            with open(path, encoding="utf-8") as file:
                if re.search(r"^main\b", file.read(), re.M):
                    found[name[:-2]] = path
    return found


def linked_sources(binary):
    """Paths of those of our sources that a program was linked from."""
    done = subprocess.run(["readelf", "--debug-dump=info", "--dwarf-depth=1", binary], text=True,
                          capture_output=True, check=True)
    names = re.findall(r"DW_AT_name\s*: (?:\(.*?\): )?(\S+\.c)$", done.stdout, re.M)
    return {name for name in names if re.match(r"(lib|qmail-\w+)/", name)}


def measure_program(name, path, folder):
    """What is known of a program that does not run: a row of size.json."""
    row = {"program": name, "own_lines": code_lines(path), "is_script": not path.endswith(".c")}
    if row["is_script"]:
        row["lines"], row["bytes"] = row["own_lines"], os.path.getsize(path)
        return row
    binary = f"{folder}/{name}"
    sources = linked_sources(binary) | {os.path.relpath(path, SOURCE)}
    row["lines"] = sum(code_lines(f"{SOURCE}/{source}") for source in sources)
    row["bytes"] = os.path.getsize(binary)
    return row


def total_lines():
    """{folder: lines of all its sources and headers}"""
    return {os.path.basename(folder[:-1]): sum(map(code_lines, glob.glob(folder + "*.[ch]")))
            for folder in sorted(glob.glob(f"{SOURCE}/qmail-*/")) + [f"{SOURCE}/lib/"]}


def wait_idle(server):
    """Until no delivery process waits for a next job any more."""
    comes_true(lambda: not server.pids_of("qmail-local") and not server.pids_of("qmail-remote"),
               SESSION_END_S, 0.2)
    server.cgroup.settle()


def waiting_for_jobs(server):
    """{program: private bytes} of the delivery processes that have just delivered."""
    with contextlib.closing(server.maildir_box()) as box, \
            contextlib.closing(load.Sink(SINK_PORT)) as sink:
        load.latency(server.port, LOCAL, box, 1)
        load.smtp_source(server.port, f"{USER}@{REMOTE}", (1, 1024, 1, False))
        sink.wait(1)
        time.sleep(QUIET_S)
        return {name: private_bytes(pid) for name in ("qmail-local", "qmail-remote")
                for pid in server.pids_of(name)[:1]}


def waiting_for_peers(server):
    """{program: private bytes} of those that a silent client keeps waiting."""
    client = load.Client(server.port)
    client.say(b"HELO client.test")
    queue = subprocess.Popen([f"{server.folder}/bin/qmail-queue"], stdin=subprocess.PIPE,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             env={"QMAILHOME": server.folder})
    time.sleep(QUIET_S)
    found = {"qmail-smtpd": private_bytes(server.pids_of("qmail-smtpd")[0]),
             "qmail-queue": private_bytes(queue.pid)}
    queue.kill()
    queue.communicate()
    client.close()
    return found


def measure(options):
    """Returns (private bytes of programs that wait, [(name, pid, private bytes)] when idle)."""
    machine.require(options.dir, 100)
    server = Growing(options.dir)
    try:
        waiting = waiting_for_jobs(server)
        wait_idle(server)
        idle = [(name_of(pid), pid, private_bytes(pid)) for pid in server.cgroup.pids()]
        return {**waiting, **waiting_for_peers(server)}, idle
    finally:
        server.stop()


def is_supervision(name):
    return name.startswith("s6-")


def print_programs(rows, waiting, by_name):
    print(f"{'program':20} {'own lines':>9} {'with modules':>12} {'KB':>5}  private KB")
    for row in rows:
        name = row["program"]
        memory = " + ".join(str(size // 1024) for size in by_name.get(name[:15], []))
        if name in waiting:
            memory = f"{waiting[name] // 1024} while it waits"
        kind = "  script" if row["is_script"] else ""
        print(f"{name:20} {row['own_lines']:9} {row['lines']:12} {row['bytes'] / 1000:5.0f}  "
              f"{memory or '-'}{kind}")


def print_processes(idle, by_name):
    """Returns the private bytes of the whole idle system."""
    print(f"\n{'process':20} {'number':>6} {'private KB':>11}")
    for name, sizes in sorted(by_name.items(), key=lambda item: (is_supervision(item[0]), item)):
        print(f"{name:20} {len(sizes):6} {sum(sizes) // 1024:11}")
    supervision = sum(size for name, _, size in idle if is_supervision(name))
    total = sum(size for _, _, size in idle)
    print(f"\nthe whole idle system: {total / 2**20:.2f} MiB of private memory "
          f"({supervision / 2**20:.2f} of it s6), at most {LIMIT_BYTES / 2**20:.0f}")
    return total


def arguments():
    parser = argparse.ArgumentParser(description="lines, binaries, idle memory")
    parser.add_argument("--bin", default="build/bin", help="folder of the programs")
    parser.add_argument("--dir", default="/var/tmp/pennypost-size")
    parser.add_argument("--out", default=".")
    return parser.parse_args()


def main():
    options = arguments()
    waiting, idle = load.or_exit(lambda: measure(options))
    rows = load.or_exit(lambda: [measure_program(name, path, os.path.join(SOURCE, options.bin))
                                 for name, path in sorted(sources_of_programs().items())])
    by_name = {}
    for name, _, size in idle:
        by_name.setdefault(name, []).append(size)
    print_programs(rows, waiting, by_name)
    folders = total_lines()
    print(f"\n{'folder':20} {'lines':>9}")
    for name, size in folders.items():
        print(f"{name:20} {size:9}")
    total = print_processes(idle, by_name)
    os.makedirs(options.out, exist_ok=True)
    with open(os.path.join(options.out, "size.json"), "w", encoding="utf-8") as file:
        json.dump({"about": machine.about(), "programs": rows, "folders": folders, "idle": idle,
                   "waiting": waiting, "total_bytes": total}, file, indent=1)
        file.write("\n")
    if total > LIMIT_BYTES:
        print("MISSED: more than that")
    sys.exit(3 if total > LIMIT_BYTES else 0)


if __name__ == "__main__":
    main()
