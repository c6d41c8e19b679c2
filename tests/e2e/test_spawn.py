"""qmail-lspawn, qmail-rspawn and the users: who delivers, as whom, and what if it dies.

The first part talks to a spawner as qmail-send does, with a scripted program in the place of the
delivery process; the second part runs whole instances.
"""
import os
import signal
import socket
import struct
import subprocess

import pytest

from conftest import PATIENCE, SAN, run, wait_for

# A delivery process that says what it was given. Words in the sender's address make it misbehave.
FAKE = """#!/usr/bin/python3
import os, socket, struct, sys, time
jobs = socket.socket(fileno=0)
while True:
    packet, fds, _, _ = socket.recv_fds(jobs, 200000, 4)
    if not packet:
        break
    length, = struct.unpack("I", packet[:4])
    strings = packet[4:4 + length].split(b"\\0")[:-1]
    body = packet[4 + length:]
    if fds:
        body = os.read(fds[0], 1 << 24)
        os.close(fds[0])
    is_local = sys.argv[0].endswith("local")
    sender = strings[9 if is_local else 4]
    count = 1 if is_local else len(strings) - 5
    if b"crash" in sender:
        os.kill(os.getpid(), 9)
    if b"leave" in sender:
        sys.exit(0)
    while b"wait" in sender and os.path.exists("alias/wait"):
        time.sleep(0.02)
    facts = "|".join(["pid=%d" % os.getpid(), "uid=%d" % os.getuid(), "gid=%d" % os.getgid(),
                      "groups=%r" % os.getgroups(), "env=%s" % ",".join(sorted(os.environ)),
                      "fds=%d" % len(os.listdir("/proc/self/fd")), "len=%d" % len(body)]).encode()
    answers = [b"K" + facts + b"|" + b"|".join(strings)] * count
    number = strings[1]
    if b"mangled" in sender:
        answers = [b"X"] * count
    if b"short" in sender:
        answers = answers[1:]
    if b"stranger" in sender:
        number = b"999999"
    if b"long" in sender:
        answers = [b"K" + b"y" * 20000]
    strings = [b"report", number, *answers]
    packet = b"".join(s + b"\\0" for s in strings)
    jobs.send(struct.pack("I", len(packet)) + packet)
    if b"stranger" in sender:
        os.kill(os.getpid(), 9)
"""


class Spawner:
    """A qmail-lspawn or qmail-rspawn, and we are its qmail-send."""

    def __init__(self, home, *argv, **environment):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(PATIENCE)
        self.socket = ours
        self.number = 0
        self.process = subprocess.Popen(
            [str(home / "bin" / argv[0]), *argv[1:]], stdin=theirs, cwd="/",
            env=dict(os.environ, QMAILHOME=str(home), SECRET="of root", **environment))
        theirs.close()

    def job(self, recipients, sender="s@x.example", body=b"hello\n", destination="", fd=None, length=None):
        """Send a job; returns its number."""
        self.number += 1
        if isinstance(recipients, str):
            recipients = [recipients]
        strings = ["job", str(self.number), "1234567", str(len(body) if length is None else length),
                   sender, destination, destination, *recipients]
        packet = "".join(s + "\0" for s in strings).encode()
        packet = struct.pack("I", len(packet)) + packet + body
        if fd is None:
            self.socket.send(packet)
        else:
            socket.send_fds(self.socket, [packet], [fd])
        return str(self.number)

    def report(self):
        """The next report: number, then one text per recipient."""
        packet = self.socket.recv(200000)
        length, = struct.unpack("I", packet[:4])
        word, number, *texts = packet[4:4 + length].decode().split("\0")[:-1]
        assert word == "report"
        return number, *texts

    def ask(self, *argv, **options):
        """A job and its report's texts."""
        number = self.job(*argv, **options)
        got, *texts = self.report()
        assert got == number
        return texts if len(texts) > 1 else texts[0]

    def end(self):
        """Go away, and see the spawner follow."""
        self.socket.close()
        return self.process.wait(PATIENCE)


def fact(text, name):
    return text.split(f"{name}=", 1)[1].split("|", 1)[0]


