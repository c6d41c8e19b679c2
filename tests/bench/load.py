"""The load of the benchmark: Postfix's smtp-source and smtp-sink, a Maildir that counts what
arrives, and a slow careful client that measures latency."""
import contextlib
import ctypes
import os
import re
import select
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import time

from machine import NotPossible
# behind machine, which makes the modules of tests/ known
from instance import wait_for
import smtp_client

# what a server that fails, or a client that gives up, raises
TROUBLE = (AssertionError, TimeoutError, RuntimeError, OSError, subprocess.SubprocessError)
IN_MOVED_TO, IN_CREATE = 0x80, 0x100
libc = ctypes.CDLL(None, use_errno=True)


def or_exit(work):
    """Returns what work() does. A failure is said in a sentence: exit 2 where this machine cannot
    run it, else 1."""
    try:
        return work()
    except NotPossible as error:
        code, sentence = 2, error
    except TROUBLE as error:
        code, sentence = 1, error
    print(f"{os.path.basename(sys.argv[0])}: fatal: {sentence}", file=sys.stderr)
    sys.exit(code)


class Maildir:
    """An empty Maildir; inotify counts the deliveries into new/."""

    def __init__(self, path, uid, gid):
        shutil.rmtree(path, ignore_errors=True)
        for folder in ("", "/tmp", "/new", "/cur"):
            os.mkdir(path + folder, 0o700)
            os.chown(path + folder, uid, gid)
        self.fd = libc.inotify_init()
        libc.inotify_add_watch(self.fd, (path + "/new").encode(), IN_MOVED_TO | IN_CREATE)
        self.count = 0

    def wait(self, number, timeout_s=120):
        end = time.monotonic() + timeout_s
        while self.count < number:
            if not select.select([self.fd], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError(f"{self.count} of {number} messages in the Maildir")
            events, at = os.read(self.fd, 65536), 0
            while at < len(events):
                at += 16 + struct.unpack_from("I", events, at + 12)[0]
                self.count += 1

    def close(self):
        os.close(self.fd)


class Sink:
    """Postfix's smtp-sink; counts the messages it got, or with dump=True the recipients."""

    def __init__(self, port, dump=False):
        self.folder = f"/dev/shm/pennypost-sink-{os.getpid()}"
        shutil.rmtree(self.folder, ignore_errors=True)
        os.mkdir(self.folder, 0o777)
        os.chmod(self.folder, 0o777)
        command = ["smtp-sink", "-c", "-u", "nobody"]
        if dump:
            command += ["-R", self.folder, "-D", "m."]
        self.process = subprocess.Popen(command + [f"127.0.0.1:{port}", "1000"],
                                        stdout=subprocess.PIPE)
        self.dump, self.count, self.known = dump, 0, {}
        wait_for_port(port)

    def poll(self):
        if select.select([self.process.stdout], [], [], 0.05)[0]:
            found = re.findall(rb"mesg=(\d+)", os.read(self.process.stdout.fileno(), 65536))
            if found and not self.dump:
                self.count = int(found[-1])
        if self.dump:
            self.known = dict(self.look())
            self.count = sum(number for _, number in self.known.values())

    def look(self):
        """The files, and how many recipients each has. smtp-sink removes that of a transaction
        that was given up."""
        for entry in os.scandir(self.folder):
            with contextlib.suppress(FileNotFoundError):
                size = entry.stat().st_size
                known = self.known.get(entry.name)
                if not known or known[0] != size:
                    with open(entry.path, "rb") as file:
                        known = size, file.read().count(b"X-Rcpt-Args:")
                yield entry.name, known

    def wait(self, number, timeout_s=120):
        end = time.monotonic() + timeout_s
        while self.count < number:
            if time.monotonic() > end:
                raise TimeoutError(f"{self.count} of {number} at the sink")
            self.poll()

    def close(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def wait_for_port(port, limit_s=30):
    def answers():
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            return False
        return True
    wait_for(answers, f"port {port}", limit_s)


def smtp_source(port, recipient, shape, recipients=1):
    """Send shape = (sessions, bytes, messages, keep the connection). Seconds it took."""
    sessions, size, messages, keep = shape
    command = ["smtp-source", "-s", str(min(sessions, messages)), "-m", str(messages),
               "-l", str(size), "-f", "sender@client.test", "-t", recipient]
    if keep:
        command.append("-d")
    if recipients > 1:
        command += ["-r", str(recipients)]
    start = time.monotonic()
    subprocess.run(command + [f"127.0.0.1:{port}"], check=True, timeout=120)
    return time.monotonic() - start


class Client(smtp_client.Client):
    """One session with a server on this machine."""

    def __init__(self, port):
        super().__init__("127.0.0.1", port)

    def send(self, recipient):
        """One message. Seconds from the end of data to 250."""
        self.say(b"MAIL FROM:<sender@client.test>")
        self.say(b"RCPT TO:<" + recipient.encode() + b">")
        self.say(b"DATA")
        start = time.monotonic()
        self.say(b"Subject: x\r\n\r\n" + b"x" * 70 + b"\r\n.")
        return time.monotonic() - start


def latency(port, recipient, maildir, count):
    """Medians in ms, connect to 250 and connect to Maildir, of single messages on an idle
    server."""
    accepted, delivered = [], []
    for number in range(count):
        time.sleep(0.02)
        start = time.monotonic()
        client = Client(port)
        client.say(b"HELO client.test")
        client.send(recipient)
        accepted.append((time.monotonic() - start) * 1000)
        maildir.wait(number + 1)
        delivered.append((time.monotonic() - start) * 1000)
        client.close()
    return statistics.median(accepted), statistics.median(delivered)
