"""sendmail, forward, predate, datemail, mailsubj, splogger, tcp-env: what programs and .qmail files call."""
import os
import re
import socket
import subprocess
import threading
import time

import pytest

from conftest import remove_tree, run
from inject_program import SAN_ENV, Injector


@pytest.fixture
def inject(programs):
    one = Injector(programs)
    yield one
    remove_tree(one.home)


# -- sendmail -----------------------------------------------------------------------------------


def sendmail(inject, *argv, text="Subject: x\n\nbody\n", code=0, **env):
    return inject.queue(text, *argv, program="sendmail", code=code, **env)


def test_recipients_of_arguments_and_of_the_header(inject):
    """Without -t only arguments count, with it the header as well."""
    text = "To: t@x.y\nBcc: b@x.y\n\n"
    assert sendmail(inject, "a", text=text)[1] == ["a@me.example"]
    assert sendmail(inject, "-t", text=text)[1] == ["t@x.y", "b@x.y"]
    assert sendmail(inject, "-oi", "-t", "a@x.y", text=text)[1] == ["a@x.y", "t@x.y", "b@x.y"]
    assert sendmail(inject, "--", "-a@x.y")[1] == ["-a@x.y"]


def test_no_recipients_at_all_are_refused(inject):
    """Mail that would go nowhere is not taken."""
    assert "no recipients" in sendmail(inject, code=100)


def test_a_dot_does_not_end_the_message(inject):
    """With and without -i the message ends where the input ends."""
    for flags in ((), ("-i",), ("-oi",)):
        sendmail(inject, *flags, "a", text="\n.\nrest\n")
        assert inject.message().endswith(b"\n\n.\nrest\n")


@pytest.mark.parametrize("given, sender, from_", [
    ("s@h.x", "s@h.x", "s@h.x"), ("s", "s@me.example", "s@me.example"), ("Joe <s@h.x>", "s@h.x", "s@h.x"),
    ("<s@h.x>", "s@h.x", "s@h.x"), ("<>", "", "joe@me.example"), ("", "", "joe@me.example"),
])
def test_the_sender_option(inject, given, sender, from_):
    """-f and -r set the envelope sender and the default From; names in the environment do not count."""
    for flag in ("-f", "-r"):
        assert sendmail(inject, flag, given, "a", QMAILSUSER="other")[0] == sender
        assert f"\nFrom: {from_}\n".encode() in inject.message()
    sendmail(inject, "-f", "s@h.x", "a", NAME="n", QMAILNAME="q", MAILNAME="m")
    assert b"\nFrom: s@h.x\n" in inject.message()


def test_the_full_name_option(inject):
    """-F counts before and behind -f."""
    for argv in (("-F", "Full Name", "-fs@h.x"), ("-fs@h.x", "-FFull Name")):
        sendmail(inject, *argv, "a")
        assert b'\nFrom: "Full Name" <s@h.x>\n' in inject.message()


@pytest.mark.parametrize("flags", [
    "-bm", "-i", "-v", "-m", "-eq", "-e p", "-oi", "-odb", "-oem", "-om", "-o7", "-x", "-p r", "-E", "-J",
    "-B8BITMIME", "-B 7BIT", "-N never", "-N success,delay", "-R hdrs", "-V id", "-O DeliveryMode=b",
    "-OQueueDirectory=/x", "-Ac", "-Am", "-G", "-U", "-d0.1", "-d", "-n", "-L tag", "-X /dev/null",
    "-h 5", "-C /etc/mail/sendmail.cf", "-q", "-q1h", "-I",
])
def test_flags_of_other_mailers_are_accepted(inject, flags):
    """They change nothing."""
    assert sendmail(inject, *flags.split(), "a", "-b")[1] == ["a@me.example", "-b@me.example"]


@pytest.mark.parametrize("flag", ["-bd", "-bD", "-bv", "-bt", "-bi", "-bI", "-bh", "-bH", "-bz", "-Q", "-Z"])
def test_what_would_be_wrong_to_ignore_is_refused(inject, flag):
    """Exit 100 with words, and nothing is read."""
    done = inject.run("", flag, "a", program="sendmail")
    assert done.returncode == 100 and done.stderr.startswith(b"sendmail: ")


def test_a_queue_run_says_that_the_queue_runs(inject):
    """sendmail -q is no message."""
    done = inject.run("", "-q", program="sendmail")
    assert done.returncode == 0 and b"qmailctl flush" in done.stderr


