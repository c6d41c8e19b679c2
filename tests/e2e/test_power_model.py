"""What part "power" of tests/crash makes of a trace: nothing counts as flushed that may not be."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "crash"))
from journal import Journal  # noqa: E402

HOME = "/home/mail"
NAME = HOME + "/queue/mess/1/7"
FOLDER = HOME + "/queue/mess/1"


def hexed(text):
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


def one(name):
    return f"{{aio_data=0, aio_lio_opcode=IOCB_CMD_FSYNC, aio_fildes=5<{hexed(name)}>}}"


def answers(*results):
    found = ", ".join(f"{{data=0, obj=0x7ffe, res={result}, res2=0}}" for result in results)
    return f"io_getevents(0x7f00, 2, 2, [{found}], NULL) = {len(results)}"


CREATE = (f'openat(AT_FDCWD<{hexed(HOME)}>, "{hexed(NAME)}", O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0600) = '
          f'5<{hexed(NAME)}>')
WRITE = f'write(5<{hexed(NAME)}>, "{hexed("text")}", 4) = 4'
SUBMIT = f"io_submit(0x7f00, 2, [{one(NAME)}, {one(FOLDER)}]) = 2"
SUBMIT_ONE = f"io_submit(0x7f00, 2, [{one(NAME)}, {one(FOLDER)}]) = 1"
DESTROY = "io_destroy(0x7f00) = 0"
FSYNC, FSYNC_FOLDER = (f"fsync(5<{hexed(path)}>) = 0" for path in (NAME, FOLDER))
SYNCFS = f"syncfs(5<{hexed(NAME)}>) = 0"
SYNCFS_FAILED = f"syncfs(5<{hexed(NAME)}>) = -1 EIO (Input/output error)"
SYNCFS_ELSEWHERE = f"syncfs(5<{hexed('/var/log/x')}>) = 0"


def flushed_by(calls):
    """Of a file that was made and written: how many of the two changes are on the disk after these."""
    lines = [f"77 {number}.5 {call}" for number, call in enumerate([CREATE, WRITE, *calls])]
    journal = Journal(lines, HOME, [HOME + "/queue"])
    assert len(journal.changes) == 2
    return sum(change.durable_at is not None for change in journal.changes)


@pytest.mark.parametrize("calls, flushed", [
    ([SUBMIT, answers(0, 0)], 2),
    ([SUBMIT], 0),
    ([SUBMIT, answers(0)], 0),
    ([SUBMIT, answers(0), answers(0)], 2),
    ([SUBMIT, answers(0, -5)], 0),
    ([SUBMIT, answers(-5), answers(0)], 0),
    ([SUBMIT_ONE, answers(0)], 1),
    ([SUBMIT, DESTROY, SUBMIT_ONE, answers(0)], 1),
    ([SUBMIT, answers(0, -5), SUBMIT_ONE, answers(0)], 1),
])
def test_requests_count_when_all_answers_are_there_and_good(calls, flushed):
    """Of a file that was made and written, and its folder: how many changes are on the disk."""
    assert flushed_by(calls) == flushed


@pytest.mark.parametrize("calls, flushed", [
    ([FSYNC], 1), ([FSYNC_FOLDER], 1), ([FSYNC, FSYNC_FOLDER], 2),
    ([SYNCFS], 2), ([SYNCFS_FAILED], 0), ([SYNCFS_ELSEWHERE], 0)])
def test_an_fsync_covers_a_file_or_a_folder_and_syncfs_all(calls, flushed):
    """An fsync of the file does not cover its name; what failed covers nothing."""
    assert flushed_by(calls) == flushed
