"""What people run around qmail works here: vpopmail's tables, a list manager's .qmail files, filters in
QMAILQUEUE, programs between tcpserver and qmail-smtpd, files that came from other systems."""
import os
import socket
import subprocess

import pytest


VARIABLES = ("SENDER NEWSENDER RECIPIENT USER HOME HOST HOST2 HOST3 HOST4 LOCAL EXT EXT2 EXT3 EXT4 DEFAULT "
             "DTLINE RPLINE UFLINE").split()


@pytest.fixture
def alone(make_instance):
    return make_instance(start=False)


def script(instance, name, text):
    path = instance.folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_vpopmail_domains(alone):
    """users/assign as vpopmail writes it, with virtualdomains and .qmail-default: one program
    delivers for all users of two domains, as the domain's user and with the variables it reads."""
    folder = alone.folder / "domains/v.example"
    folder.mkdir(parents=True)
    print_all = "\n".join(f'echo "{name}=${name}"' for name in VARIABLES)
    program = script(alone, "vdelivermail", f"#!/bin/sh\n{{ id -u; id -g; pwd\n{print_all}\n}} >>out\n")
    (folder / ".qmail-default").write_text(f"| {program} '' bounce-no-mailbox\n")
    for path in (folder, folder / ".qmail-default"):
        os.chown(path, 6089, 6088)
    alone.control("virtualdomains", "v.example:v.example\nalias.example:v.example")
    alone.control("rcpthosts", "me.example\nv.example\nalias.example")
    alone.compile_users([f"+v.example-:v.example:6089:6088:{folder}:-::"])
    alone.start()
    alone.swaks(to="John.Doe-x@V.Example")
    alone.wait_empty()
    first = (folder / "out").read_text().splitlines()
    assert first[:3] == ["6089", "6088", str(folder)]
    values = dict(line.split("=", 1) for line in first[3:] if "=" in line)
    assert values["EXT"] == values["DEFAULT"] == "John.Doe-x" and values["EXT2"] == "x"
    assert values["LOCAL"] == "v.example-John.Doe-x" and values["HOST"] == "V.Example"
    assert values["USER"] == "v.example" and values["HOME"] == str(folder)
    assert values["RECIPIENT"] == "v.example-John.Doe-x@V.Example"
    assert values["SENDER"] == "sender@remote.example"
    assert values["RPLINE"] == "Return-Path: <sender@remote.example>"
    assert values["DTLINE"] == "Delivered-To: v.example-John.Doe-x@V.Example"
    assert values["UFLINE"].startswith("From sender@remote.example ")
    alone.swaks(to="jane@alias.example")
    alone.wait_empty()
    assert "RECIPIENT=v.example-jane@alias.example" in (folder / "out").read_text()
    (program.parent / "vdelivermail").write_text("#!/bin/sh\necho no such user; exit 100\n")
    alone.inject(b"Subject: x\n\n", "alice@me.example", "nobody@v.example")
    (bounce,) = alone.wait_mail("alice")
    assert b"<nobody@v.example>:\nno such user\n" in bounce, "without the prepended domain"


LIST_PROGRAMS = {
    "ez-reject": 'case $(cat) in *"Precedence: junk"*) exit 99;; *unsubscribe*) exit 100;; esac\n',
    "ez-send": '''cat >"$HOME/msg.$$"
{ printf 'Falice-list-return-1-@%s-@[]\\0Tone@remote.example\\0' "$HOST"
  printf 'Tbob@me.example\\0Tnobody-y@me.example\\0\\0'; } |
"$QMAILHOME/bin/qmail-queue" 1<&0 0<"$HOME/msg.$$" || exit 111
rm "$HOME/msg.$$"
''',
    "ez-manage": 'echo "manage $DEFAULT $SENDER $LOCAL $HOST" >>"$HOME/list.log"\n',
    "ez-return": 'echo "return $DEFAULT <$SENDER>" >>"$HOME/list.log"\n'
                 'grep "^<" >>"$HOME/list.log"\nexit 0\n',
}


def test_a_list_manager(alone, sink):
    """A list as ezmlm sets it up: posts go out by qmail-queue with a sender for each recipient, what
    bounces comes back to the address that says who, commands come with DEFAULT, 99 and 100 end a file."""
    relay = sink()
    alone.control("smtproutes", f":127.0.0.1:{relay.port}")
    paths = {name: script(alone, name, "#!/bin/sh\n" + text) for name, text in LIST_PROGRAMS.items()}
    alone.dot_qmail("alice", f"|{paths['ez-reject']}\n|{paths['ez-send']}", "list")
    alone.dot_qmail("alice", f"|{paths['ez-manage']}", "list-default")
    alone.dot_qmail("alice", f"|{paths['ez-return']}", "list-return-default")
    alone.dot_qmail("alice", "./Maildir/", "list-owner")
    alone.start()
    log = alone.user_home("alice") / "list.log"
    alone.inject(b"Subject: issue 1\n\nhello\n", "carol@me.example", "alice-list@me.example")
    (copy,) = alone.wait_mail("bob")
    assert copy.startswith(b"Return-Path: <alice-list-return-1-bob=me.example@me.example>\n")
    alone.wait_for(lambda: log.exists() and "<nobody-y@me.example>:" in log.read_text(), "the bounce")
    alone.wait_empty()
    assert "return 1- <>\n" in log.read_text()
    assert [m.sender for m in relay.mails] == ["alice-list-return-1-one=remote.example@me.example"]
    alone.swaks(to=relay.mails[0].sender, sender="<>")
    alone.swaks(to="alice-list-subscribe-Joe=remote.example@me.example", sender="joe@remote.example")
    alone.inject(b"Precedence: junk\n\n", "carol@me.example", "alice-list@me.example")
    alone.inject(b"Subject: unsubscribe\n\n", "carol@me.example", "alice-list@me.example")
    alone.wait_mail("carol")
    alone.wait_empty()
    lines = log.read_text().splitlines()
    assert "return 1-one=remote.example <>" in lines
    assert ("manage subscribe-Joe=remote.example joe@remote.example alice-list-subscribe-Joe=remote.example "
            "me.example") in lines
    assert len(alone.maildir("bob")) == len(relay.mails) == 1


