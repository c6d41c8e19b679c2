"""The packets of lib/handoff, written anew: the length of the strings in four bytes, the strings, a body."""
import socket
import struct


def pack(*strings, body=b""):
    block = b"".join(str(s).encode() + b"\0" for s in strings)
    return struct.pack("=I", len(block)) + block + body


def unpack(packet):
    """returns [string, ...], body"""
    (length,) = struct.unpack("=I", packet[:4])
    *strings, end = packet[4:4 + length].decode().split("\0")
    assert end == "" and len(packet) >= 4 + length, packet
    return strings, packet[4 + length:]


def send(to, *strings, body=b"", fds=()):
    packet = pack(*strings, body=body)
    if fds:
        socket.send_fds(to, [packet], fds)
    else:
        to.send(packet)


def receive_report(peer):
    """The number in the next report, and its texts."""
    packet = peer.recv(1 << 20)
    assert packet, "the session has ended"
    (word, number, *texts), body = unpack(packet)
    assert (word, body) == ("report", b"")
    return number, texts
