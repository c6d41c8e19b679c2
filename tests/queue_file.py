"""Queue files, made and read as queue-file(5) describes them, and not by our code."""
import re

FOOTER_LEN = 64


def crc32c_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


CRC32C = crc32c_table()


def crc32c(data):
    """CRC-32C, written from RFC 3720."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC32C[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def checksum(message, records):
    """Recipients that are done count as if they were not."""
    return crc32c(message + re.sub(rb"(^|\0)D", rb"\1T", records))


def build(message, records, version=1, next_try=0, flags=0):
    header = b"H%020d %010d %08x\0" % (next_try, 0, flags)
    footer = b"pennypost %d %020d %010d %08x" % (version, len(message), len(header + records),
                                                 checksum(message, records))
    return message + header + records + footer.ljust(FOOTER_LEN - 1) + b"\n"


def parse(path):
    """Take one apart, and check it. returns message, {letter: [text]}"""
    data = path.read_bytes()
    footer = data[-FOOTER_LEN:]
    match = re.fullmatch(rb"pennypost 1 (\d{20}) (\d{10}) ([0-9a-f]{8}) {11}\n", footer)
    assert match, footer
    message_len, envelope_len = int(match[1]), int(match[2])
    assert message_len + envelope_len + FOOTER_LEN == len(data)
    message, envelope = data[:message_len], data[message_len:-FOOTER_LEN]
    assert envelope[:1] == b"H" and envelope[41:42] == b"\0"
    records = envelope[42:]
    assert checksum(message, records) == int(match[3], 16)
    fields = {}
    for record in records[:-1].split(b"\0"):
        fields.setdefault(record[:1].decode(), []).append(record[1:].decode())
    return message, fields
