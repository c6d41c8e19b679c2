"""Part 6: clients and users that take all they can get."""
import os
import select
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from instance import PATIENCE, wait_for

TIMEOUT_S, TIMEOUT_SHORT_S = 10, 5  # control/timeoutsmtpd
SLOW_LINE = b"MAIL FROM:<slow@remote.example>\r\n"
BEGIN_DATA = b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<alice@me.example>\r\nDATA\r\n"
STALL_BYTES = 2_000_000  # as much of a message as is kept in memory: spool.h
SHOUT = b"EHLO x\r\nMAIL FROM:<>\r\n" + b"RCPT TO:<alice@me.example>\r\n" * 900  # EHLO begins anew
TCP_WRITE = Path("/proc/sys/net/ipv4/tcp_wmem")
HOLD_S = 2
# Starts processes until it is not allowed to, and keeps them for a while.
HOLD = f"""|perl -e 'for (1 .. 5000) {{ $p = fork; last unless defined $p; if (!$p) {{ sleep 60; exit }} }}
sleep {HOLD_S}'""".replace("\n", " ")
FORK_BOMB = "|perl -e 'for (;;) { fork }'"


def connect(world):
    one = socket.create_connection((world.one.ip, world.one.port), timeout=60)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)  # whatever SmallBuffers says
    return one


def close(sockets):
    for one in sockets:
        one.close()


def no_sessions(world, tally, case):
    """The server ends them, whatever the clients do: control/timeoutsmtpd, 2 s to linger, and patience with a
    slow machine."""
    def left():
        return len(world.one.processes("qmail-smtpd"))
    try:
        wait_for(lambda: not left(), "the end of the sessions", PATIENCE)
    except AssertionError:
        tally.fault(case, f"{left()} sessions are left over\n{world.one.tail()}")


def in_data(world):
    one = connect(world)
    one.sendall(BEGIN_DATA)
    answer = b""
    while b"354 " not in answer:
        got = one.recv(4096)
        if not got:
            raise AssertionError(f"no 354 but {answer}")
        answer += got
    return one


def slow_clients(world, tally, is_short):
    with SmallBuffers():
        crowd(world, tally, is_short)


