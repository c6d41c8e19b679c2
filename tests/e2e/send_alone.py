"""An instance whose remote mail goes to a sink; what happened to queue files long ago."""
import os
import socketserver
import threading
from types import SimpleNamespace

import pytest

from queue_file import checksum


class SinkHandler(socketserver.StreamRequestHandler):
    """Just enough of an SMTP server to keep what it gets."""

    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def data(self, mail):
        self.say("354 go on")
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            mail.data += line
        self.server.mails.append(mail)
        self.say("250 taken")

    def handle(self):
        self.say("220 sink")
        mail = None
        while line := self.rfile.readline().decode().strip():
            verb = line.split(" ")[0].upper()
            address = line.partition("<")[2].rpartition(">")[0]
            if verb == "MAIL":
                mail = SimpleNamespace(sender=address, recipients=[], data=b"")
                self.say("250 ok")
            elif verb == "RCPT":
                mail.recipients.append(address)
                self.say("250 ok")
            elif verb == "DATA":
                self.data(mail)
            else:
                self.say("221 bye" if verb == "QUIT" else "250 sink")
                if verb == "QUIT":
                    return


@pytest.fixture
def sink():
    """A function that starts an SMTP server: .port, .mails (sender, recipients, data)."""
    servers = []

    def start():
        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), SinkHandler)
        server.daemon_threads = True
        server.mails = []
        server.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def message(subject, body="x"):
    return f"Subject: {subject}\n\n{body}\n".encode()


def age_queue_file(instance, path, seconds):
    """Give a queued message a birth that lies so many seconds back; qmail-send must not run."""
    old = int(path.name)
    new = old - seconds * 1000000
    data = bytearray(path.read_bytes())
    # the 'B' record (birth) is only a number: same width, so lengths stay; the checksum does not
    at = data.rindex(b"\0B", 0, len(data) - 64) + 2
    end = data.index(b"\0", at)
    data[at:end] = str(int(data[at:end]) - seconds).encode()
    body = bytes(data[:-64])
    length = int(data[-64 + 12:-64 + 32])
    envelope = body[length:]
    crc = checksum(body[:length], envelope[42:])
    data[-64 + 44:-64 + 52] = f"{crc:08x}".encode()
    target = path.parents[1] / str((new >> 24) % 23) / str(new)
    target.write_bytes(data)
    os.chown(target, path.stat().st_uid, path.stat().st_gid)
    target.chmod(0o600)
    path.unlink()
    return target


@pytest.fixture
def alone(make_instance):
    """An instance that relays to a port where nobody listens, and is not yet started."""
    one = make_instance(start=False)
    one.control("smtproutes", "dead.example:127.0.0.1:9\n:127.0.0.1:8")
    return one