def test_newaliases_refuses(inject):
    """There is no table; the message says what there is."""
    done = subprocess.run(["newaliases"], executable=inject.home / "bin/newaliases", capture_output=True,
                          check=False, timeout=60, env={"QMAILHOME": str(inject.home), **SAN_ENV})
    assert done.returncode == 100 and b"newaliases: fatal: " in done.stderr and b"alias" in done.stderr


def test_mft_file_is_relative_to_the_callers_directory(inject, tmp_path):
    """sendmail does not change the directory before qmail-inject has read it."""
    (tmp_path / "lists").write_text("l@x.y\n")
    sendmail(inject, "-t", text="To: l@x.y\n\n", QMAILMFTFILE="lists", cwd=tmp_path)
    assert b"\nMail-Followup-To: l@x.y\n" in inject.message()


def test_mailx_sends_through_sendmail(instance):
    """s-nail, the mailx of Debian, with sendmail as its mta."""
    instance.bin("qmail-inject", "-n", input="")  # the home works
    done = run("s-nail", "-:/", "-S", f"mta={instance.home}/bin/sendmail", "-S", "v15-compat",
               "-r", "writer@remote.example", "-s", "from mailx", "alice@me.example", input="a line\n",
               env=dict(instance.env, HOME="/nonexistent", MAILRC="/dev/null"), check=False)
    assert done.returncode == 0, done.stderr
    mail = next(m for m in instance.wait_mail("alice") if b"\nSubject: from mailx\n" in m)
    assert mail.startswith(b"Return-Path: <writer@remote.example>\n") and mail.endswith(b"\n\na line\n")


def test_bs_speaks_smtp(instance):
    """A dialogue on stdin and stdout; it may relay, and is known as sendmail-bs."""
    dialogue = ("EHLO here\r\nMAIL FROM:<s@remote.example>\r\nRCPT TO:<bob@me.example>\r\nDATA\r\n"
                "Subject: by bs\r\n\r\n..dot\r\n.\r\nRSET\r\nMAIL FROM:<s@remote.example>\r\n"
                "RCPT TO:<x@elsewhere.example>\r\nQUIT\r\n")
    out = instance.bin("sendmail", "-bs", input=dialogue, cwd="/tmp").stdout
    codes = re.findall(r"^(\d{3}) ", out, re.M)
    assert codes == ["220", "250", "250", "250", "354", "250", "250", "250", "250", "221"], out
    (mail,) = instance.wait_mail("bob")
    assert b"\nSubject: by bs\n\n.dot\n" in mail
    assert b"sendmail-bs@127.0.0.1" in mail and b"localhost" in mail


def test_bs_keeps_a_connection_that_is_described(instance):
    """With PROTO set the TCP variables are those of the caller."""
    env = dict(instance.env, PROTO="TCP", TCPREMOTEIP="192.0.2.7", TCPREMOTEHOST="client.example",
               TCPLOCALHOST="server.example")
    dialogue = ("HELO x\r\nMAIL FROM:<s@remote.example>\r\nRCPT TO:<carol@me.example>\r\n"
                "DATA\r\n\r\n.\r\nQUIT\r\n")
    instance.bin("sendmail", "-bs", input=dialogue, env=env)
    assert b"192.0.2.7" in instance.wait_mail("carol")[0]


def test_bp_and_mailq_show_the_queue(instance):
    """Both are qmail-qread: a message that waits for a dead host is listed."""
    instance.wait_empty()
    instance.bin("sendmail", "-f", "s@remote.example", "x@[127.0.0.9]", input="\n")
    instance.wait_log("deferral")
    want = instance.bin("qmail-qread").stdout
    assert "x@[127.0.0.9]" in want
    for argv in (("sendmail", "-bp"), ("mailq",)):
        assert instance.bin(*argv).stdout == want


# -- forward ------------------------------------------------------------------------------------


def test_forward_puts_dtline_before_what_is_left_of_the_input(inject, tmp_path):
    """It does not rewind; sender and addresses go as they are; zero addresses are accepted."""
    (tmp_path / "m").write_bytes(b"skipped\nSubject: x\n\nno newline at the end")
    env = {"QMAILHOME": str(inject.home), "QMAILQUEUE": str(inject.recorder),
           "NEWSENDER": "list-@x.y-@[]", "DTLINE": "Delivered-To: me\n", **SAN_ENV}
    for addresses in (["a", "b c@d"], []):
        with open(tmp_path / "m", "rb", buffering=0) as message:
            message.read(8)
            done = subprocess.run([inject.home / "bin/forward", *addresses], stdin=message, env=env,
                                  capture_output=True, check=False, timeout=60)
        assert done.returncode == 0 and re.fullmatch(rb"forward: qp \d+\n", done.stderr)
        assert inject.message() == b"Delivered-To: me\nSubject: x\n\nno newline at the end"
        assert inject.envelope() == ("list-@x.y-@[]", addresses)


