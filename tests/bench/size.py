#!/usr/bin/python3
"""size.py - how small it is: lines of code and size of each program, private memory when idle.

usage: size.py [--dir DIR] [--out DIR]

Starts an instance, sends one message through it, and looks at each process when all is quiet
again. "Lines" are those of the program's own source file, blank lines and comments left out; the
modules of its folder and of lib/, which it shares with others, are counted once at the end.
"Private" is memory that no other process shares (Private_Clean + Private_Dirty).
Prints tables, writes size.json to --out. Exit 0; 3 when the whole idle system needs more than
5 MiB of private memory.
"""
import argparse
import glob
import json
import os
import re
import sys
import time

import load
from growth import LOCAL, SOURCE, Growing, name_of, private_bytes

LIMIT_BYTES = 5 << 20
SESSION_END_S = 40  # delivery processes wait so long for the next job, at most


def code_lines(path):
    """Lines that are neither blank nor comment."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    return sum(bool(line.strip()) for line in text.splitlines())


def sources_of_programs():
    """{program: path of its own source}"""
    found = {}
    for path in sorted(glob.glob(f"{SOURCE}/qmail-*/*.c")):
        with open(path, encoding="utf-8") as file:
            if re.search(r"^main\b", file.read(), re.M):
                found[os.path.basename(path)[:-2]] = path
    return found


def shared_lines(programs):
    """{folder: lines of its modules and headers}"""
    own, sizes = set(programs.values()), {}
    for folder in sorted(glob.glob(f"{SOURCE}/qmail-*/")) + [f"{SOURCE}/lib/"]:
        paths = set(glob.glob(folder + "*.[ch]")) - own
        sizes[os.path.basename(folder[:-1])] = sum(code_lines(path) for path in paths)
    return sizes


def idle_memory(server):
    """[(program, pid, private bytes)] when nothing is being delivered."""
    end = time.monotonic() + SESSION_END_S
    while time.monotonic() < end and (server.pids_of("qmail-local") or server.pids_of("qmail-remote")):
        time.sleep(0.2)
    server.cgroup.settle()
    return [(name_of(pid), pid, private_bytes(pid)) for pid in server.cgroup.pids()]


def measure(options):
    os.makedirs(options.dir, exist_ok=True)
    server = Growing(options.dir)
    try:
        box = server.maildir_box()
        load.latency(server.port, LOCAL, box, 1)
        box.close()
        return idle_memory(server)
    finally:
        server.stop()


def is_supervision(name):
    return name.startswith("s6-")


def print_report(programs, shared, idle):
    """Tables; returns the private bytes of the whole system."""
    by_name = {}
    for name, _, size in idle:
        by_name.setdefault(name, []).append(size)
    print(f"{'program':20} {'lines':>6} {'binary KB':>10} {'private KB when idle':>21}")
    for name, path in sorted(programs.items()):
        binary = os.path.getsize(f"{SOURCE}/build/bin/{name}")
        sizes = by_name.get(name[:15], [])
        memory = " + ".join(str(size // 1024) for size in sizes) or "-"
        print(f"{name:20} {code_lines(path):6} {binary // 1000:10} {memory:>21}")
    print(f"\n{'folder':20} {'lines of shared modules':>24}")
    for name, size in shared.items():
        print(f"{name:20} {size:24}")
    print(f"\n{'process':20} {'number':>6} {'private KB':>11}")
    for name, sizes in sorted(by_name.items(), key=lambda item: (is_supervision(item[0]), item[0])):
        print(f"{name:20} {len(sizes):6} {sum(sizes) // 1024:11}")
    supervision = sum(size for name, _, size in idle if is_supervision(name))
    total = sum(size for _, _, size in idle)
    print(f"\nthe whole idle system: {total / 2**20:.2f} MiB of private memory "
          f"({supervision / 2**20:.2f} of it s6), at most {LIMIT_BYTES / 2**20:.0f}")
    return total


def main():
    parser = argparse.ArgumentParser(description="lines, binaries, idle memory")
    parser.add_argument("--dir", default="/var/tmp/pennypost-size")
    parser.add_argument("--out", default=".")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("size.py: fatal: must be root (cgroups, accounts)")
    programs = sources_of_programs()
    shared = shared_lines(programs)
    idle = measure(options)
    total = print_report(programs, shared, idle)
    with open(os.path.join(options.out, "size.json"), "w", encoding="ascii") as file:
        json.dump({"idle": idle, "lines": {name: code_lines(path) for name, path in programs.items()},
                   "shared_lines": shared}, file, indent=1)
    if total > LIMIT_BYTES:
        print("MISSED: more than that")
    sys.exit(3 if total > LIMIT_BYTES else 0)


if __name__ == "__main__":
    main()
