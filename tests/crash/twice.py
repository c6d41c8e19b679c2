"""Part 5: a Maildir delivery whose report was lost is not repeated, wherever its user has put the message."""
import os
import time

from tracing import Trap
from instance import comes_true
from world import Tally, World


def move_to_cur(box):
    """What a mail reader does with a new message it has shown."""
    for file in (box / "new").iterdir():
        os.rename(file, box / "cur" / (file.name + ":2,S"))


def stay(box):
    """The user does not look."""


READERS = {"in new/": stay, "moved to cur/ with flags": move_to_cur}


def calls_after_rename(world, trap):
    """The calls of an undisturbed qmail-local from its rename into new/ to its report, as (name, which of
    them). It will be killed before one of them, so the report is never sent."""
    trap.arm("-f")
    sent = world.by_smtp(world.new(remote=False))
    world.check(Tally("undisturbed"), "undisturbed", [sent])
    time.sleep(1.5)
    seen, pairs, is_after = {}, [], False
    for line in trap.trace().splitlines():
        name = line.split(None, 1)[1].partition("(")[0]
        if not name.isidentifier():
            continue
        seen[name] = seen.get(name, 0) + 1
        if is_after:
            pairs.append((name, seen[name]))
            if name.startswith("send"):
                return pairs
        is_after = is_after or name.startswith(("rename", "link"))
    raise AssertionError("the trace of qmail-local has no rename and report")


def one_case(world, trap, tally, pair, reader, wait):
    name, nth = pair
    case = f"killed at {name} {nth}, message {reader}, next try after {wait} s"
    world.one.kill("qmail-local")
    world.one.wait_for(lambda: not world.one.processes("qmail-local"), "the end of qmail-local")
    trap.arm(f"-e trace={name} -e inject={name}:signal=SIGKILL:when={nth}")
    sent = world.by_smtp(world.new(remote=False))
    tally.cases += 1
    comes_true(lambda: trap.has_struck() or not world.left(), 10, 0.005)
    tally.hit += trap.has_struck()
    READERS[reader](world.box())
    time.sleep(wait)
    world.check(tally, case, [sent])
    trap.disarm()


def twice(programs, is_short, names=None):
    """Killed between the rename into new/ and the report."""
    tally = Tally("killed between delivery and report")
    world = World(programs)
    try:
        trap = Trap(world.one, "qmail-local")
        pairs = calls_after_rename(world, trap)
        for pair in pairs[:3] if is_short else pairs:
            for reader in READERS:
                for wait in (0,) if is_short else (0, 1.5):
                    one_case(world, trap, tally, pair, reader, wait)
        trap.remove()
        if tally.hit < 0.9 * tally.cases:
            tally.fault("all cases", f"only {tally.hit} of {tally.cases} were killed")
    finally:
        world.close()
    print(tally.line(), flush=True)
    return [tally]