def own_programs(home):
    """Let bin/ be a folder of this home alone, of links into the one that all instances share."""
    shared = (home / "bin").resolve()
    if (home / "bin").is_symlink():
        (home / "bin").unlink()
        (home / "bin").mkdir()
        for program in shared.iterdir():
            (home / "bin" / program.name).symlink_to(program)


def install(home, name, text):
    path = home / "bin" / name
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def home(make_instance):
    """A home with users alice, bob and carol, and scripted delivery programs. Nothing runs."""
    one = make_instance(start=False)
    own_programs(one.home)
    install(one.home, "qmail-local", FAKE)
    install(one.home, "qmail-remote", FAKE)
    one.control("sessionidle", "60")
    return one


@pytest.fixture
def spawners():
    """A function that makes Spawners; they are ended afterwards."""
    made = []

    def make(*argv, **environment):
        made.append(Spawner(*argv, **environment))
        return made[-1]

    yield make
    for one in made:
        one.socket.close()
        if one.process.poll() is None:
            one.process.wait(PATIENCE)


def test_local_deliveries_run_as_their_user_and_reuse_the_process(home, spawners):
    """One process per uid, with the uid, gid and no other groups of users/assign; it gets every job."""
    spawner = spawners(home.home, "qmail-lspawn", "./Maildir/")
    first = spawner.ask("alice@me.example")
    assert (fact(first, "uid"), fact(first, "gid"), fact(first, "groups")) == ("5001", "5001", "[5001]")
    assert first.split("|")[-11:-1] == ["1", "1234567", "alice", str(home.user_home("alice")), "alice", "",
                                      "", "me.example", "s@x.example", "./Maildir/"]
    again = spawner.ask("alice-ext@me.example")
    assert fact(again, "pid") == fact(first, "pid")
    other = spawner.ask("bob@me.example")
    assert fact(other, "pid") != fact(first, "pid") and fact(other, "uid") == "5002"


def test_a_delivery_process_gets_nothing_it_does_not_need(home, spawners):
    """No descriptor but the socket and the log, no environment but a short list."""
    spawner = spawners(home.home, "qmail-lspawn", "./Maildir/")
    spawner.ask("bob@me.example")
    text = spawner.ask("alice@me.example")
    assert fact(text, "fds") == "4"  # 0, 1, 2 and the folder that is being listed
    assert set(fact(text, "env").split(",")) <= {"LC_CTYPE", "PATH", "QMAILHOME", "QMAILQUEUE", "TZ"}


def test_the_address_is_split_at_its_last_at(home, spawners):
    """alice-x@y@me.example is local part alice-x@y; @host is thrown away; no @ is a failure."""
    spawner = spawners(home.home, "qmail-lspawn", "./Maildir/")
    text = spawner.ask("alice-X@y@me.example")
    assert text.split("|")[-7:-3] == ["alice-X@y", "-", "X@y", "me.example"]
    assert spawner.ask("@me.example") == "K"
    assert spawner.ask("alice").startswith("D")


def test_uid_zero_is_refused(home, spawners):
    """Nobody's mail is delivered as root, whatever users/assign says."""
    home.compile_users(["=boss:root:0:0:/root:::"])
    spawner = spawners(home.home, "qmail-lspawn", "./Maildir/")
    assert spawner.ask("boss@me.example").startswith("Znot allowed to perform deliveries as root")
    assert fact(spawner.ask("root@me.example"), "uid") != "0"  # an account of uid 0 is no user


def test_everybody_else_is_alias(home, spawners):
    """What neither users/cdb nor the system's accounts know goes to alias, by one helper process."""
    spawner = spawners(home.home, "qmail-lspawn", "./Maildir/")
    text = spawner.ask("Nobody-Known@me.example")
    assert text.split("|")[-9:-4] == ["alias", str(home.home / "alias"), "Nobody-Known", "-", "Nobody-Known"]
    helper = home.processes("qmail-getpw")
    assert len(helper) == 1
    spawner.ask("other@me.example")
    assert home.processes("qmail-getpw") == helper
    os.kill(helper[0], signal.SIGKILL)
    assert spawner.ask("third@me.example").startswith("K")