def crowd(world, tally, is_short):
    """Slow ones: a byte a second, one half in a command, one half in a message. Deaf ones ask, and never read
    the answers, until nothing fits into the pipes. Half-open ones go away in the middle, by a reset or
    silently, or not at all. Stalled ones have sent as much of a message as is kept in memory. All at once;
    the sessions end because the server ends them."""
    case, many = "slow, deaf and half-open clients", 40 if is_short else 1000
    with ThreadPoolExecutor(30) as pool:
        deaf = list(pool.map(shout, [world] * (3 if is_short else 30)))
    slow = [connect(world) for _ in range(many // 2)] + [in_data(world) for _ in range(many // 2)]
    stalled = [stall(world) for _ in range(10 if is_short else 100)]
    silent = [connect(world) for _ in range(5 if is_short else 20)]
    # the first may have had their time already
    wait_for(lambda: len(world.one.processes("qmail-smtpd")) >= many * 8 // 10, "a session for each")
    walk_away(world, 20 if is_short else 200)
    began = time.monotonic()
    alive = set(slow)
    for second in range(len(SLOW_LINE)):
        for one in list(alive):
            try:
                one.send(SLOW_LINE[second:second + 1])
            except OSError:
                alive.remove(one)
        if second == 1:
            world.still_works(tally, case)
        time.sleep(max(0, began + second + 1 - time.monotonic()))
        if second > TIMEOUT_SHORT_S and not world.one.processes("qmail-smtpd"):
            break
    no_sessions(world, tally, case)
    close(slow + deaf + stalled + silent)
    if any(b"Subject: half" in mail for mail in world.one.maildir("alice")):
        tally.fault("half-open", "half a message was delivered")


class SmallBuffers:
    """While it lasts, connections that begin hold little of what is sent: as to a client far away that reads
    nothing. Our network is a namespace of its own."""

    def __enter__(self):
        self.before = TCP_WRITE.read_text()
        TCP_WRITE.write_text("4096 16384 16384")

    def __exit__(self, *_):
        TCP_WRITE.write_text(self.before)


def shout(world):
    """A client that asks and never reads, until the server does not read any more, for it cannot answer."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    one.connect((world.one.ip, world.one.port))
    one.setblocking(False)
    text, sent = SHOUT * 150, 0  # after 200 idle commands it would be sent away
    while select.select([], [one], [], 0.2)[1]:
        sent += one.send(text[sent:sent + 65536])
        if sent == len(text):
            raise AssertionError("the server takes everything: the test is wrong")
    return one


def stall(world):
    one = in_data(world)
    one.sendall((b"x" * 78 + b"\r\n") * (STALL_BYTES // 80))
    return one


def walk_away(world, many):
    for at in range(many):
        one = connect(world)
        one.sendall((BEGIN_DATA + b"Subject: half\r\n")[:10 + 5 * (at % 15)])
        if at % 2:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        one.close()


def many_recipients(world, tally, is_short):
    """One message for very many, who throw it away: each is served once."""
    many = 1000 if is_short else 100_000
    world.one.dot_qmail("bob", "#", ext="default")
    before = counted(world)
    code = world.one.inject(b"Subject: many\n\nhello\n", "carol@sink.example",
                            *(f"bob-{i}@me.example" for i in range(many)), check=False)
    if code != 0:
        tally.fault("recipients", f"qmail-queue exited {code}")
        return
    tally.accepted += 1
    world.still_works(tally, "recipients")
    if world.settle(30 if is_short else 300):
        tally.fault("recipients", "not all were served\n" + world.one.tail())
    try:  # the log comes a little later
        wait_for(lambda: time.sleep(0.2) or counted(world) - before >= many, "the log", 30)
    except AssertionError:
        tally.lost += 1
    done = counted(world) - before
    if done != many:
        tally.fault("recipients", f"{done} of {many} deliveries in the log")


def counted(world):
    return sum(": success: did_0+0+0/" in line for line in world.one.log("qmail-send"))


def endless_data(world, tally, is_short):
    """A message that does not end: databytes stops it, and nothing of it stays; 552 when it ends."""
    world.one.control("databytes", str(20_000_000 if is_short else 200_000_000))
    chunk = (b"x" * 78 + b"\r\n") * 13107
    answer = b""
    with in_data(world) as one:
        one.settimeout(120)
        try:
            for _ in range(40 if is_short else 2048):
                one.sendall(chunk)
            one.sendall(b"\r\n.\r\n")
            answer = one.recv(65536)
        except OSError as error:
            answer = f"closed: {error}".encode()
    if not answer.startswith(b"552 "):
        tally.fault("endless data", answer.decode())
    world.one.control("databytes", None)
    world.still_works(tally, "endless data")
    size = 10_000_000 if is_short else 150_000_000
    sent = world.by_smtp(world.new(size=size, remote=False), timeout=300)
    world.check(tally, "a large message", [sent])
    if not sent.acknowledged:
        tally.fault("a large message", sent.answer)


def of_carol(world):
    """Processes that her programs have started, by their working directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink() == world.one.user_home("carol"):
                found.append(int(entry.name))
        except OSError:
            pass
    return found


def greedy_program(world, tally, is_short):
    """A user's programs start as many processes as they may, control/maxprocesses, and not one more; others
    are served, and so is the user's own Maildir."""
    limit = 100 if is_short else 1000  # the default
    world.one.control("maxprocesses", "100" if is_short else None)
    world.one.dot_qmail("carol", HOLD)
    world.one.dot_qmail("carol", "./Maildir/", ext="box")
    for _ in range(2 if is_short else 10):
        world.one.inject(b"Subject: greedy\n\n", "carol@sink.example", "carol@me.example")
    wait_for(lambda: len(of_carol(world)) >= limit * 8 // 10, lambda: f"greed, {len(of_carol(world))}", 30)
    most = len(of_carol(world))
    world.still_works(tally, "greedy program")
    world.one.inject(b"Subject: to the greedy one\n\n", "carol@sink.example", "carol-box@me.example")
    world.one.wait_mail("carol", 1)
    most = max(most, len(of_carol(world)))
    if most > limit:
        tally.fault("greedy program", f"{most} processes")
    if world.settle(120):
        tally.fault("greedy program", "the queue is not empty\n" + world.one.tail())
    world.one.control("maxprocesses", None)
    end_programs(world)  # after a success they may go on


def end_programs(world):
    """As an administrator does: whole process groups, so that nothing escapes by forking."""
    for pid in of_carol(world):
        try:
            os.killpg(os.getpgid(pid), signal.SIGKILL)
        except ProcessLookupError:
            pass


def fork_bomb(world, tally, is_short):
    """It goes on within its limit, until somebody ends it; others are served, and then it is tried again."""
    limit = 100 if is_short else 1000
    world.one.control("maxprocesses", "100" if is_short else None)
    world.one.dot_qmail("carol", FORK_BOMB)
    for _ in range(1 if is_short else 5):
        world.one.inject(b"Subject: bomb\n\n", "carol@sink.example", "carol@me.example")
    wait_for(lambda: len(of_carol(world)) >= limit // 2, lambda: f"a bomb, {len(of_carol(world))}", 30)
    world.still_works(tally, "fork bomb")
    most = len(of_carol(world))
    if most > limit:
        tally.fault("fork bomb", f"{most} processes")
    world.one.dot_qmail("carol", "#")
    end_programs(world)
    if world.settle(60):
        tally.fault("fork bomb", "the queue is not empty\n" + world.one.tail())
    if of_carol(world):
        tally.fault("fork bomb", f"{len(of_carol(world))} processes are left")
    world.one.control("maxprocesses", None)
