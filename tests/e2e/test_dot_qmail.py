"""qmail-local called by hand: which .qmail file, and what its lines do: dot-qmail(5)."""
import os
import re
import socket

import pytest

from local_program import MESSAGE


# -- which file -----------------------------------------------------------------------------


def test_the_exact_file_then_defaults_from_the_right(local):
    names = ["-a-b-c", "-a-b-default", "-a-default", "-default"]
    for name in names:
        local.write(".qmail" + name, f"|echo {name}\n")
    for name in names:
        assert local.answering("-", "a-b-c") == name
        (local.home / (".qmail" + name)).unlink()
    code, report = local.deliver("-", "a-b-c")
    assert code == 100 and report.endswith("(#5.1.1)\n")


def test_letters_are_lowered_and_dots_become_colons(local):
    local.write(".qmail-a:b", "|echo yes\n")
    assert local.answering("-", "A.b") == "yes"
    local.write(".qmail-x-default", "|echo default $DEFAULT\n")
    assert local.answering("-", "X-Y.Z") == "default Y.Z"


def test_no_ext_reaches_outside_the_home(local):
    (local.home / "in").mkdir()
    local.write("in/.qmail-x", "|echo no\n")
    assert local.answering("-", "x/../../in/.qmail-x") == 100
    assert local.answering("-", "../in/.qmail-x") == 100


@pytest.mark.parametrize("ext, seen", [("a-b", "b"), ("x", "x"), ("a-", ""), ("a-Default", "Default"),
                                       ("default", "default")])
def test_default_is_what_default_stands_for(local, ext, seen):
    local.write(".qmail-default", "|echo =${DEFAULT-unset}\n")
    local.write(".qmail-a-default", "|echo =${DEFAULT-unset}\n")
    assert local.answering("-", ext) == "=" + seen


def test_default_is_unset_for_other_files(local):
    """An inherited DEFAULT is removed."""
    local.write(".qmail-a", "|echo =${DEFAULT-unset}\n")
    assert local.answering("-", "a", env={"DEFAULT": "old"}) == "=unset"


def test_only_regular_files_count(local):
    """A folder, a FIFO, a socket, a dangling or endless link: the search goes on."""
    local.write(".qmail-default", "|echo default\n")
    (local.home / ".qmail-dir").mkdir()
    os.mkfifo(local.home / ".qmail-fifo", 0o666)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(local.home / ".qmail-socket"))
    (local.home / ".qmail-loop").symlink_to(".qmail-loop")
    (local.home / ".qmail-dangling").symlink_to("nothing")
    local.write(".qmail-file", "x@y.example\n")
    for ext in ("dir", "fifo", "socket", "loop", "dangling", "file/x", "n" * 300):
        assert local.answering("-", ext) == "default"
    (local.home / ".qmail-link").symlink_to(".qmail-default")
    assert local.answering("-", "link") == "default"


def test_an_empty_or_missing_file_means_the_default_delivery(local):
    assert local.deliver(default="|echo d1")[1] == "d1\ndid 0+0+1\n"
    local.write(".qmail", "")
    assert local.deliver(default="|echo d2\n./Maildir/\n")[1] == "d2\ndid 1+0+1\n"
    local.write(".qmail-a", "", 0o744)  # the x bit does not matter then
    assert local.deliver("-", "a")[1] == "did 1+0+0\n"
    assert local.deliver(default="")[0] == 111


def test_a_user_without_extension_has_one_file(local):
    """qmail tried .qmaildefault; we do not."""
    local.write(".qmaildefault", "|echo no\n")
    assert local.answering("", "", default="|echo yes") == "yes"


def test_a_dash_without_extension(local):
    local.write(".qmail-default", "|echo =$DEFAULT\n")
    assert local.answering("-", "") == "="
    local.write(".qmail-", "|echo exact\n")
    assert local.answering("-", "") == "exact"


# -- lines ----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["\n./Maildir/\n", "  \t\n./Maildir/\n", "\0./Maildir/\n", " ", "\n"])
def test_a_blank_first_line_is_an_error(local, text):
    local.write(".qmail", text)
    code, report = local.deliver()
    assert code == 111 and report.endswith("(#4.2.1)\n") and not local.files()


@pytest.mark.parametrize("text", ["#\n./Mail\0dir/\n", "#\n|echo\0x\n", "#\n&\n", "#\n&  \n"])
def test_lines_that_mean_nothing_good_are_errors(local, text):
    """qmail cut a line at a NUL, and forwarded to the empty address."""
    local.write(".qmail", text)
    assert local.deliver()[0] == 111


def test_blank_lines_comments_and_plus_words_are_skipped(local):
    local.write(".qmail", "#./Maildir/\n\n  \n+word ./Maildir/\n# \0\n")
    assert local.deliver() == (0, "did 0+0+0\n")


def test_trailing_blanks_are_cut_and_the_last_newline_is_not_needed(local):
    local.write(".qmail", "./Maildir/ \t \n./mbox\t\n|echo 'a '  ")
    assert local.deliver() == (0, "a \ndid 2+0+1\n")
    assert len(local.files()) == 1 and (local.home / "mbox").exists()


def test_cr_is_not_cut(local):
    local.write(".qmail", "./mbox\r\n")
    assert local.deliver()[0] == 0 and (local.home / "mbox\r").exists()


