"""Part 4: what lies in the queue and is no message is set aside or left, never deleted; mail goes on."""
import os
import socket
import time

from instance import wait_for
from queue_file import build
from world import Tally, World

DAY = 86400
SENDER = b"Fsender@remote.example\0"
ASIDE, STAYS = "set aside", "left alone"


def queue_file(message, recipients, extra=b"", **header):
    return build(message, SENDER + b"".join(b"T" + r.encode() + b"\0" for r in recipients) + extra, **header)


class Shop:
    """Makes files in the queue of a running instance."""

    def __init__(self, world):
        self.world, self.queue = world, world.one.home / "queue"
        self.owner = (self.queue / "mess").stat()
        self.last = 0

    def id(self, seconds_ago=DAY):
        self.last = max(int((time.time() - seconds_ago) * 1e6), self.last + 1)
        return self.last

    def path(self, number, name=None, part="mess"):
        return self.queue / part / str((number >> 24) % 23) / (name or str(number))

    def put(self, path, content, mode=0o600):
        path.write_bytes(content)
        path.chmod(mode)
        os.chown(path, self.owner.st_uid, self.owner.st_gid)
        return path

    def message(self, name):
        return b"Received: x\nSubject: n%sn\n\nbody\nend %s\n" % (name.encode(), name.encode())


def torn_files(shop):
    """What a crash, a disk or an editor makes of a message: (what, content, how long ago)."""
    good = queue_file(shop.message("torn"), ["alice@me.example"])
    large = queue_file(shop.message("large") + b"x" * 200_000 + b"\n", ["alice@me.example"])
    header = good.index(b"H00000000000000000000 ")
    yield "empty", b"", DAY
    yield "one byte", b"x", DAY
    yield "truncated", good[:-1], DAY
    yield "only a footer", good[-64:], DAY
    yield "without a footer", good[:-64], DAY
    yield "zeros", bytes(len(good)), DAY
    yield "zeros in front", bytes(40) + good[40:], DAY
    yield "zeros in a large one", large[:4096] + bytes(4096) + large[8192:], DAY
    yield "zeros at the end of a large one", large[:196_608] + bytes(len(large) - 196_608), DAY
    yield "zeros at the end", good[:-100] + bytes(100), DAY
    yield "zeros in the header", good[:header] + bytes(43) + good[header + 43:], DAY
    yield "letters in the header", good[:header + 5] + b"later" + good[header + 10:], DAY
    yield "foreign", b"From MAILER-DAEMON\n" * 50, DAY
    yield "of a later version", queue_file(shop.message("later"), ["alice@me.example"], version=2), DAY
    yield "torn, from the future", good[:-1], -400 * DAY
    yield "one bit is wrong", good[:20] + bytes([good[20] ^ 1]) + good[21:], DAY


def strange_names(shop):
    """What lies in queue/mess and is no file of its own: (what, where it ends, paths)."""
    good = queue_file(shop.message("torn"), ["alice@me.example"])
    number = shop.id()
    yield "in the wrong folder", STAYS, [shop.put(shop.path(number + (1 << 24), str(number)), good)]
    yield "with another name", STAYS, [shop.put(shop.path(shop.id(), "README"), good)]
    link = shop.path(shop.id())
    link.symlink_to("/etc/passwd")
    yield "a symbolic link", ASIDE, [link]
    fifo = shop.path(shop.id())
    os.mkfifo(fifo)
    yield "a FIFO", ASIDE, [fifo]
    door = shop.path(shop.id())
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(door))
    yield "a socket", ASIDE, [door]
    folder = shop.path(shop.id())
    folder.mkdir()
    yield "a folder", STAYS, [folder]
    one = shop.put(shop.path(shop.id()), good)
    other = one.with_name("copy-of-it")
    os.link(one, other)
    yield "hard-linked", STAYS, [one, other]
    unreadable = shop.put(shop.path(shop.id()), good, mode=0)
    os.chown(unreadable, 0, 0)
    yield "unreadable", STAYS, [unreadable]


def other_folders(shop):
    """queue/bounce, which old versions made and nothing reads; queue/drop, where every user may leave
    things; and queue/taking, where those are that were being taken in."""
    good = queue_file(shop.message("torn"), ["alice@me.example"])
    (shop.queue / "bounce").mkdir(exist_ok=True)
    for part, where, name in (("bounce", STAYS, "{}"), ("drop", ASIDE, "{}"), ("taking", ASIDE, "{}.name")):
        for what, content in (("zeros", bytes(500)), ("foreign", b"hello\n"), ("empty", b""),
                              ("a queue file", good), ("truncated", good[:-30])):
            if part == "taking" and content is good:
                continue  # that is a message, to be moved into queue/mess
            file = shop.put(shop.queue / part / name.format(shop.id()), content, 0o644)
            yield f"{what} in queue/{part}", where, [file]
    strange = shop.queue / "drop/strange"
    strange.symlink_to("/etc/shadow")
    yield "a symbolic link in queue/drop", ASIDE, [strange]
    yield "unreadable in queue/drop", ASIDE, [shop.put(shop.queue / "drop/secret", good, 0)]


