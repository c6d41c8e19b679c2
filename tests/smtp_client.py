"""SMTP clients: one that sends what it is told, line by line; and one that sends mail until told to stop."""
import smtplib
import socket
import threading
import time


class Client:
    """One session. Lines are bytes without CRLF."""

    def __init__(self, ip, port):
        self.socket = socket.create_connection((ip, port), timeout=60)
        self.file = self.socket.makefile("rb")
        self.expect([self.reply()])

    def reply(self):
        """The last line of the next reply; b"" when the connection has ended."""
        while (line := self.file.readline())[3:4] == b"-":
            pass
        return line

    @staticmethod
    def expect(replies):
        assert all(reply[:1] in (b"2", b"3") for reply in replies), replies

    def ask(self, *lines):
        """Send them in one piece; returns a reply for each."""
        self.socket.sendall(b"".join(line + b"\r\n" for line in lines))
        return [self.reply() for _ in lines]

    def say(self, *lines):
        """The same; none of them may fail."""
        self.expect(self.ask(*lines))

    def close(self):
        """Say goodbye."""
        self.say(b"QUIT")
        self.file.close()
        self.socket.close()


class Load(threading.Thread):
    """Sends messages, 30 in a session, until the event stop; accepted: the names of those that got 250.
    new  makes one: returns its name, sender, recipients and text"""

    def __init__(self, one, stop, new):
        super().__init__(daemon=True)
        self.one, self.stop, self.new, self.accepted = one, stop, new, []

    def session(self):
        with smtplib.SMTP(self.one.ip, self.one.port, "client.example", timeout=30) as smtp:
            for _ in range(30):
                name, *envelope, text = self.new()
                smtp.sendmail(*envelope, text)
                self.accepted.append(name)
                if self.stop.is_set():
                    return

    def run(self):
        while not self.stop.is_set():
            try:
                self.session()
            except (OSError, smtplib.SMTPException):
                time.sleep(0.05)