def test_a_filter_in_queue_place(alone):
    """QMAILQUEUE from tcp.smtp: the program gets every message, may change it and call qmail-queue, or
    refuse it with its own words; RELAYCLIENT's value is appended to recipients. A large one too."""
    wrap = script(alone, "wrap", "#!/bin/sh\n{ echo X-Filter: seen; cat; } | bin/qmail-queue\n")
    refuse = script(alone, "refuse",
                    "#!/bin/sh\ncat >/dev/null\necho 'Dno such mail here (#5.7.9)' >&6\nexit 82\n")
    alone.control("tcp.smtp", f'127.:allow,QMAILQUEUE="{wrap}",RELAYCLIENT=".internal"')
    alone.control("locals", "me.example.internal")
    alone.qmailctl("cdb")
    alone.start()
    body = b"Subject: large\r\n\r\n" + (b"\xe4" * 998 + b"\r\n") * 5000
    (alone.folder / "large").write_bytes(body)
    reply = alone.swaks("--data", f"@{alone.folder}/large", "--suppress-data").stdout
    assert "250 2.0.0 ok " in reply and " qp " in reply
    (mail,) = alone.wait_mail("alice")
    assert mail.endswith(b"\n\n" + (b"\xe4" * 998 + b"\n") * 5000 + b"\n"), "swaks adds a line"
    assert b"\nDelivered-To: alice@me.example.internal\n" in b"\n" + mail
    assert b"invoked from network); " in mail and b"\nX-Filter: seen\nReceived: from" in mail
    alone.control("tcp.smtp", f'127.:allow,QMAILQUEUE="{refuse}"')
    alone.qmailctl("cdb")
    assert "554 5.7.9 no such mail here\n" in alone.swaks(check=False).stdout


@pytest.mark.parametrize("front, variable, reply", [
    ("recordio", None, b"250 2.0.0 ok "), ("fixcrio", None, b"250 2.0.0 ok "),
    ("recordio fixcrio rblsmtpd", "", b"250 2.0.0 ok "), ("rblsmtpd", "see us", b"451 see us"),
    ("rblsmtpd", "-see us", b"553 see us")])
def test_programs_between_tcpserver_and_qmail_smtpd(alone, front, variable, reply):
    """qmail-smtpd behind pipes, in the chains of the qmail books; with fixcrio also for clients that
    end lines with LF alone."""
    env = dict(alone.env, **({} if variable is None else {"RBLSMTPD": variable}))
    alone.start()
    end = b"\n" if "fixcrio" in front else b"\r\n"
    server = subprocess.Popen(
        ["s6-setuidgid", "qmaild", "tcpserver", "-1RHlme.example", "127.0.0.1", "0", *front.split(),
         "bin/qmail-smtpd"], cwd=alone.home, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        port = int(server.stdout.readline())
        with socket.create_connection(("127.0.0.1", port), 60) as client:
            lines = [b"HELO x", b"MAIL FROM:<a@b.example>", b"RCPT TO:<alice@me.example>", b"DATA"]
            client.sendall(end.join(lines) + end)
            got = client.makefile("rb")
            while not got.readline().startswith((b"354", b"451", b"553")):
                pass
            client.sendall(end.join([b"Subject: x", b"", b"..y", b".", b"QUIT", b""]))
            answers = got.readlines() if reply.startswith(b"250") else [reply]
        assert answers[0].startswith(reply)
        if reply.startswith(b"250"):
            assert alone.wait_mail("alice")[0].endswith(b"Subject: x\n\n.y\n")
    finally:
        server.terminate()
        server.wait(60)


def test_control_files_with_crlf_blank_and_comment_lines(alone):
    """Files edited elsewhere: CR LF, blank lines, comments and trailing blanks change nothing, and
    percenthack sends user%domain@hack on."""
    for name, text in (("me", "me.example\r\n"),
                       ("locals", "# ours\r\n\r\nme.example  \r\nsecond.example\t\n"),
                       ("percenthack", "hack.example\r\n"), ("concurrencylocal", "7\r\n"),
                       ("concurrencyincoming", "9\r\n"), ("databytes", "100000 \r\n"),
                       ("virtualdomains", "\r\n#x:y\r\nv.example:bob \r\n"),
                       ("defaultdelivery", "./Maildir/\r\n"),
                       ("rcpthosts", "\nme.example\r\nhack.example\r\n.v.example\r\nv.example \r\n")):
        (alone.home / "control" / name).write_bytes(text.encode())
    alone.dot_qmail("bob", "./Maildir/", "default")
    alone.start()
    alone.swaks(to="alice%second.example@hack.example")
    alone.swaks(to="any@v.example")
    (mail,) = alone.wait_mail("alice")
    assert b"Delivered-To: alice@second.example\n" in mail and b"\n  by me.example with ESMTP; " in mail
    (mail,) = alone.wait_mail("bob")
    assert b"Delivered-To: bob-any@v.example\n" in mail
    assert "250-SIZE 100000\n" in alone.swaks("--quit-after", "EHLO").stdout
    alone.wait_log("status: 1/9", "qmail-smtpd")
    alone.wait_log("status: local 0/7 remote ")
