#!/usr/bin/python3
"""crash.py [--short] [--seed N] [PART[:NAME,...]]...: try to make Pennypost lose a message; see README.md.

Runs as root in a network and a mount table of its own: `make crash`. env RESULTS: a file that gets a line
for each part. exit 0: nothing was lost; 1: see the lines with FAULT.
"""
import argparse
import os
import random
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "e2e")]
import abuse  # noqa: E402
import cut  # noqa: E402
import power  # noqa: E402
import syscalls  # noqa: E402
import torn  # noqa: E402
import twice  # noqa: E402
from world import DETAILS  # noqa: E402
from instance import NotPossible, install_programs, remove_tree, require_own_network  # noqa: E402

PARTS = {"kill": syscalls.kill, "fail": syscalls.fail, "power": power.power, "cut": cut.real_cut,
         "torn": torn.torn, "twice": twice.twice, "abuse": abuse.abuse}
# What may stand behind PART:
NAMES = {"kill": list(syscalls.CHAIN), "fail": list(syscalls.CHAIN),
         "power": [*power.FOLDERS, "syncfs"], "abuse": [*abuse.CASES, *abuse.HOMES]}


def report(name, tallies):
    """One line for each part of the check. returns whether it is good"""
    faults = [fault for tally in tallies for fault in tally.faults]
    with open(os.environ.get("RESULTS") or os.devnull, "a", encoding="utf-8") as results:
        print(f"{'not ok' if faults else 'ok'} crash {name}", file=results)
    print(f"{'FAILED' if faults else 'ok    '} {name}: {sum(t.cases for t in tallies)} cases, "
          f"{sum(t.accepted for t in tallies)} messages accepted, {sum(t.lost for t in tallies)} lost, "
          f"{sum(t.twice for t in tallies)} twice in a Maildir, "
          f"{sum(t.twice_remote for t in tallies)} twice by SMTP, {len(faults)} faults", flush=True)
    return not faults


def arguments():
    """Checked: wrong names end the program before anything is started."""
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("parts", nargs="*")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    chosen = []
    for part in options.parts or PARTS:
        name, _, names = part.partition(":")
        if name not in PARTS:
            parser.error(f"no part {name}; there are {', '.join(PARTS)}")
        wrong = set(names.split(",") if names else ()) - set(NAMES.get(name, ()))
        if wrong:
            parser.error(f"{name} has no {', '.join(sorted(wrong))}; "
                         f"there are {', '.join(NAMES.get(name, ['only all of it']))}")
        chosen.append((name, [names.split(",")] if names else []))
    options.parts = chosen
    return options


def main():
    options = arguments()
    why = require_own_network()
    if why:
        sys.exit(f"crash.py: {why}: run `make crash`")
    random.seed(options.seed)
    DETAILS.unlink(missing_ok=True)
    print(f"seed {options.seed}", flush=True)
    programs = install_programs()
    good = True
    try:
        for name, extra in options.parts:
            try:
                good &= report(name, PARTS[name](programs, options.short, *extra))
            except NotPossible as reason:
                print(f"skipped {name}: {reason}", flush=True)
    finally:
        remove_tree(programs)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
