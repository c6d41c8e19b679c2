"""Promise 5: only CRLF.CRLF ends a message. SMTP smuggling never makes a second one."""
import itertools

import pytest

from smtpd_session import Home

# What follows the disputed end in each attack: commands of a second message.
SECOND = b"MAIL FROM:<evil@b.example>\r\nRCPT TO:<victim@here.example>\r\nDATA\r\nsmuggled\r\n.\r\n"
ENDS = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\n.\r", b"\r.\n",
        b"\r\r\n.\r\r\n", b"\r\n\n.\r\n", b"\n\r\n.\n", b"\n\r.\n\r", b"\r\n.\r\r\n", b"\r\n.\n\r\n",
        b"\r\n\r.\r\n", b"\r\n.\x00\n", b"\r\n\x00.\n"]
# These hold no bare CR or LF: they are text, and their CRLF.CRLF look-alikes end nothing.
TEXTS = [b"\r\n.\x00\r\n", b"\r\n\x00.\r\n", b"\r\n. \r\n", b"\r\n .\r\n", b"\r\n..\r\n",
         b"\x00\r\n.\x00\x00\r\n",
         b"\r\n.x\r\n", b"\r\n.\t\r\n", b"\x0b.\x0b", b"\x0c\r\n.\x0c\r\n",
         b"\xe2\x80\xa8.\xe2\x80\xa8", b"\x85.\x85"]


@pytest.fixture
def home(programs, tmp_path):
    return Home(programs, tmp_path)


def pieces(data, way):
    """The same bytes as one packet, or cut at places that hurt."""
    if way == "whole":
        return [data]
    if way == "bytes":
        return [data[i:i + 1] for i in range(len(data))]
    return [data[:65536 - int(way)], data[65536 - int(way):]]


@pytest.mark.parametrize("way", ["whole", "bytes"])
@pytest.mark.parametrize("end", ENDS, ids=repr)
def test_a_disputed_end_is_no_end(home, end, way):
    """Nothing is queued, nothing behind it is a command, and the connection is closed."""
    with home.session() as s:
        assert s.begin()[:3] == "354"
        for piece in pieces(b"Subject: one\r\n\r\ntext" + end + SECOND + b"\r\n.\r\nQUIT\r\n", way):
            try:
                s.send(piece)
            except OSError:
                break  # closed after the reply
        replies = s.all_replies()
        assert replies == ["554 5.6.11 the message holds a bare CR or LF, closing connection"]
    assert s.code == 1
    assert home.queued() == []


@pytest.mark.parametrize("text", TEXTS, ids=repr)
def test_text_that_looks_like_an_end_is_text(home, text):
    """It arrives as part of the one message, the commands behind it too."""
    data = b"Subject: one\r\n\r\ntext" + text + SECOND[:-3]
    with home.session() as s:
        assert s.begin()[:3] == "354"
        s.send(data + b".\r\n")
        assert s.reply()[:3] == "250"
        assert s.say("NOOP") == "250 2.0.0 ok"
    (message,) = home.queued()
    expected = data.replace(b"\r\n.", b"\r\n").replace(b"\r\n", b"\n")
    assert message[0].split(b"-0000\n", 1)[1] == expected
    assert message[2] == ["x@here.example"]


@pytest.mark.parametrize("cut", range(0, 8))
def test_the_end_across_two_reads(home, cut):
    """The end of a message is found wherever the input happens to be cut."""
    text = (b"x" * 70 + b"\r\n") * 910
    text += b"y" * (65536 - 8 - len(text) + 5)
    with home.session() as s:
        assert s.begin()[:3] == "354"
        for piece in pieces(text + b"\r\n.\r\nNOOP\r\n", str(cut)):
            s.send(piece)
            s.is_silent(0.02)
        assert [r[:3] for r in s.replies(2)] == ["250", "250"]
    assert home.queued()[0][0].split(b"-0000\n", 1)[1] == text.replace(b"\r\n", b"\n") + b"\n"


def test_an_end_of_bare_line_feeds_gets_its_answer(home):
    """A client that ends its message by LF.LF waits for a reply; it is not left waiting for long."""
    home.control(timeoutsmtpd=2)
    with home.session() as s:
        assert s.begin()[:3] == "354"
        s.send(b"one\n.\n")
        assert s.reply().startswith("554 5.6.11")
        assert s.reply() is None


@pytest.mark.parametrize("line", [b"NOOP\n", b"\n", b"NOOP\n\r\n", b"x" * 5000 + b"\n", b"NOOP\r\r\n\n"])
def test_a_command_with_a_bare_line_feed(home, line):
    """It is refused, and what follows in the same packet is not looked at."""
    with home.session() as s:
        s.send(line + SECOND)
        replies = [r[:9] for r in s.all_replies()]
    assert replies[-1] == "500 5.5.2" and len(replies) <= 2
    assert home.queued() == []


def test_the_rest_of_a_long_line_is_no_command(home):
    """An over-long command line is refused as a whole, wherever the reads cut it."""
    for length in (4080, 4097, 8192, 65530, 65536, 200000):
        with home.session() as s:
            s.send(b"NOOP " + b"x" * length + b"QUIT\r\nNOOP\r\n")
            first, second = s.replies(2)
            assert first[:3] == ("250" if length < 4092 else "500")
            assert second == "250 2.0.0 ok"


def test_long_lines_in_a_message_are_kept(home):
    """A line of a million bytes arrives as it is."""
    line = b"z" * 1000000
    with home.session() as s:
        assert s.mail(b"\r\n" + line + b"\r\n")[:3] == "250"
    assert home.queued()[0][0].endswith(b"\n\n" + line + b"\n")


def test_commands_after_a_message_that_is_too_large(home):
    """They stand in its text, so they are dropped with it; those behind its end are served."""
    home.control(databytes=100)
    with home.session() as s:
        assert s.begin()[:3] == "354"
        s.send(b"x" * 200 + b"\r\n" + SECOND[:-5] + b"\r\n.\r\n" + b"NOOP\r\nQUIT\r\n")
        assert [r[:9] for r in s.all_replies()] == ["552 5.3.4", "250 2.0.0", "221 2.0.0"]
    assert home.queued() == []


def test_random_mixtures(home):
    """All words of up to four line-end parts between two lines: one message, or none at all."""
    parts = [b"\r", b"\n", b".", b"\r\n"]
    for count in (1, 2, 3, 4):
        for word in itertools.product(parts, repeat=count):
            data = b"a" + b"".join(word) + b"b\r\n.\r\n"
            end = data.index(b"\r\n.\r\n")
            bare = b"\r" in (rest := data[:end].replace(b"\r\n", b"")) or b"\n" in rest
            with home.session() as s:
                assert s.begin()[:3] == "354"
                s.send(data)
                assert s.reply()[:3] == ("554" if bare else "250"), data
            assert len(home.queued()) == (0 if bare else 1), data