def test_forward_lines(local):
    """With &, without, after blanks, with an odd first byte: raw addresses."""
    local.write(".qmail", "&a@x.example\nb@x.example\n  c@x.example\n!d@x.example\n9@x.example\n"
                "\"e f\"@x.example\n& g@x.example\n")
    code, report = local.deliver()
    assert code == 0 and re.fullmatch(r"did 0\+7\+0\nqp \d+\n", report)
    message, envelope = local.queued()
    assert envelope == ("Fs@r.example|Ta@x.example|Tb@x.example|Tc@x.example|T!d@x.example|"
                        "T9@x.example|T\"e f\"@x.example|Tg@x.example||")
    assert message == b"Delivered-To: alice@me.example\n" + MESSAGE


def test_an_earlier_failure_prevents_forwards(local):
    local.write(".qmail", "&a@x.example\n|exit 111\n")
    assert local.deliver()[0] == 111
    local.write(".qmail", "&a@x.example\n./nowhere/\n")
    assert local.deliver()[0] == 111
    assert not (local.home / "queued.envelope").exists()


def test_99_stops_but_earlier_forwards_happen(local):
    local.write(".qmail", "&a@x.example\n|exit 99\n&b@x.example\n./Maildir/\n\0\n")
    code, report = local.deliver()
    assert code == 0 and report.startswith("did 0+1+1\nqp ")
    assert local.queued()[1] == "Fs@r.example|Ta@x.example||" and not local.files()


@pytest.mark.parametrize("queue, code", [(0, 0), (11, 100), (31, 100), (40, 100), (51, 111), (53, 111),
                                         (71, 111), (91, 111), (120, 111), (1, 111)])
def test_codes_of_the_queue(local, queue, code):
    local.write(".qmail", "&a@x.example\n")
    local.write("queue.code", str(queue))
    got, report = local.deliver()
    assert got == code and (code == 0 or re.search(r"unable to forward: .*\(#[45]\.\d\.\d\)\n$", report))


@pytest.mark.parametrize("letter, code", [("D", 100), ("Z", 111)])
def test_a_queue_program_with_its_own_words(local, letter, code):
    local.write(".qmail", "&a@x.example\n")
    local.write("queue.code", "82")
    local.write("queue.text", letter + "no viruses (#5.7.1)")
    got, report = local.deliver()
    assert got == code and "no viruses (#5.7.1)" in report


@pytest.mark.parametrize("code, want", [
    (0, 0), (99, 0), (100, 100), (64, 100), (65, 100), (70, 100), (76, 100), (77, 100), (78, 100),
    (112, 100), (111, 111), (71, 111), (74, 111), (75, 111), (1, 111), (2, 111), (101, 111), (127, 111)])
def test_exit_codes_of_programs(local, code, want):
    local.write(".qmail", f"|echo because; exit {code}\n")
    got, report = local.deliver()
    assert got == want and report.startswith("because\n")


def test_a_program_that_crashes_is_temporary(local):
    local.write(".qmail", "|kill -9 $$\n")
    code, report = local.deliver()
    assert code == 111 and report.endswith("(#4.3.0)\n")


def test_each_program_gets_the_whole_message(local):
    """From its start, without lines on top, in the home, by /bin/sh."""
    local.write(".qmail", "|cat >one; pwd >where\n|cat >two; echo $0 >shell\n")
    assert local.deliver() == (0, "did 0+0+2\n")
    assert (local.home / "one").read_bytes() == (local.home / "two").read_bytes() == MESSAGE
    assert (local.home / "where").read_text() == f"{local.home}\n"
    assert (local.home / "shell").read_text() == "sh\n"


# -- owner and VERP -------------------------------------------------------------------------


@pytest.mark.parametrize("files, sender, want", [
    ([], "s@r.example", "s@r.example"),
    (["-owner"], "s@r.example", "alice-list-owner@me.example"),
    (["-owner", "-owner-default"], "s@r.example", "alice-list-owner-@me.example-@[]"),
    (["-owner-default"], "s@r.example", "s@r.example"),
    (["-owner", "-owner-default"], "", ""),
    (["-owner", "-owner-default"], "#@[]", "#@[]")])
def test_the_owner_file_gives_the_sender(local, files, sender, want):
    local.write(".qmail-list", "|echo $NEWSENDER >new\n&a@x.example\n")
    for name in files:
        local.write(".qmail-list" + name, "")
    assert local.deliver("-", "list", sender=sender)[0] == 0
    assert local.queued()[1] == f"F{want}|Ta@x.example||"
    assert (local.home / "new").read_text() == want + "\n"


def test_owner_files_go_by_the_full_extension(local):
    """Not by what -default matched, and without a dash .qmail-owner."""
    local.write(".qmail-default", "&a@x.example\n")
    local.write(".qmail-default-owner", "")
    assert local.deliver("-", "list")[0] == 0
    assert local.queued()[1].startswith("Fs@r.example|")
    local.write(".qmail-list-owner", "")
    assert local.deliver("-", "LIST")[0] == 0
    assert local.queued()[1].startswith("Falice-LIST-owner@me.example|")
    local.write(".qmail", "&a@x.example\n")
    local.write(".qmail-owner", "")
    assert local.deliver()[0] == 0
    assert local.queued()[1].startswith("Falice-owner@me.example|")
