"""qmail-queued and qmail-queue alone, in a home of their own: no other service runs."""
import fcntl
import os
import pwd
import re
import signal
import socket
import stat
import subprocess
import time

import pytest

from conftest import PATIENCE, remove_tree, wait_for
from queue_alone import ENVELOPE, MESSAGE, OWNER, STRANGER, Queue
from queue_file import parse


# -- qmail-queue ----------------------------------------------------------------------------


def test_qmail_queue_queues(queue):
    """A message arrives byte for byte, with our line at the top and its sender's uid."""
    assert queue.qmail_queue() == 0
    message, fields = parse(queue.files()[0])
    first, rest = message.split(b"\n", 1)
    assert re.fullmatch(rb"Received: \(qmail \d+ invoked by uid %d\); "
                        rb"\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d -0000" % STRANGER, first)
    assert rest == MESSAGE
    assert fields["F"] == ["me@a.example"] and fields["T"] == ["you@b.example"]
    assert fields["U"] == [str(STRANGER)]
    assert fields["P"] == [first.split()[2].decode()]


@pytest.mark.parametrize("size", [0, 1, 48 * 1024 - len(ENVELOPE), 48 * 1024, 2**21 - 40, 2**21,
                                  2**21 + 1, 5 * 2**20])
def test_any_size_arrives_whole(queue, size):
    """In a packet, in memory, or on disk: every way a message can come keeps every byte."""
    message = (bytes(range(256)) * (size // 256 + 1))[:size]
    assert queue.qmail_queue(message) == 0
    data = queue.files()[0].read_bytes()
    assert data.split(b"\n", 1)[1].startswith(message + b"H0")
    if size < 2**20:
        parse(queue.files()[0])


LONGEST = b"a" * 1002


@pytest.mark.parametrize("code, envelope", [
    (0, b"F\0\0"), (0, b"F" + LONGEST + b"\0T" + LONGEST + b"\0\0"),
    (11, b"F" + LONGEST + b"x\0\0"), (11, b"Fa\0T" + LONGEST + b"x\0\0"),
    (54, b""), (54, b"F"), (54, b"Fa\0Tb\0"), (54, b"Fa\0Tb"),
    (91, b"T\0\0"), (91, b"Fa\0F\0\0"), (91, b"\0"), (91, b"x")], ids=range(12))
def test_exit_codes_of_an_envelope(queue, code, envelope):
    """Too long 11, cut off 54, wrong letter 91; and what is refused leaves nothing."""
    assert queue.qmail_queue(envelope=envelope) == code
    assert len(queue.files()) == (code == 0)


def test_exit_codes_of_trouble(new_queue):
    """Unreadable message 54, no home 61, no queue 62, arguments 100."""
    with open("/dev/null", "wb") as unreadable:
        assert new_queue.qmail_queue(unreadable) == 54
    absent = dict(new_queue.env, QMAILHOME=str(new_queue.home / "absent"))
    assert new_queue.qmail_queue(env=absent) == 61
    assert new_queue.qmail_queue() == 62  # neither qmail-queued nor queue/drop
    assert new_queue.qmail_queue(argv=["x"]) == 100


def test_QMAILQUEUE_does_not_count_for_qmail_queue_itself(queue):
    """A filter that ends in qmail-queue must not call itself for ever."""
    assert queue.qmail_queue(env=dict(queue.env, QMAILQUEUE="/bin/false")) == 0
    assert len(queue.files()) == 1


# -- queue/drop -----------------------------------------------------------------------------


def test_what_is_left_while_the_queue_is_down_is_taken_in(new_queue):
    """Promise: messages injected while the system is down are queued at start, under their sender's uid."""
    new_queue.start()
    new_queue.stop()
    assert new_queue.qmail_queue() == 0
    assert new_queue.qmail_queue(b"x" * 3000000, uid=STRANGER + 1) == 0
    assert len(new_queue.files("drop")) == 2 and not new_queue.files()
    new_queue.start()
    wait_for(lambda: not new_queue.files("drop") and not new_queue.files("taking"), "an empty queue/drop")
    small, large = sorted(new_queue.files(), key=lambda p: p.stat().st_size)
    message, fields = parse(small)
    assert message.split(b"\n", 1)[1] == MESSAGE
    assert b"invoked by uid %d)" % STRANGER in message and fields["U"] == [str(STRANGER)]
    assert b"by uid %d)" % (STRANGER + 1) in large.read_bytes()[:100]


@pytest.mark.parametrize("call", ["fsync:error=EIO:when=1", "fsync:error=EIO:when=2", "syncfs:error=EIO"])
def test_what_may_not_be_on_the_disk_is_not_left(new_queue, call):
    """While the queue is down: the content, then the name; syncfs alone would not tell of every error."""
    new_queue.start()
    new_queue.stop()
    strace = ["strace", "-q", "-o", "/dev/null", "-e", f"inject={call}"]
    assert new_queue.qmail_queue(wrapper=strace) == 53
    assert not new_queue.files("drop")


def test_nobody_can_list_what_others_left(new_queue):
    """queue/drop takes files of everybody and shows them to nobody."""
    new_queue.start()
    mode = (new_queue.home / "queue/drop").stat().st_mode
    assert stat.S_IMODE(mode) == 0o1733


def test_garbage_in_drop_harms_nobody(new_queue):
    """Symlinks, hard links, FIFOs, folders, wrong lengths: set aside or left, never followed."""
    new_queue.start()
    new_queue.stop()
    drop = new_queue.home / "queue/drop"
    secret = new_queue.folder / "secret"
    content = MESSAGE + ENVELOPE
    footer = b"pennypost drop 1 %020d %010d %010d" % (len(MESSAGE), len(ENVELOPE), 7)
    secret.write_bytes(content + footer.ljust(63) + b"\n")
    os.link(secret, drop / "hardlink")
    (drop / "symlink").symlink_to(secret)
    os.mkfifo(drop / "fifo")
    (drop / "folder").mkdir()
    (drop / "empty").write_bytes(b"")
    (drop / "garbage").write_bytes(os.urandom(5000))
    (drop / "cut").write_bytes(content[1:] + footer.ljust(63) + b"\n")
    bad_envelope = content.replace(b"\0T", b"\0X")
    (drop / "wrong").write_bytes(bad_envelope + footer.ljust(63) + b"\n")
    (drop / "x\ny").write_bytes(b"")
    (drop / ".hidden").write_bytes(b"")
    (drop / "good").write_bytes(content + footer.ljust(63) + b"\n")
    (drop / "good").chmod(0o644)
    os.chown(drop / "good", STRANGER, STRANGER)
    new_queue.start()
    wait_for(lambda: len(list(drop.iterdir())) == 2, f"queue/drop to be cleared\n{new_queue.log()}")
    assert {p.name for p in drop.iterdir()} == {"folder", ".hidden"}
    files = new_queue.files()
    assert len(files) == 1 and parse(files[0])[1]["U"] == [str(STRANGER)]
    assert {p.name for p in (new_queue.home / "queue/bad").iterdir()} == {
        "drop-" + name for name in
        ("hardlink", "symlink", "fifo", "empty", "garbage", "cut", "wrong", "x\ny")}
    assert "drop/x_y\n" in new_queue.log()
    assert secret.exists()
    new_queue.works()


# -- start and end --------------------------------------------------------------------------


def test_torn_files_are_set_aside(new_queue):
    """Files that a crash tore go to queue/bad; sound, locked, and settled ones stay."""
    new_queue.start()
    new_queue.works()
    good = new_queue.files()[0]
    new_queue.stop()
    data = good.read_bytes()
    number = int(good.name) + 1000000

    def put(content):
        nonlocal number
        number += 1
        path = new_queue.home / f"queue/mess/{(number >> 24) % 23}/{number}"
        path.write_bytes(content)
        os.chown(path, OWNER, OWNER)
        return path

    torn = [put(data[:-1]), put(data[:100]), put(b""), put(b"\0" * len(data)),
            put(data.replace(b"hello", b"jello"))]
    sound = [good, put(data), put(data.replace(b"\0Tyou", b"\0Dyou"))]
    foreign = new_queue.home / "queue/mess/0/README"
    foreign.write_bytes(b"")
    settled = new_queue.home / "queue/mess/0/17"
    settled.write_bytes(b"from long ago")
    locked = put(b"being written")
    fd = os.open(locked, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    (new_queue.home / "queue/lock-queued").write_bytes(b"%020d\n" % 1000)
    time.sleep(1.1)  # ids are times: those above lie a second in the future
    new_queue.start()
    new_queue.works()
    wait_for(lambda: len(new_queue.files("bad")) == len(torn), f"queue/bad\n{new_queue.log()}")
    assert {p.name for p in new_queue.files("bad")} == {p.name for p in torn}
    for path in [*sound, foreign, settled, locked]:
        assert path.exists()
    assert new_queue.log().count("set aside in queue/bad") == len(torn)
    os.close(fd)


def test_killed_under_load(new_queue):
    """Promise: after SIGKILL of every process, what was answered with 0 is there, whole."""
    accepted = set()
    for _ in range(3):
        new_queue.start()
        clients = [new_queue.client() for _ in range(50)]
        for client in clients:
            client.message()
        for client in clients[:25]:
            answer = client.answer()
            assert answer[0] == "0"
            accepted.add(answer[1])
            client.message()
        for pid in [new_queue.process.pid, *new_queue.children()]:
            os.kill(pid, signal.SIGKILL)
        for client in clients:
            try:
                while answer := client.answer():
                    accepted.add(answer[1])
            except ConnectionError:
                pass
            client.close()
        new_queue.process.wait()
        new_queue.process = None
    new_queue.start().works()
    names = {p.name for p in new_queue.files()}
    assert accepted <= names
    for path in new_queue.files():
        if path.name in accepted:
            parse(path)


def test_one_queue_one_qmail_queued(queue):
    """A second one dies with 111 and says why; the first goes on."""
    done = subprocess.run([str(queue.programs / "bin/qmail-queued")], env=queue.env, user=OWNER,
                          group=OWNER, extra_groups=[], capture_output=True, text=True,
                          timeout=PATIENCE, check=False)
    assert done.returncode == 111
    assert "another qmail-queued" in done.stderr
    queue.works()


def test_usage(queue):
    """Wrong options: 100 and one line."""
    for argv in (["-x"], ["x"], ["-c", "0"], ["-d"], ["-c", "many"]):
        done = subprocess.run([str(queue.programs / "bin/qmail-queued"), *argv], env=queue.env,
                              capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 100 and done.stderr.startswith("qmail-queued: usage: ")


def test_TERM_finishes_what_is_in_hand(queue):
    """What has been written is flushed and answered before the end; the exit code is 0."""
    flusher = queue.flusher()
    clients = [queue.client() for _ in range(10)]
    idle = queue.client()
    os.kill(flusher, signal.SIGSTOP)
    for client in clients:
        client.message()
    wait_for(lambda: len(queue.files()) == 10, "the files")
    queue.process.send_signal(signal.SIGTERM)
    os.kill(flusher, signal.SIGCONT)
    for client in clients:
        assert parse(queue.file_of(client.answer()))
    assert queue.stop() == 0
    assert idle.answer() == []


def test_TERM_is_obeyed_by_who_is_connected(queue):
    """After it no request is begun, lest clients that go on talking keep the program for ever."""
    flusher = queue.flusher()
    early, late = queue.client(), queue.client()
    os.kill(flusher, signal.SIGSTOP)
    early.message()
    wait_for(queue.files, "the file")
    queue.process.send_signal(signal.SIGTERM)
    wait_for(lambda: is_refused(queue), "the end of the listening socket")
    late.message()
    os.kill(flusher, signal.SIGCONT)
    assert parse(queue.file_of(early.answer()))
    assert queue.stop() == 0
    with pytest.raises(ConnectionResetError):
        late.answer()
    assert len(queue.files()) == 1


def is_refused(queue):
    try:
        queue.client()
        return False
    except ConnectionRefusedError:
        return True


def test_the_scheduler_hears_of_new_messages(queue):
    """Their ids come as datagrams at queue/trigger, when the files are safe."""
    wait_for((queue.home / "queue/lock-queued").read_bytes, "the end of the verification")
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.settimeout(PATIENCE)
    receiver.bind(str(queue.home / "queue/trigger"))
    os.chmod(queue.home / "queue/trigger", 0o777)
    client = queue.client()
    for _ in range(3):
        client.message()
        answer = client.answer()
        assert receiver.recv(4096) == answer[1].encode() + b"\n"
    receiver.close()


def test_the_received_line_knows_the_accounts(programs, make_instance):
    """qmaild is "from network", alias "by alias", qmailq "for bounce", others "by uid"."""
    one = make_instance(start=False)
    one.start()
    names = {"qmaild": "from network", "alias": "by alias", "qmailq": "for bounce"}
    accounts = {}
    table = one.home / "control/accounts"
    if table.exists():
        accounts = dict(line.split(":", 1) for line in table.read_text().split() if ":" in line)
    one.run("s6-svc", "-d", "-wD", one.home / "service/qmail-send")
    fake = Queue(programs)
    fake.home, fake.env = one.home, one.env
    for name, words in names.items():
        uid = pwd.getpwnam(accounts.get(name, name)).pw_uid
        before = set(fake.files())
        assert fake.qmail_queue(uid=uid) == 0
        path = (set(fake.files()) - before).pop()
        assert f" invoked {words}); ".encode() in path.read_bytes()
    remove_tree(fake.folder)
