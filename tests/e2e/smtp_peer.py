"""A scripted SMTP server, and the qmail-rspawn side of a qmail-remote session."""
import select
import socket
import subprocess
import threading

import handoff_packet


class Peer:
    """An SMTP server at ip:port that says what a test wants. Each reply is bytes without CRLF, a
    function of the command line, or None: drop the connection. `talk`, if given, gets the bare
    socket of each connection instead. With is_open=False no connection is answered before open().

    commands: what each connection said; messages: what came after DATA; packets: what each recv gave
    """

    def __init__(self, ip="127.0.0.2", port=25, *, talk=None, is_open=True, banner=b"220 peer.example ESMTP",
                 keywords=(b"PIPELINING", b"8BITMIME", b"ENHANCEDSTATUSCODES"), ehlo=None, helo=b"250 hello",
                 mail=b"250 2.1.0 ok", rcpt=b"250 2.1.5 ok", data=b"354 go on", end=b"250 2.0.0 queued"):
        self.talk, self.banner = talk, banner
        if ehlo is None:
            lines = [b"peer.example", *keywords]
            ehlo = b"\r\n".join(b"250" + (b" " if i == len(lines) - 1 else b"-") + line
                                for i, line in enumerate(lines))
        self.replies = {b"EHLO": ehlo, b"HELO": helo, b"MAIL": mail, b"RCPT": rcpt, b"DATA": data,
                        b"RSET": b"250 2.0.0 reset", b"QUIT": b"221 2.0.0 bye"}
        self.end = end
        self.commands, self.messages, self.packets, self.connections = [], [], [], []
        family = socket.AF_INET6 if ":" in ip else socket.AF_INET
        self.listener = socket.socket(family)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((ip, port))
        self.listener.listen(50 if is_open else 0)
        self.crowd = [socket.socket(family) for _ in range(0 if is_open else 4)]
        for one in self.crowd:  # until the kernel drops what comes
            one.setblocking(False)
            one.connect_ex((ip, port))
        if is_open:
            self.open()

    def open(self):
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            if self.talk:
                self.talk(connection)
            else:
                self.converse(connection)
        except OSError:
            pass
        finally:
            connection.close()

    def converse(self, connection):
        said, buffered = [], b""
        self.commands.append(said)

        def say(reply, line=b""):
            reply = reply(line) if callable(reply) else reply
            if reply is None:
                raise ConnectionAbortedError
            connection.sendall(reply + b"\r\n")
            return reply

        def until(mark):
            nonlocal buffered
            while mark not in buffered:
                got = connection.recv(65536)
                if not got:
                    raise ConnectionResetError
                self.packets.append(got)
                buffered += got
            found, _, buffered = buffered.partition(mark)
            return found

        if say(self.banner).startswith(b"421"):
            return
        while True:
            line = until(b"\r\n")
            said.append(line)
            verb = line[:4].upper()
            reply = say(self.replies.get(verb, b"500 5.5.2 what?"), line)
            if verb == b"QUIT":
                return
            if verb == b"DATA" and reply.startswith(b"354"):
                buffered = b"\r\n" + buffered
                message = until(b"\r\n.\r\n")
                self.messages.append(message[2:] + b"\r\n" if message else b"")
                say(self.end)

    def close(self):
        # accept() in the other thread sleeps on: shutdown wakes it
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for one in self.crowd:
            one.close()
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Session:
    """qmail-remote -S, and the socket to it."""

    def __init__(self, program, env, prefix=(), patience=60):
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self.socket.settimeout(patience)
        self.process = subprocess.Popen([*prefix, program, "-S"], stdin=theirs, env=env)
        theirs.close()

    def send(self, number, host, sender, recipients, message):
        handoff_packet.send(self.socket, "job", number, "1234567", host, sender, *recipients, body=message)

    def report(self):
        """The next report: number, [text per recipient]."""
        number, texts = handoff_packet.receive_report(self.socket)
        return int(number), texts

    def job(self, number, host="there.example", sender="me@here.example", recipients=("you@there.example",),
            message=b"Subject: one\n\nbody\n"):
        self.send(number, host, sender, recipients, message)
        return self.report()

    def has_ended(self):
        return bool(select.select([self.socket], [], [], 0)[0]) and not self.socket.recv(1)

    def close(self, patience=60):
        self.socket.close()
        return self.process.wait(patience)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