@pytest.mark.parametrize("missing", ["NEWSENDER", "DTLINE"])
def test_forward_needs_its_variables(inject, missing):
    """100: a .qmail program always has them."""
    env = {"NEWSENDER": "s", "DTLINE": "d\n", "QMAILQUEUE": "/bin/false", missing: None}
    done = inject.run("", "a@b", program="forward", **env)
    assert done.returncode == 100 and missing.encode() in done.stderr


def test_forward_hands_the_queues_verdict_on(inject):
    """31 is 100, 53 is 111, the text of 82 is shown."""
    env = dict(NEWSENDER="s", DTLINE="d\n", program="forward")
    assert "(#5.3.0)" in inject.queue("", "a@b", code=100, EXIT="31", **env)
    assert "(#4.3.0)" in inject.queue("", "a@b", code=111, EXIT="53", **env)
    said = inject.queue("", "a@b", code=100, EXIT="82", TEXT6="Dnot you", **env)
    assert "forward: fatal: not you\n" in said
    assert inject.run("", "a@b", NEWSENDER="s" * 1003, DTLINE="", program="forward").returncode == 100


# -- predate, datemail, mailsubj ----------------------------------------------------------------


def test_predate_puts_the_local_date_before_the_message(inject):
    """In the zone of TZ; the exit code is the program's."""
    done = inject.run("Subject: x\n\n", "cat", program="predate", TZ="XST-5:30")
    assert re.fullmatch(rb"Date: \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0530\nSubject: x\n\n", done.stdout)
    for argv, code in ((("sh", "-c", "exit 7"), 7), (("sh", "-c", "kill -9 $$"), 111),
                       (("/nonexistent",), 111), (("nonexistent",), 111), ((), 100),
                       (("sh", "-c", "exec <&-; sleep 0.1; exit 3"), 3)):
        assert inject.run(b"x" * 1000000, *argv, program="predate").returncode == code, argv


def test_predate_kills_the_program_when_its_input_fails(inject, tmp_path):
    """A part is never taken for the whole."""
    script = f"cat >/dev/null; echo done > {tmp_path}/done"
    with open("/proc/self/mem", "rb") as bad:  # reading address 0 fails with EIO
        done = subprocess.run([inject.home / "bin/predate", "sh", "-c", script], stdin=bad, check=False,
                              capture_output=True, timeout=60)
    assert done.returncode == 111
    time.sleep(0.2)
    assert not (tmp_path / "done").exists()


def test_datemail_is_sendmail_with_a_local_date(inject):
    """Options and recipients go to sendmail."""
    assert inject.queue("To: t\n\n", "-fs@x.y", "-t", "a", program="datemail", TZ="XST+3") == (
        "s@x.y", ["a@me.example", "t@me.example"])
    assert inject.message().count(b"Date: ") == 1 and b" -0300\n" in inject.message()


def test_mailsubj_sends_the_body_under_a_subject(inject):
    """Recipients are addresses of a header; no argument can begin a field."""
    assert inject.queue("body\n", "a\nBcc: x@y.z", "Joe <j@x>", "b\n\nc", program="mailsubj") == (
        "joe@me.example", ["c@me.example", "b@me.example", "j@x.me.example"])
    assert (b"\nSubject: a Bcc: x@y.z\nTo: Joe <j@x.me.example>, b@me.example, c@me.example\n\nbody\n"
            in inject.message())
    assert inject.run("", "subject", program="mailsubj").returncode == 100
    inject.queue("b\n", "s", "a", program="mailsubj", code=100, EXIT="31")


# -- splogger, tcp-env --------------------------------------------------------------------------


@pytest.fixture
def syslog(tmp_path):
    """A datagram socket at /dev/log, in this mount table only."""
    run("mount", "--bind", "/dev", "/dev")
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind(str(tmp_path / "log"))
    server.settimeout(60)
    made = not os.path.lexists("/dev/log")
    if made:
        os.symlink(tmp_path / "log", "/dev/log")
    else:
        run("mount", "--bind", tmp_path / "log", "/dev/log")
    yield server
    if made:
        os.unlink("/dev/log")
    else:
        run("umount", "/dev/log")
    run("umount", "/dev")
    server.close()