def test_a_helper_that_hangs_delays_nobody_else(home, spawners):
    """While qmail-getpw waits for a name service, users of users/cdb get their mail."""
    install(home.home, "qmail-getpw", "#!/bin/sh\nexec sleep 1000\n")
    spawner = spawners(home.home, "qmail-lspawn", "./Maildir/")
    spawner.job("stranger@me.example")
    number = spawner.job("alice@me.example")
    assert spawner.report()[0] == number
    home.kill("sleep")
    home.kill("qmail-getpw")


def test_a_damaged_table_defers(home, spawners):
    """users/cdb that is no cdb: a deferral, no crash; a good one is used at once."""
    good = (home.home / "users/cdb").read_bytes()
    (home.home / "users/cdb").write_bytes(good[:1000])
    spawner = spawners(home.home, "qmail-lspawn", "./Maildir/")
    assert spawner.ask("alice@me.example").startswith("Ztrouble reading users/cdb")
    (home.home / "users/cdb").write_bytes(good)
    assert fact(spawner.ask("alice@me.example"), "uid") == "5001"


def test_a_crash_is_a_deferral_and_the_next_job_succeeds(home, spawners):
    """A delivery process that dies, leaves, or reports nonsense makes its jobs temporary failures."""
    spawner = spawners(home.home, "qmail-lspawn", "./Maildir/")
    before = fact(spawner.ask("alice@me.example"), "pid")
    assert spawner.ask("alice@me.example", sender="crash@x") == "Zqmail-local crashed (#4.3.0)\n"
    assert fact(spawner.ask("alice@me.example"), "pid") != before
    assert spawner.ask("alice@me.example", sender="leave@x").startswith("Zqmail-local ended without")
    assert spawner.ask("alice@me.example", sender="mangled@x").startswith("Zqmail-local gave a mangled")
    assert spawner.ask("alice@me.example", sender="short@x").startswith("Zqmail-local gave a mangled")
    assert spawner.ask("alice@me.example", sender="stranger@x").startswith("Zqmail-local crashed")
    assert spawner.ask("alice@me.example", sender="long@x") == "K" + "y" * 3000
    assert spawner.ask("alice@me.example").startswith("K")


def test_a_missing_program_is_a_deferral(home, spawners):
    """While bin/qmail-local is not there mail waits."""
    (home.home / "bin/qmail-local").rename(home.home / "bin/away")
    spawner = spawners(home.home, "qmail-lspawn", "./Maildir/")
    assert spawner.ask("alice@me.example") == "Zqmail-local cannot be started (#4.3.0)\n"
    (home.home / "bin/away").rename(home.home / "bin/qmail-local")
    assert spawner.ask("alice@me.example").startswith("K")


def test_a_killed_process_loses_only_what_it_had_begun(home, spawners):
    """qmail-remote works in order: jobs queued behind the one that crashed go to another process."""
    home.control("sessionsdestination", "1")
    spawner = spawners(home.home, "qmail-rspawn")
    wait = home.home / "alias/wait"
    wait.touch()
    first = spawner.job("a@d.example", sender="wait-crash@x", destination="d.example")
    others = [spawner.job("a@d.example", sender=f"{n}@x", destination="d.example") for n in range(5)]
    wait.unlink()
    reports = dict(spawner.report() for _ in range(6))
    assert reports[first].startswith("Zqmail-remote crashed")
    assert all(reports[number].startswith("K") for number in others)


def test_a_large_message_is_a_private_copy(home, spawners):
    """A queue file is handed on as the message alone, read-only; a pipe or a short file is refused."""
    spawner = spawners(home.home, "qmail-lspawn", "./Maildir/")
    path = home.folder / "message"
    for size in (100, 100_000, 5_000_000):
        path.write_bytes(b"m" * size + b"Fsender\0Tother@recipient\0")
        with open(path, "rb") as file:
            text = spawner.ask("alice@me.example", body=b"", fd=file.fileno(), length=size)
            assert fact(text, "len") == str(size)
            text = spawner.ask("alice@me.example", body=b"", fd=file.fileno(), length=size * 2)
            assert text.startswith("Z")
    reader, writer = os.pipe()
    assert spawner.ask("alice@me.example", body=b"", fd=reader, length=10).startswith("Z")
    os.close(reader)
    os.close(writer)


