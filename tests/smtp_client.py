"""An SMTP client that sends what it is told, line by line."""
import socket


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
