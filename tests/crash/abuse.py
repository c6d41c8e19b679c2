"""Part 6: clients and users that take all they can get, and a machine that has nothing left."""
import functools
import resource
import subprocess
import time

import greedy
import shortage
from instance import NotPossible
from watch import MIB, Cgroup, peak_of
from world import Tally, World

ONE_BYTES = 64 * MIB  # what one process may ever take, recipients by the 100,000 included
ALL_BYTES = 128 * MIB  # what all of them may take together, with what lies in memfds
CASES = {case.__name__: case for case in (
    greedy.slow_clients, greedy.many_recipients, greedy.endless_data, greedy.greedy_program,
    greedy.fork_bomb, shortage.no_delivery_process, shortage.no_session, shortage.no_flusher,
    shortage.full_process_table, shortage.full_mail_disk)}
HOMES = {"home_without_blocks": False, "home_without_inodes": True}
# A hundred messages of 2 MB among a thousand sessions; users' programs, whose memory is not ours.
MORE_BYTES = {"slow_clients": 512 * MIB, "greedy_program": None, "fork_bomb": None}


def find_memory_group(one):
    try:
        return Cgroup("memory", one)
    except NotPossible as reason:
        print(f"  {reason}: memory is counted by process", flush=True)
        return None


def measure(name, tally, peak):
    limit = MORE_BYTES.get(name, ALL_BYTES)
    for program, size in peak.sizes.items():
        if size > ONE_BYTES:
            tally.fault(name, f"{program} took {size // 1024} KiB")
    if limit and peak.most > limit:
        tally.fault(name, f"all together took {peak.most // 1024} KiB")
    if not peak.sizes:
        tally.fault(name, "nothing was measured")
    sizes = ", ".join(f"{program} {size // 1024}" for program, size in sorted(peak.sizes.items()))
    return f"all {peak.most / MIB:.1f} MiB; KiB: {sizes}"


def try_case(name, case, tallies):
    """Run one; what cannot be run here is no case. returns nothing"""
    tally, began, words = Tally(f"abuse: {name}"), time.monotonic(), ""
    try:
        words = case(tally) or ""
    except NotPossible as reason:
        print(f"skipped {name}: {reason}", flush=True)
        return
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        tally.fault(name, f"{error}")
    tally.cases = tally.hit = 1
    tallies.append(tally)
    print(f"{tally.line()}; {time.monotonic() - began:.0f} s; {words}", flush=True)


def run_case(world, group, is_short, name, tally):
    with peak_of(world.one, group) as peak:
        CASES[name](world, tally, is_short)
    world.forget()
    return measure(name, tally, peak)


def run_home(programs, is_short, name, tally):
    return measure(name, tally, shortage.full_home(programs, tally, is_short, HOMES[name]))


def abuse(programs, is_short, names=None):
    """Load and abuse."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(limit, 8192), limit))
    tallies = []
    world = World(programs, limits=True, start=False)
    world.one.control("concurrencyincoming", "1100")
    world.one.control("timeoutsmtpd", str(greedy.TIMEOUT_SHORT_S if is_short else greedy.TIMEOUT_S))
    world.one.start()
    group = find_memory_group(world.one)
    try:
        for name in names or CASES:
            if name in CASES:
                try_case(name, functools.partial(run_case, world, group, is_short, name), tallies)
    finally:
        world.close()
        if group:
            group.close()
    for name in names or HOMES:
        if name in HOMES:
            try_case(name, functools.partial(run_home, programs, is_short, name), tallies)
    return tallies