def test_remote_jobs_share_processes_by_destination(home, spawners):
    """A destination has at most control/sessionsdestination processes; another has its own."""
    home.control("sessionsdestination", "3")
    spawner = spawners(home.home, "qmail-rspawn")
    texts = spawner.ask(["a@d.example", "b@d.example"], destination="d.example")
    assert len(texts) == 2 and texts[0].split("|")[-5:] == [
        "1234567", "d.example", "s@x.example", "a@d.example", "b@d.example"]
    assert fact(texts[0], "uid") != "0"
    (home.home / "alias/wait").touch()
    for _ in range(20):
        spawner.job("a@d.example", sender="wait@x", destination="d.example")
    (home.home / "alias/wait").unlink()
    pids = {fact(spawner.report()[1], "pid") for _ in range(20)}
    assert len(pids) == 3 and fact(texts[0], "pid") in pids
    assert fact(spawner.ask("a@e.example", destination="e.example"), "pid") not in pids


def test_the_number_of_processes_is_limited(home, spawners):
    """With control/sessions processes alive the longest idle one makes room; busy ones make wait."""
    home.control("sessions", "2")
    spawner = spawners(home.home, "qmail-rspawn")
    pids = [fact(spawner.ask("a@x", destination=f"{n}.example"), "pid") for n in range(5)]
    assert len(set(pids)) == 5
    (home.home / "alias/wait").touch()
    numbers = {spawner.job("a@x", sender="wait@x", destination=f"{n}.example") for n in range(5, 15)}
    wait_for(lambda: len(home.processes("qmail-remote")) == 2, "two processes")
    (home.home / "alias/wait").unlink()
    assert {spawner.report()[0] for _ in range(10)} == numbers


def test_idle_processes_end(home, spawners):
    """After control/sessionidle seconds without work a delivery process is let go."""
    home.control("sessionidle", "1")
    spawner = spawners(home.home, "qmail-lspawn", "./Maildir/")
    pid = int(fact(spawner.ask("alice@me.example"), "pid"))
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "the end of the idle process")
    assert spawner.ask("alice@me.example").startswith("K")


def test_a_spawner_ends_with_qmail_send(home, spawners):
    """EOF on descriptor 0 ends the spawner with 0 and its delivery processes after their work."""
    spawner = spawners(home.home, "qmail-lspawn", "./Maildir/")
    pid = int(fact(spawner.ask("alice@me.example"), "pid"))
    assert spawner.end() == 0
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "the end of the delivery process")


def test_qmailremote_is_run_per_recipient_with_the_classic_contract(home, spawners):
    """$QMAILREMOTE host sender recipient; the message on 0; letters as qmail-rspawn merges them."""
    script = home.folder / "remote"
    script.write_text("""#!/bin/sh
case "$3" in
good*) printf 'r\\0K%s %s %s %s\\n\\0' "$1" "$2" "$3" "$(cat)" ;;
bad*) printf 'hno such user\\n\\0Kfine\\n\\0' ;;
busy*) printf 'slater \\0Dgiving up\\n\\0' ;;
all*) printf 'Zno answer\\n\\0' ;;
none*) : ;;
fail*) exit 100 ;;
soft*) exit 111 ;;
kill*) kill -9 $$ ;;
esac
""")
    script.chmod(0o755)
    spawner = spawners(home.home, "qmail-rspawn", QMAILREMOTE=str(script))
    names = ["good", "bad", "busy", "all", "none", "fail", "soft", "kill"]
    texts = spawner.ask([f"{name}@d.example" for name in names], destination="d.example", body=b"text\n")
    got = dict(zip(names, texts))
    assert got["good"] == "Kd.example s@x.example good@d.example text\n"
    assert got["bad"] == "Dno such user\n"
    assert got["busy"] == "Zlater giving up\n"
    assert got["all"] == "Zno answer\n"
    assert [got[name][0] for name in ("none", "fail", "soft", "kill")] == list("ZDZZ")
    many = spawner.ask([f"good{n}@d.example" for n in range(100)], destination="d.example")
    assert len(many) == 100 and all(f"good{n}@" in text for n, text in enumerate(many))


