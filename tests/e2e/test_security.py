"""Attacks by local users, and what must not come of them. One test per kind of attack."""
import os
import subprocess
import time

import pytest

from conftest import wait_for
from queue_alone import ENVELOPE, MESSAGE, STRANGER
from queue_file import parse

SECOND_STRANGER = STRANGER + 1

# What every attacker has at hand. Runs as a stranger; prints a line when his trap is set.
ATTACKER = r"""
import array, os, socket, struct, sys, threading, time
path = sys.argv[1]
message, envelope = b"Subject: x\n\nhello\n", b"Fme@a.example\0Tyou@b.example\0\0"

def trap():
    'a TCP socket with unsent data: who closes its last descriptor waits for an hour'
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)
    full = socket.socket()
    full.connect(listener.getsockname())
    peer = listener.accept()[0]
    full.setblocking(False)
    try:
        while True:
            full.send(bytes(65536))
    except BlockingIOError:
        pass
    full.setblocking(True)
    full.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 3600))
    kept.append((listener, peer))
    return full.detach()

def connect():
    one = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    one.connect(path)
    one.settimeout(30)
    kept.append(one)
    return one

def send(one, strings, body=b"", fds=()):
    text = b"".join(str(s).encode() + b"\0" for s in strings)
    extra = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    one.sendmsg([struct.pack("=I", len(text)) + text + body], extra)

def nested():
    'a socket in whose buffer lies a trap'
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    fd = trap()
    left.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
    let_go(fd)
    time.sleep(0.1)
    left.close()
    return right.detach()

def let_go(fd):
    'close it, without waiting if it is the last'
    threading.Thread(target=os.close, args=(fd,), daemon=True).start()

lengths = ["queue", len(message), len(envelope)]
kept = []
"""


@pytest.fixture
def attack():
    """attack(queue, script, uid): run it as a stranger until the test ends; returns once it prints."""
    running = []

    def begin(queue, script, uid=STRANGER):
        child = subprocess.Popen(
            ["/usr/bin/python3", "-c", ATTACKER + script, str(queue.home / "queue/inject")],
            stdout=subprocess.PIPE, user=uid, group=uid, extra_groups=[], text=True)
        running.append(child)
        line = child.stdout.readline()
        assert line, "the attacker failed"
        return line.strip()

    yield begin
    for child in running:
        child.kill()
        child.wait()
        child.stdout.close()


# -- queue/inject ---------------------------------------------------------------------------


@pytest.mark.parametrize("make", ["trap", "nested"])
@pytest.mark.parametrize("packet", ["lengths", "['nonsense']", "['queue', 1, 2, 3]", "[]"])
def test_a_descriptor_that_lingers_delays_nobody(queue, attack, make, packet):
    """A stranger's socket whose last close waits (SO_LINGER) is never closed by the event loop."""
    attack(queue, f"one = connect()\nfd = {make}()\nsend(one, {packet}, b'', [fd])\nlet_go(fd)\n"
           "print('set', flush=True); time.sleep(600)\n")
    time.sleep(0.2)
    queue.works()


def test_what_a_stranger_leaves_unread_delays_nobody(queue, attack):
    """Traps behind a request, and in connections that are refused or given up."""
    attack(queue, """
for i in range(6):
    one = connect()
    send(one, lengths, message + envelope)
    for _ in range(3):
        fd = trap()
        try:
            send(one, lengths, b"", [fd, fd])
        except OSError:
            pass
        let_go(fd)
    if i % 2:
        one.close()
print("set", flush=True); time.sleep(600)
""")
    time.sleep(0.2)
    queue.works()


def test_traps_at_the_door_delay_nobody(new_queue, attack):
    """A stranger above his share of the places is refused, traps included."""
    new_queue.start("-c", "8")
    attack(new_queue, """
for _ in range(10):
    try:
        one = connect()
        fd = trap()
        send(one, lengths, b"", [fd])
        let_go(fd)
    except OSError:
        pass
print("set", flush=True); time.sleep(600)
""")
    new_queue.works()


def test_the_queue_stops_although_a_copier_hangs(queue, attack):
    """TERM ends qmail-queued, whatever a stranger's descriptor does to the process that took it."""
    attack(queue, "one = connect()\nfd = trap()\nsend(one, lengths, b'', [fd])\nlet_go(fd)\n"
           "print('set', flush=True); time.sleep(600)\n")
    assert queue.stop() == 0


def test_a_stranger_s_descriptor_is_taken(queue, attack):
    """An honest stranger: from memory, from a disk, one after the other on one connection."""
    line = attack(queue, """
import tempfile
one = connect()
codes = []
def ask(fd):
    send(one, lengths, b"", [fd])
    codes.append(one.recv(9999)[4:].split(b"\\0")[0].decode())
for _ in range(3):
    fd = os.memfd_create("m"); os.write(fd, message + envelope); ask(fd)
with tempfile.TemporaryFile() as file:
    file.write(message + envelope); file.flush(); ask(file.fileno())
ask(0)
ask(os.open("/", os.O_PATH))
send(one, lengths, message + envelope)
codes.append(one.recv(9999)[4:].split(b"\\0")[0].decode())
print(*codes, flush=True); time.sleep(600)
""")
    assert line == "0 0 0 0 54 54 0"
    for path in queue.files():
        message, fields = parse(path)
        assert message.endswith(MESSAGE) and fields["U"] == [str(STRANGER)]