def test_splogger_hands_lines_to_syslog(inject, syslog):
    """Stamp, priority by the first word, '?' for what cannot be printed, pieces of 800 bytes with '+'."""
    lines = "plain\talert:\n\nalert: a\nwarning: w\u00e4\n" + "alert:" + "x" * 1700 + "\nlast"
    threading.Thread(target=inject.run, args=(lines, "qmail", "local3"),
                     kwargs={"program": "splogger"}).start()
    got = [syslog.recv(4096).decode() for _ in range(7)]
    entries = [re.fullmatch(r"<(\d+)>\w{3} [ \d]\d \d\d:\d\d:\d\d (?:\S+ )?qmail: "
                            r"\d{10}\.\d{6}([ +])(.*)\n?\0?", g)
               for g in got]
    assert all(entries), got
    facility = 19 << 3
    assert [(int(e[1]) - facility, e[2], e[3]) for e in entries] == [
        (6, " ", "plain?alert:"), (1, " ", "alert: a"), (4, " ", "warning: w??"),
        (1, " ", "alert:" + "x" * 794), (1, "+", "x" * 800), (1, "+", "x" * 106), (6, " ", "last")]


def test_splogger_usage(inject, syslog):
    """mail is the default, numbers are taken, unknown words are not."""
    for argv, facility in (((), 2), (("t", "4"), 4), (("t", "daemon"), 3)):
        assert inject.run("x\n", *argv, program="splogger").returncode == 0
        assert syslog.recv(4096).startswith(f"<{facility * 8 + 6}>".encode())
    for argv in (("t", "24"), ("t", "nothing"), ("a", "1", "x")):
        assert inject.run("x\n", *argv, program="splogger").returncode == 100


def tcp_env(inject, *argv, family=socket.AF_INET, ip="127.0.0.1"):
    """Run tcp-env on a connection. returns (variables, client port, server port)"""
    with socket.socket(family) as listener:
        listener.bind((ip, 0))
        listener.listen()
        client = socket.create_connection(listener.getsockname()[:2])
        server, _ = listener.accept()
        with client, server:
            done = subprocess.run(
                [inject.home / "bin/tcp-env", *argv, "env"], stdin=server, capture_output=True, timeout=60,
                check=False, env={"PATH": os.environ["PATH"], "TCPREMOTEINFO": "old",
                                  "TCPREMOTEHOST": "old", **SAN_ENV})
            assert done.returncode == 0, done.stderr
            found = dict(line.split("=", 1) for line in done.stdout.decode().splitlines())
            return found, client.getsockname()[1], server.getsockname()[1]


def test_tcp_env_describes_the_connection(inject):
    """Addresses, ports and names of both ends; what is unknown is unset."""
    found, client, server = tcp_env(inject, "-R")
    assert found["PROTO"] == "TCP" and found["TCPREMOTEIP"] == found["TCPLOCALIP"] == "127.0.0.1"
    assert (found["TCPREMOTEPORT"], found["TCPLOCALPORT"]) == (str(client), str(server))
    assert found.get("TCPREMOTEHOST") == found.get("TCPLOCALHOST") != "old"
    assert "TCPREMOTEINFO" not in found
    found, _, _ = tcp_env(inject, "-R", family=socket.AF_INET6, ip="::ffff:127.0.0.1")
    assert found["TCPREMOTEIP"] == "127.0.0.1"


def test_tcp_env_asks_who_is_calling(inject):
    """RFC 1413; the answer loses its control bytes, an error is no answer."""
    for answer, info in (("USERID : UNIX :jo\x01e\r\n", "joe"), ("ERROR : NO-USER\r\n", None), ("", None)):
        with socket.create_server(("127.0.0.1", 113)) as ident:
            asked = []

            def serve():
                peer, _ = ident.accept()
                with peer:
                    asked.append(peer.recv(100).decode())
                    if answer:
                        peer.sendall(f"{asked[0].strip()} : {answer}".encode())
            thread = threading.Thread(target=serve)
            thread.start()
            found, client, server = tcp_env(inject, "-r", "-t", "20")
            thread.join(60)
        assert asked == [f"{client} , {server}\r\n"]
        assert found.get("TCPREMOTEINFO") == info


def test_tcp_env_without_a_connection(inject):
    """Only PROTO is set; a missing program is 111, no program 100."""
    done = inject.run("", "env", program="tcp-env", TCPREMOTEIP="old")
    assert b"PROTO=TCP\n" in done.stdout and b"TCPREMOTEIP" not in done.stdout
    assert inject.run("", "/nonexistent", program="tcp-env").returncode == 111
    for argv in ((), ("-t", "0", "env"), ("-t", "x", "env"), ("-q", "env")):
        assert inject.run("", *argv, program="tcp-env").returncode == 100