def make_all(shop):
    """[(what, where it ends, [(path, bytes or None)])] for each kind; the files exist now."""
    made = [(what, ASIDE, [shop.put(shop.path(shop.id(ago)), content)])
            for what, content, ago in torn_files(shop)]
    made += [*strange_names(shop), *other_folders(shop)]
    return [(what, where, [(path, content_of(path)) for path in paths]) for what, where, paths in made]


def content_of(path):
    return path.read_bytes() if path.is_file() and not path.is_symlink() else None


def place(shop, path):
    """Where a file is now."""
    if os.path.lexists(path):
        return path
    names = [shop.queue / "bad" / name for name in (path.name, f"drop-{path.name}")]
    return next((name for name in names if os.path.lexists(name)), None)


def wrong(shop, where, path, content, logs):
    """returns what is wrong with a file by now, or None"""
    now = place(shop, path)
    if not now:
        return "was deleted"
    if (now == path) != (where == STAYS):
        return f"was not {where}"
    if content_of(now) != content:
        return "was changed"
    if path.parent.name != "bounce" and path.name not in logs:
        return "is not in the log"
    return None


def logs_of(world):
    return "\n".join(world.one.log("qmail-send") + world.one.log("qmail-queued"))


def try_foreign_files(world, tally):
    """All kinds at once: while it runs, and over a restart."""
    shop = Shop(world)
    made = make_all(shop)
    pids = {name: world.one.processes(name) for name in ("qmail-queued", "qmail-send")}
    world.doqueue("qmail-send", "qmail-queued")
    world.still_works(tally, "with strange files in the queue")
    for name, before in pids.items():
        if world.one.processes(name) != before:
            tally.fault("strange files", f"{name} was started anew\n{world.one.tail()}")
    world.one.restart("qmail-queued", "qmail-send")
    world.still_works(tally, "after a restart with strange files in the queue")

    def all_wrong():
        logs = logs_of(world)
        return [(what, path, fault) for what, where, files in made for path, content in files
                for fault in [wrong(shop, where, path, content, logs)] if fault]
    try:
        wait_for(lambda: not all_wrong(), "the end of strange files")
    except AssertionError:
        for what, path, fault in all_wrong():
            tally.lost += fault == "was deleted"
            tally.fault(what, f"{path} {fault}\n{world.one.tail()}")
    tally.cases += len(made)
    tally.hit += len(made)
    bodies = b"\n".join(world.one.maildir("alice"))
    for word in (b"torn", b"later", b"large"):
        if b"Subject: n" + word + b"n" in bodies:
            tally.fault("strange files", f"{word.decode()} was delivered")


def try_foreign_but_good(world, tally):
    """Complete messages that are unusual are delivered."""
    shop = Shop(world)
    messages = []
    for what, extra in (("from the future", {"ago": -400 * DAY}), ("of long ago", {"ago": 3 * DAY}),
                        ("with unknown records", {"extra": b"Zsomething\0Q\0"}),
                        ("planned for the year 2500", {"next_try": 16_725_225_600}),
                        ("just created", {"ago": 0})):
        sent = world.new(remote=False)
        shop.last = 0  # each at its own time
        path = shop.path(shop.id(extra.pop("ago", DAY)))
        shop.put(path, queue_file(sent.text.encode(), ["alice@me.example"], **extra))
        sent.acknowledged = True
        messages.append((what, sent))
    world.one.restart("qmail-send")
    tally.cases += len(messages)
    tally.hit += len(messages)
    world.check(tally, "; ".join(f"{sent.name} is {what}" for what, sent in messages),
                [sent for _, sent in messages])


def try_unfinished(world, tally):
    """A file that qmail-queued has created, and neither locked nor written yet, is not set aside."""
    shop = Shop(world)
    tally.cases += 1
    tally.hit += 1
    sent = world.new(remote=False)
    sent.acknowledged = True
    path = shop.put(shop.path(shop.id(0)), b"")
    for _ in range(3):
        world.one.restart("qmail-send")  # it reads the directory
        time.sleep(0.3)
    if not path.exists():
        tally.fault("unfinished", "a file that was just created was set aside\n" + world.one.tail())
    shop.put(path, queue_file(sent.text.encode(), ["alice@me.example"]))
    world.check(tally, "unfinished", [sent])


def torn(programs, is_short, names=None):
    """Torn and foreign files in the queue."""
    tallies = [Tally("messages made by hand"), Tally("a file being created"), Tally("strange files")]
    world = World(programs)
    try:
        try_foreign_but_good(world, tallies[0])
        try_unfinished(world, tallies[1])
        try_foreign_files(world, tallies[2])
    finally:
        world.close()
    for tally in tallies:
        print(tally.line(), flush=True)
    return tallies