def test_strangers_together_cannot_take_all_places(new_queue, attack):
    """One user may have thousands of uids (user namespaces): a quarter of the places is not theirs."""
    new_queue.start("-c", "8")
    for uid in range(STRANGER, STRANGER + 6):
        attack(new_queue, """
for _ in range(4):
    connect()
print("set", flush=True); time.sleep(600)
""", uid)
    new_queue.works()


def test_large_files_of_one_user_delay_nobody(queue, attack):
    """A stranger with many huge sparse files: another's large message is queued meanwhile, nothing
    longer than the disk is begun, and the disk is not filled."""
    line = attack(queue, """
import tempfile
codes = []
for size in [2**42] + [2**31] * 10:
    file = tempfile.TemporaryFile(dir="/tmp")
    kept.append(file)
    try:
        os.ftruncate(file.fileno(), size)
    except OSError:
        continue
    one = connect()
    send(one, ["queue", size - len(envelope), len(envelope)], b"", [file.fileno()])
    if size > 2**40:
        codes.append(one.recv(9999)[4:].split(b"\\0")[0].decode())
print("set", *codes, flush=True); time.sleep(600)
""")
    assert line in ("set 53", "set")
    other = attack(queue, """
fd = os.memfd_create("m"); os.write(fd, message + bytes(300000) + envelope)
one = connect()
send(one, ["queue", len(message) + 300000, len(envelope)], b"", [fd])
print(one.recv(9999)[4:].split(b"\\0")[0].decode(), flush=True); time.sleep(600)
""", SECOND_STRANGER)
    assert other == "0"
    queue.works()


def test_a_huge_file_in_drop_is_no_obstacle(new_queue):
    """A sparse file in queue/drop, longer than the disk, stays; what others have left is taken in."""
    new_queue.start()
    new_queue.stop()
    drop = new_queue.home / "queue/drop"
    envelope_len, size = len(ENVELOPE), 2**42
    with open(drop / "0000", "wb") as file:
        try:
            file.seek(size - envelope_len)
            file.write(ENVELOPE)
        except OSError:
            pytest.skip("no file of this size here")
        footer = f"pennypost drop 1 {size - envelope_len:020} {envelope_len:010} {1:010}"
        file.write(footer.encode().ljust(63) + b"\n")
    os.chown(drop / "0000", STRANGER, STRANGER)
    (drop / "0000").chmod(0o644)
    assert [new_queue.qmail_queue() for _ in range(3)] == [0, 0, 0]
    new_queue.start()
    wait_for(lambda: len(new_queue.files()) == 3, "three messages")
    new_queue.works()


def test_no_message_has_recipients_without_number(queue):
    """A recipient may be empty, two bytes: what the scheduler has in memory is bounded all the same."""
    client = queue.client()
    for count, code in ((10**6, "0"), (10**6 + 1, "91"), (30 * 10**6, "91"), (70 * 10**6, "91")):
        fd = os.memfd_create("envelope")
        envelope_len = os.write(fd, MESSAGE + b"F\0" + b"T\0" * count + b"\0") - len(MESSAGE)
        client.descriptor(fd, len(MESSAGE), envelope_len)
        os.close(fd)
        assert client.answer()[0] == code, count
    queue.works()


def test_an_envelope_cannot_write_header_lines(instance):
    """Line ends and control bytes in a local user's envelope stay inside their line, also in the bounce."""
    sender, nobody = "alice-a\nInjected: \r\x1b[2J", "nobody-b\nInjected: x"
    instance.dot_qmail("alice", "./Maildir/", "default")
    instance.inject(b"Subject: forged\n\nbody\n", f"{sender}@me.example",
                    "alice-c\nInjected: x@me.example", f"{nobody}@me.example")
    mails = instance.wait_mail("alice", 1)
    instance.wait_empty()
    mails += [m for m in instance.maildir("alice") if m not in mails]
    for mail in mails:
        lines = mail.partition(b"\n\n")[0].split(b"\n")
        assert not [line for line in lines if line.startswith(b"Injected")], mail
    for line in instance.log():
        assert line.isprintable()


# -- who delivers to users ------------------------------------------------------------------

