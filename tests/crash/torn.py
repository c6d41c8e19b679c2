"""Part 4: files in the queue that are no messages are set aside or left, with a log line, never deleted; mail goes on."""
import os
import socket
import time

from world import Tally, World

DAY = 86400
SENDER = b"Fsender@remote.example\0"


def crc32c(data, table=[]):
    """CRC-32C, from RFC 3720."""
    if not table:
        for byte in range(256):
            for _ in range(8):
                byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
            table.append(byte)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def queue_file(message, recipients, version=1, extra=b"", next_try=0, flags=0):
    """A file as queue-file(5) describes it."""
    records = SENDER + b"".join(b"T" + r.encode() + b"\0" for r in recipients) + extra
    header = b"H%020d %010d %08x\0" % (next_try, 0, flags)
    footer = b"pennypost %d %020d %010d %08x" % (version, len(message), len(header + records),
                                                 crc32c(message + records))
    return message + header + records + footer.ljust(63) + b"\n"


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


def cases(shop):
    """(what, paths of files that nobody may delete, content) for each kind; the files exist now."""
    good = queue_file(shop.message("torn"), ["alice@me.example"])
    large = queue_file(shop.message("large") + b"x" * 200_000 + b"\n", ["alice@me.example"])

    def mess(what, content, **when):
        return what, [shop.put(shop.path(shop.id(**when)), content)]

    yield mess("empty", b"")
    yield mess("one byte", b"x")
    yield mess("truncated", good[:-1])
    yield mess("only a footer", good[-64:])
    yield mess("without a footer", good[:-64])
    yield mess("zeros", bytes(len(good)))
    yield mess("zeros in front", bytes(40) + good[40:])
    yield mess("zeros in a large one", large[:4096] + bytes(4096) + large[8192:])
    yield mess("foreign", b"From MAILER-DAEMON\n" * 50)
    yield mess("of a later version", queue_file(shop.message("later"), ["alice@me.example"], version=2))
    yield mess("torn, from the future", good[:-1], seconds_ago=-400 * DAY)
    yield mess("one bit is wrong", good[:20] + bytes([good[20] ^ 1]) + good[21:])
    number = shop.id()
    yield "in the wrong folder", [shop.put(shop.path(number + (1 << 24), str(number)), good)]
    yield "with another name", [shop.put(shop.path(shop.id(), "README"), good)]
    link = shop.path(shop.id())
    link.symlink_to("/etc/passwd")
    yield "a symbolic link", [link]
    fifo = shop.path(shop.id())
    os.mkfifo(fifo)
    yield "a FIFO", [fifo]
    door = shop.path(shop.id())
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(door))
    yield "a socket", [door]
    folder = shop.path(shop.id())
    folder.mkdir()
    yield "a folder", [folder]
    one = shop.put(shop.path(shop.id()), good)
    other = one.with_name("copy-of-it")
    os.link(one, other)
    yield "hard-linked", [one, other]
    unreadable = shop.put(shop.path(shop.id()), good, mode=0)
    os.chown(unreadable, 0, 0)
    yield "unreadable", [unreadable]
    for part in ("bounce", "drop"):
        for what, content in (("zeros", bytes(500)), ("foreign", b"hello\n"), ("empty", b""),
                              ("a queue file", good), ("truncated", good[:-30])):
            number = shop.id()
            yield f"{what} in queue/{part}", [shop.put(shop.queue / part / str(number), content, 0o644)]
    strange = shop.queue / "drop/strange"
    strange.symlink_to("/etc/shadow")
    yield "a symbolic link in queue/drop", [strange]
    yield "unreadable in queue/drop", [shop.put(shop.queue / "drop/secret", good, 0)]


def is_kept(shop, path):
    """It is where it was, or in queue/bad."""
    return os.path.lexists(path) or any(
        os.path.lexists(shop.queue / "bad" / name) for name in (path.name, f"drop-{path.name}"))


def mail_flows(world, tally, case):
    sent = world.by_smtp(world.new())
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if world.arrived(sent)[:2] == (1, 1):
            tally.accepted += 1
            return
        time.sleep(0.05)
    tally.fault(case, f"mail does not flow: {sent.answer} {world.arrived(sent)}\n{world.one.tail()}")


def try_foreign_files(world, tally):
    """All kinds at once: while it runs, and over a restart."""
    shop = Shop(world)
    made = list(cases(shop))
    pids = {name: world.one.processes(name) for name in ("qmail-queued", "qmail-send")}
    world.doqueue()
    mail_flows(world, tally, "with strange files in the queue")
    for name, before in pids.items():
        if world.one.processes(name) != before:
            tally.fault("strange files", f"{name} was started anew\n{world.one.tail()}")
    world.one.restart("qmail-queued", "qmail-send")
    mail_flows(world, tally, "after a restart with strange files in the queue")
    time.sleep(2)
    logs = "\n".join(world.one.log("qmail-send") + world.one.log("qmail-queued"))
    bodies = b"\n".join(world.one.maildir("alice"))
    for what, paths in made:
        tally.cases += 1
        tally.hit += 1
        for path in paths:
            if not is_kept(shop, path):
                tally.lost += 1
                tally.fault(what, f"{path} was deleted")
        if "queue/bounce" not in what and not any(path.name in logs for path in paths):
            tally.fault(what, f"no log line about {paths[0].name}\n{world.one.tail()}")
    for word in (b"torn", b"later", b"large"):
        if b"Subject: n" + word + b"n" in bodies:
            tally.fault("strange files", f"{word.decode()} was delivered")


def try_foreign_but_good(world, tally):
    """Complete messages that are unusual are delivered."""
    shop = Shop(world)
    for what, extra in (("from the future", {"ago": -400 * DAY}), ("of long ago", {"ago": 3 * DAY}),
                        ("with unknown records", {"extra": b"Zsomething\0Q\0"}),
                        ("planned for the year 2500", {"next_try": 16_725_225_600}),
                        ("just created", {"ago": 0})):
        tally.cases += 1
        tally.hit += 1
        sent = world.new(remote=False)
        number = shop.id(extra.pop("ago", DAY))
        shop.put(shop.path(number), queue_file(sent.text.encode(), ["alice@me.example"], **extra))
        sent.acknowledged = True
        world.one.restart("qmail-send")
        world.check(tally, what, [sent])


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