def test_qmaillocal_is_run_with_the_classic_contract(home, spawners):
    """$QMAILLOCAL -- user homedir local dash ext domain sender defaultdelivery, as the user."""
    script = home.folder / "local"
    script.write_text("""#!/bin/sh
echo "$(id -u) $*"
cat
case "$8" in *temporary*) exit 111 ;; *permanent*) exit 100 ;; *odd*) exit 3 ;; esac
""")
    script.chmod(0o755)
    spawner = spawners(home.home, "qmail-lspawn", "./Maildir/", QMAILLOCAL=str(script))
    text = spawner.ask("bob-ext@me.example", body=b"text\n")
    assert text == f"K5002 -- bob {home.user_home('bob')} bob-ext - ext me.example s@x.example ./Maildir/\ntext\n"
    assert spawner.ask("bob@me.example", sender="temporary@x").startswith("Z5002")
    assert spawner.ask("bob@me.example", sender="permanent@x").startswith("D5002")
    assert spawner.ask("bob@me.example", sender="odd@x").startswith("D5002")


# -- whole instances ------------------------------------------------------------------------


def executed_programs(one, work):
    """Do work() while strace counts; returns how often the daemons and all their children did exec."""
    output = one.folder / "strace"
    pids = [pid for name in ("qmail-send", "qmail-lspawn", "qmail-rspawn", "qmail-queued")
            for pid in one.processes(name)]
    assert len(pids) >= 4
    argv = ["strace", "-f", "-q", "-e", "trace=execve", "-c", "-o", str(output)]
    tracer = subprocess.Popen([*argv, *[a for pid in pids for a in ("-p", str(pid))]],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def traced():
        return all("TracerPid:\t0" not in open(f"/proc/{pid}/status").read() for pid in pids)
    wait_for(traced, "strace")
    work()
    tracer.send_signal(signal.SIGINT)
    tracer.wait(PATIENCE)
    rows = [line.split() for line in output.read_text().splitlines() if "execve" in line]
    return int(rows[0][3]) if rows else 0


@pytest.mark.skipif(bool(SAN), reason="strace and the leak check are both ptrace")
def test_under_load_no_program_is_started_per_message(make_instance):
    """500 local and 200 remote messages cost some execs of delivery processes, not one each."""
    one = make_instance(start=False, ip="127.0.0.5")
    one.control("smtproutes", "sink.example:127.0.0.2:2525")
    one.start()
    sink = subprocess.Popen(["smtp-sink", "-u", "nobody", "127.0.0.2:2525", "100"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        def work():
            run("smtp-source", "-d", "-s", "10", "-m", "500", "-l", "2000", "-f", "alice@me.example",
                "-t", "alice@me.example", f"{one.ip}:{one.port}")
            for number in range(200):
                one.inject(b"Subject: %d\n\nx\n" % number, "alice@me.example", "x@sink.example")
            one.wait_mail("alice", 500)
            one.wait_log(": success: ", count=700)
        assert executed_programs(one, work) <= 25
    finally:
        sink.kill()
        sink.wait()


def test_files_belong_to_the_user_of_the_mailbox(instance):
    """Two users' messages are files owned by each, and programs run with their identity only."""
    instance.dot_qmail("bob", "./Maildir/\n|id > ~/identity; cat /proc/self/status >> identity")
    instance.inject(b"Subject: x\n\nx\n", "s@remote.example", "alice@me.example", "bob@me.example")
    for name, uid in (("alice", 5001), ("bob", 5002)):
        instance.wait_mail(name)
        files = list((instance.user_home(name) / "Maildir/new").iterdir())
        assert files and all((f.stat().st_uid, f.stat().st_gid) == (uid, uid) for f in files)
    instance.wait_empty()
    text = (instance.user_home("bob") / "identity").read_text()
    assert "Uid:\t5002\t5002\t5002\t5002" in text and "Gid:\t5002\t5002\t5002\t5002" in text
    assert "Groups:\t5002" in text


def test_a_killed_delivery_process_defers_and_the_message_arrives_later(make_instance):
    """kill -9 of qmail-local: a deferral in the log; after the next try the message is there."""
    one = make_instance(ip="127.0.0.5")
    flag = one.user_home("alice") / "go"
    one.dot_qmail("alice", "|test -e go || sleep 1000\n./Maildir/")
    one.inject(b"Subject: x\n\nx\n", "s@remote.example", "alice@me.example")
    wait_for(lambda: one.processes("sleep"), "the program of .qmail")
    flag.touch()
    os.chown(flag, 5001, 5001)
    one.kill("qmail-local")
    one.kill("sleep")
    lines = one.wait_log("deferral:")
    assert "qmail-local" in lines[0] or "crashed" in lines[0]
    one.qmailctl("flush")
    one.wait_mail("alice")
    one.wait_empty()


def test_a_single_user_delivers_to_himself_and_to_alias(single_user_instance):
    """Without root: a user of another uid in users/assign is alias's mail, ours is ours."""
    one = single_user_instance
    for part in ("new", "cur", "tmp"):
        (one.home / "mine/Maildir" / part).mkdir(parents=True)
    for path in (one.home / "mine").rglob("*"):
        os.chown(path, one.uid, one.uid)
    os.chown(one.home / "mine", one.uid, one.uid)
    one.write("users/assign", f"=me:me:{one.uid}:{one.uid}:{one.home}/mine:::\n"
                              "=boss:root:0:0:/root:::\n.\n")
    one.bin("qmail-newu")
    one.write("alias/.qmail-boss", "./Maildir/\n")
    one.inject(b"Subject: x\n\nx\n", "s@remote.example", "me@me.example", "boss@me.example")
    wait_for(lambda: list((one.home / "mine/Maildir/new").iterdir()), f"mail for me\n{one.tail()}")
    one.wait_mail("alias")


# -- the users' tools -----------------------------------------------------------------------


def test_qmail_newu_names_the_line_of_a_mistake(make_instance):
    """Exit 111 with file and line; the old table stays, no cdb.tmp is left."""
    one = make_instance(start=False)
    before = (one.home / "users/cdb").read_bytes()
    one.write("users/assign", "=a:a:1:1:/h:::\n=b:b:x:1:/h:::\n.\n")
    done = one.bin("qmail-newu", check=False)
    assert done.returncode == 111 and "users/assign:2:" in done.stderr
    one.write("users/assign", "=a:a:1:1:/h:::\n")  # no dot: cut off
    assert one.bin("qmail-newu", check=False).returncode == 111
    assert (one.home / "users/cdb").read_bytes() == before
    assert not (one.home / "users/cdb.tmp").exists()
    assert one.bin("qmail-newu", "x", check=False).returncode == 100


def test_qmail_newu_writes_what_other_cdb_readers_read(make_instance):
    """The keys and data of users/cdb are qmail's, byte for byte; vpopmail's lines are understood."""
    one = make_instance(start=False)
    one.write("users/assign", "=Joe:joe:507:100:/home/joe:::\n"
                              "+d.example-:d.example:89:89:/home/vpopmail/domains/d.example:-::\n.\n")
    one.bin("qmail-newu")
    dump = subprocess.run(["/usr/bin/python3", "-c", """
import struct, sys
b = open(sys.argv[1], 'rb').read()
end = min(struct.unpack_from('<I', b, 8 * i)[0] for i in range(256))
at = 2048
while at < end:
    k, d = struct.unpack_from('<II', b, at)
    print(b[at + 8:at + 8 + k], b[at + 8 + k:at + 8 + k + d])
    at += 8 + k + d
""", one.home / "users/cdb"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert dump == [r"b'!joe\x00' b'joe\x00507\x00100\x00/home/joe\x00\x00'",
                    r"b'!d.example-' b'd.example\x0089\x0089\x00/home/vpopmail/domains/d.example\x00-\x00'",
                    "b'' b'-'"]


def test_qmail_getpw_prints_the_six_strings(make_instance):
    """user, uid, gid, homedir, dash, ext; root and accounts without a home are no users."""
    one = make_instance(start=False)
    alias = one.bin("qmail-getpw", "no-such-user").stdout.split("\0")
    assert alias[0] == "alias" and alias[3:] == [str(one.home / "alias"), "-", "no-such-user", ""]
    assert one.bin("qmail-getpw", "root").stdout.startswith("alias\0")
    assert one.bin("qmail-getpw", "ROOT-x").stdout.endswith("-\0ROOT-x\0")
    assert one.bin("qmail-getpw", check=False).returncode == 100


def test_qmail_getpw_finds_the_longest_account_name(make_instance):
    """joe-list is an account: joe-list-x is its extension x; case does not matter."""
    one = make_instance(start=False)
    accounts = one.folder / "passwd"
    homes = {"joe": 6001, "joe-list": 6002, "thief": 6003}
    text = open("/etc/passwd", encoding="utf-8").read()
    for name, uid in homes.items():
        (one.folder / name).mkdir()
        os.chown(one.folder / name, uid if name != "thief" else 6001, uid)
        text += f"{name}:x:{uid}:{uid}::{one.folder / name}:/bin/sh\n"
    accounts.write_text(text)
    run("mount", "--bind", accounts, "/etc/passwd")
    try:
        def found(local):
            return one.bin("qmail-getpw", local).stdout.split("\0")[:-1]
        assert found("joe") == ["joe", "6001", "6001", str(one.folder / "joe"), "", ""]
        assert found("Joe-Ext-x")[0::4] == ["joe", "-"] and found("Joe-Ext-x")[5] == "Ext-x"
        assert found("joe-list-x")[:2] == ["joe-list", "6002"] and found("joe-list-x")[5] == "x"
        assert found("thief")[0] == "alias"  # his home is somebody else's
    finally:
        run("umount", "/etc/passwd")


def test_qmail_pw2u_follows_its_helper_files(make_instance):
    """include, exclude, mailnames, subusers, append, and the options."""
    one = make_instance(start=False)
    home = one.folder / "h"
    home.mkdir()
    os.chown(home, 6001, 6001)
    passwd = (f"root:x:0:0::/root:/bin/sh\nalias:x:7790:2108::{one.home}/alias:/x\n"
              f"ann:x:6001:600::{home}:/bin/sh\nBig:x:6001:600::{home}:/bin/sh\n"
              f"eve:x:6002:600::{home}:/bin/sh\nout:x:6001:600::{home}:/bin/sh\n")
    one.control("accounts", "alias:no-such-account")  # so that the name alone counts
    os.chown(one.home / "alias", 7790, 7790)

    def made(*options, check=True):
        return one.bin("qmail-pw2u", *options, input=passwd, check=check).stdout.splitlines()
    lines = made()
    assert f"+:alias:7790:2108:{one.home}/alias:-::" in lines
    assert f"=ann:ann:6001:600:{home}:::" in lines and f"+ann-:ann:6001:600:{home}:-::" in lines
    assert lines[-1] == "." and not any("root" in l or "Big" in l or "eve" in l for l in lines)
    assert any(l.startswith("=Big:") for l in made("-u"))
    assert any(l.startswith("=eve:") for l in made("-H"))
    assert not any(l.startswith("+ann") for l in made("-C"))
    assert f"+ann+:ann:6001:600:{home}:-::" in made("-c", "+")
    assert f"+ann-:ann:6001:600:{home}:-/::" in made("-/")
    one.write("users/exclude", "out\n")
    one.write("users/mailnames", "ann:ann.smith:smith\n")
    one.write("users/subusers", "sub:ann:pre:\n")
    one.write("users/append", "=z:z:1:1:/z:::\n")
    lines = made()
    assert f"=ann.smith:ann:6001:600:{home}:::" in lines and f"+smith-:ann:6001:600:{home}:-::" in lines
    assert not any(l.startswith(("=ann:", "=out:")) for l in lines)
    assert f"=sub:ann:6001:600:{home}:-:pre:" in lines and f"+sub-:ann:6001:600:{home}:-:pre-:" in lines
    assert lines[-2:] == ["=z:z:1:1:/z:::", "."]
    one.write("users/include", "alias\n")
    assert not any("smith" in l for l in made())
    one.write("users/assign", "\n".join(lines) + "\n")
    one.bin("qmail-newu")
    assert one.bin("qmail-pw2u", input="ann:x:1:1::/:\n", check=False).returncode == 111