GRAB = r"""
import ctypes, os, sys
fds = sorted(int(n) for n in os.listdir("/proc/self/fd"))[:-1]
libc = ctypes.CDLL(None, use_errno=True)
mine, tried, got = os.getppid(), [], []
for _ in range(4):
    try:
        status = open(f"/proc/{mine}/status").read()
    except OSError:
        break
    if "Name:\tqmail-local" in status:
        pid_fd = libc.syscall(434, mine, 0)
        for number in range(8):
            if libc.syscall(438, pid_fd, number, 0) >= 0:
                got.append(f"{mine}:{number}")
        if libc.ptrace(0x4206, mine, 0, 0) == 0:
            got.append(f"{mine}:trace")
        tried.append(mine)
    mine = int(status.split("PPid:\t")[1].split()[0])
open("grabbed.new", "w").write(f"{len(tried)} {got} {fds}")
os.rename("grabbed.new", "grabbed")
"""


def test_a_user_s_program_gets_nothing_of_its_delivery_process(instance):
    """Neither the socket to qmail-lspawn nor the log: not inherited, not by ptrace or pidfd_getfd."""
    home = instance.user_home("alice")
    (home / "grab.py").write_text(GRAB)
    instance.dot_qmail("alice", "|/usr/bin/python3 grab.py", "grab")
    instance.inject(b"Subject: x\n\n", "me@me.example", "alice-grab@me.example")
    wait_for((home / "grabbed").exists, "the program")
    assert (home / "grabbed").read_text() == "2 [] [0, 1, 2]"


def test_slow_programs_of_some_users_leave_room_for_others(make_instance):
    """Whatever addresses they are reached by: users whose programs hang do not take all places."""
    instance = make_instance(start=False, port=2527, users={"alice": 5001, "bob": 5002, "carol": 5003})
    instance.control("concurrencylocal", "20")
    instance.start()
    for user in ("alice", "carol"):
        instance.dot_qmail(user, "|sleep 600", "default")
    instance.inject(b"Subject: x\n\n", "me@me.example", *[
        f"{user}-{i}@me.example" for i in range(40) for user in ("alice", "carol")])
    wait_for(lambda: len(instance.processes("sleep")) >= 10, "slow programs")
    for _ in range(3):
        instance.inject(b"Subject: x\n\n", "me@me.example", "bob@me.example")
    instance.wait_mail("bob", 3)
    instance.scanner.kill()  # what hangs is not waited for
    instance.scanner.wait()


HOSTILE = """#!/usr/bin/python3
import os, sys
if os.getuid() != {uid}:
    os.execv({real!r}, ["qmail-local", "-S"])
sys.argv.append("")
{attacker}
peer = socket.socket(fileno=0)
for strings in (["report", "1", "Kx"], ["nonsense"]):
    fd = trap()
    try:
        send(peer, strings, b"", [fd])
    except OSError:
        pass
    let_go(fd)
open({mark!r}, "w").close()
time.sleep(600)
"""


def test_a_delivery_process_turned_hostile_harms_its_user_only(make_instance):
    """A lingering descriptor in a report keeps qmail-lspawn from nothing."""
    instance = make_instance(start=False, port=2526)
    own = instance.home / "bin"
    real = own.resolve()
    own.unlink()
    own.mkdir()
    for program in real.iterdir():
        (own / program.name).symlink_to(program)
    mark = instance.user_home("alice") / "mark"
    (own / "qmail-local").unlink()
    (own / "qmail-local").write_text(HOSTILE.format(
        uid=instance.users["alice"][0], real=str(real / "qmail-local"), attacker=ATTACKER, mark=str(mark)))
    (own / "qmail-local").chmod(0o755)
    instance.start()
    instance.inject(b"Subject: x\n\n", "me@me.example", "alice@me.example")
    wait_for(mark.exists, lambda: f"the attack\n{instance.tail()}")
    for _ in range(2):
        instance.inject(b"Subject: x\n\n", "me@me.example", "bob@me.example")
    instance.wait_mail("bob", 2)


# -- root in folders of others --------------------------------------------------------------


def test_setup_follows_no_link_of_another_account(make_instance):
    """What alias or qmailq put in the place of a folder or a file does not lead root astray."""
    instance = make_instance(start=False)
    victim = instance.folder / "victim"
    victim.mkdir(mode=0o755)
    (victim / "file").write_text("precious")
    alias, queue_folder = instance.home / "alias", instance.home / "queue"
    before = os.stat(victim)
    (alias / ".qmail-postmaster").unlink()
    for link, target in ((alias / ".qmail-postmaster.new", victim / "file"),
                         (alias / ".qmail-postmaster", victim / "file2"),
                         (queue_folder / "mess/3", victim), (queue_folder / "bad", victim),
                         (alias / "Maildir", victim)):
        if link.is_dir():
            link.rename(f"{link}.old")
        link.symlink_to(target)
    instance.run(instance.home / "bin/qmail-setup", "--home", instance.home, "--quiet", check=False)
    after = os.stat(victim)
    assert (after.st_uid, after.st_mode) == (before.st_uid, before.st_mode)
    assert (victim / "file").read_text() == "precious"
    assert [p.name for p in victim.iterdir()] == ["file"]
