"""qmail-lspawn and qmail-rspawn, spoken to as qmail-send does: who delivers, as whom, and what if it dies."""
import os
import signal

from conftest import wait_for
from spawner import fact, install


def test_local_deliveries_run_as_their_user_and_reuse_the_process(home, spawners):
    """One process per uid, with the uid, gid and no other groups of users/assign; it gets every job."""
    spawner = spawners(home.home, "qmail-lspawn", "./Maildir/")
    first = spawner.ask("alice@me.example")
    assert (fact(first, "uid"), fact(first, "gid"), fact(first, "groups")) == ("5001", "5001", "[5001]")
    assert first.split("|")[-11:] == ["1", "1234567", "alice", str(home.user_home("alice")), "alice", "",
                                      "", "me.example", "s@x.example", "./Maildir/", "again"]
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
    assert text == (f"K5002 -- bob {home.user_home('bob')} bob-ext - ext me.example s@x.example "
                    "./Maildir/\ntext\n")
    assert spawner.ask("bob@me.example", sender="temporary@x").startswith("Z5002")
    assert spawner.ask("bob@me.example", sender="permanent@x").startswith("D5002")
    assert spawner.ask("bob@me.example", sender="odd@x").startswith("D5002")
