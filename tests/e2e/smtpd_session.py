"""A qmail-smtpd of our own on a socket pair, in front of a queue program that keeps what it gets."""
import os
import select
import socket
import subprocess

QUEUE_PROGRAM = """#!/bin/sh
n=$(mktemp "$KEPT/XXXXXXXX")
cat >"$n.message" && cat <&1 >"$n.envelope" || exit 53
if [ -s "$KEPT/text" ]; then cat "$KEPT/text" >&6; fi
if [ -s "$KEPT/code" ]; then exit "$(cat "$KEPT/code")"; fi
mv "$n.envelope" "$n.queued"
"""


class Home:
    """A home with control files and no services. QMAILQUEUE keeps messages in the folder kept."""

    def __init__(self, programs, folder, **control):
        self.programs, self.home, self.kept = programs, folder / "home", folder / "kept"
        (self.home / "control").mkdir(parents=True)
        self.kept.mkdir()
        self.queue_program = folder / "queue-program"
        self.queue_program.write_text(QUEUE_PROGRAM)
        self.queue_program.chmod(0o755)
        self.control(me="mx.example", rcpthosts="here.example\n.sub.example", **control)

    def control(self, **files):
        for name, text in files.items():
            path = self.home / "control" / name
            if text is None:
                path.unlink(missing_ok=True)
            else:
                path.write_text(str(text) + "\n")

    def queue_answer(self, code=0, text=""):
        """What the queue program exits with, and says on descriptor 6."""
        (self.kept / "code").write_text(str(code) if code else "")
        (self.kept / "text").write_text(text)

    def queued(self):
        """[(message, sender, [recipients])] accepted since the last call, in no certain order."""
        found = []
        for name in list(self.kept.glob("*.queued")):
            parts = name.read_bytes().split(b"\0")
            assert parts[0][:1] == b"F" and parts[-2:] == [b"", b""], parts
            assert all(p[:1] == b"T" for p in parts[1:-2])
            message = name.with_suffix(".message")
            found.append((message.read_bytes(), parts[0][1:].decode(),
                          [p[1:].decode() for p in parts[1:-2]]))
            name.unlink()
            message.unlink()
        return found

    def session(self, **env):
        return Session(self, env)


class Session:
    """One connection. Ends with the block: `with home.session() as s:`."""

    def __init__(self, home, env):
        self.client, server = socket.socketpair()
        base = {"PATH": os.environ["PATH"], "QMAILHOME": str(home.home), "KEPT": str(home.kept),
                "QMAILQUEUE": str(home.queue_program), "TCPREMOTEIP": "192.0.2.9",
                "TCPLOCALIP": "192.0.2.1", "TCPLOCALHOST": "mx.example",
                "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1"}
        base.update(env)
        env = {name: value for name, value in base.items() if value is not None}
        self.process = subprocess.Popen([home.programs / "bin/qmail-smtpd"], stdin=server, stdout=server,
                                        stderr=subprocess.PIPE, env=env)
        server.close()
        self.client.settimeout(60)
        self.pending = b""
        self.greeting = self.reply()

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.client.close()
        self.stderr = self.process.stderr.read().decode()
        self.process.stderr.close()
        self.code = self.process.wait(60)

    def send(self, data):
        self.client.sendall(data if isinstance(data, bytes) else data.encode())

    def line(self):
        while b"\n" not in self.pending:
            more = self.client.recv(65536)
            if not more:
                assert not self.pending, self.pending
                return None
            self.pending += more
        line, _, self.pending = self.pending.partition(b"\n")
        assert line.endswith(b"\r"), line
        return line[:-1].decode()

    def reply(self):
        """One reply, all its lines joined by newlines; None when the connection is closed."""
        lines = []
        while True:
            line = self.line()
            if line is None:
                assert not lines, lines
                return None
            lines.append(line)
            if line[3] == " ":
                return "\n".join(lines)

    def replies(self, count):
        return [self.reply() for _ in range(count)]

    def all_replies(self):
        """Every reply up to the end of the connection; what we send has come to its end."""
        self.client.shutdown(socket.SHUT_WR)
        found = []
        while (reply := self.reply()) is not None:
            found.append(reply)
        return found

    def say(self, command):
        self.send(command.encode() + b"\r\n" if isinstance(command, str) else command + b"\r\n")
        return self.reply()

    def begin(self, sender="a@b.example", recipients=("x@here.example",), helo="EHLO c.example"):
        """Up to the reply to DATA."""
        if helo:
            assert self.say(helo)[:3] == "250"
        assert self.say(f"MAIL FROM:<{sender}>")[:3] == "250"
        for recipient in recipients:
            assert self.say(f"RCPT TO:<{recipient}>")[:3] == "250"
        return self.say("DATA")

    def mail(self, message, **options):
        """A whole transaction with a message that is on the wire already but for its end."""
        assert self.begin(**options)[:3] == "354"
        self.send(message + b".\r\n")
        return self.reply()

    def is_silent(self, seconds=0.3):
        return not self.pending and not select.select([self.client], [], [], seconds)[0]
