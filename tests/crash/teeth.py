#!/usr/bin/python3
"""teeth.py [--seed N] [NAME]...: would the harness notice? Takes one step out of Pennypost at a time, and
tries to lose mail.

Each mutation is built in a copy of this tree, in a folder of its own below /tmp, and goes through the part of
crash.py that should see it. exit 0: each of them lost mail, or delivered it twice; 1: one did not.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import namedtuple
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
# step: what is taken out; file, old, new: how; part: of crash.py; most: CRASH_MOST
Mutation = namedtuple("Mutation", "step file old new part most")
MUTATIONS = {
    "flush": Mutation(
        "every flush", "lib/durable.c",
        "    if (!count)\n        return true;\n", "    if (count < 1000000)\n        return true;\n",
        "power", 8),
    "cut": Mutation(
        "the same, on a device that is cut off", "lib/durable.c",
        "    if (!count)\n        return true;\n", "    if (count < 1000000)\n        return true;\n",
        "--short cut", 0),
    "syncfs": Mutation(
        "the flush of more than 20 files and folders, but for the first 20", "lib/durable.c",
        "result = syncfs(fd);", "result = fd < 0 ? -1 : 0;",
        "power:mess", 60),
    "queued-names": Mutation(
        "qmail-queued flushes files, not names", "qmail-queue/batch.c",
        "collection.files + collection.folders);", "collection.files);",
        "power:mess", 60),
    "taking": Mutation(
        "qmail-queued does not wait until what it takes in is safe in queue/taking",
        "qmail-queue/drop_take.c",
        "if (code == QUEUE_OK && (fsync(taking->fd) < 0 || fsync(take->taking) < 0))",
        "if (code == QUEUE_OK && taking->fd < 0)",
        "power:taking", 60),
    "drop": Mutation(
        "qmail-queue does not wait for the name in queue/drop", "qmail-queue/drop_leave.c",
        "if (fsync(draft->fd) == 0 && syncfs(draft->fd) == 0)", "if (draft->fd >= 0)",
        "power:drop", 60),
    "maildir-data": Mutation(
        "qmail-local does not flush a message before its rename into new/", "qmail-local/maildir_batch.c",
        "if (filled->files[i].fd >= 0)\n            fds[count++]",
        "if (filled->files[i].fd < -1)\n            fds[count++]",
        "power:new", 60),
    "maildir-names": Mutation(
        "qmail-local reports before the name in new/ is safe", "qmail-local/maildir_batch.c",
        "    count += collect_directories(published, fds + count);",
        "    (void)collect_directories(published, fds + count);",
        "power:new", 60),
    "notice": Mutation(
        "qmail-send marks a failed recipient before the notice is accepted", "qmail-send/delivery.c",
        "if (has_success && job->mail->undone &&\n"
        "        !mail_write_done(job->mail, job->first, job->count, RECIPIENT_DONE))",
        "if (job->mail->undone &&\n"
        "        !(mail_write_done(job->mail, job->first, job->count, RECIPIENT_DONE) &&\n"
        "          mail_write_done(job->mail, job->first, job->count, RECIPIENT_FAILED)) && has_success)",
        "power:mess", 120),
    "answer": Mutation(
        "qmail-smtpd says 250 whatever qmail-queued has answered", "qmail-smtpd/smtp_data.c",
        "    smtp_reply_queued(session);",
        "    session->receipt.code = 0;\n    smtp_reply_queued(session);",
        "fail:qmail-smtpd", 40),
    "mbox": Mutation(
        "qmail-local puts a message right behind one that was cut off", "qmail-local/mbox.c",
        "mbox_put_separator(&out, fd, size) && put(", "size >= 0 && put(",
        "kill:qmail-local-mbox", 0),
    "maildir-name": Mutation(
        "each try of a delivery has a name of its own in the Maildir", "qmail-local/maildir.c",
        "    if (job->id) {\n", "    if (job->id && getpid() < 0) {\n",
        "--short twice", 0),
}
RESULT = re.compile(
    r"^(?:ok    |FAILED) [a-z]+: (\d+) cases, (\d+) messages accepted, (\d+) lost, (\d+) twice", re.M)


def copy_tree(place):
    """The sources, and what was built of them; make sees by the times what is to be done again."""
    shutil.copytree(TOP, place, symlinks=True, ignore=shutil.ignore_patterns(".git", "unit", "fuzz", "san"))


def mutate(place, mutation):
    path = place / mutation.file
    text = path.read_text()
    if text.count(mutation.old) != 1:
        sys.exit(f"teeth.py: {mutation.file} has changed: adapt the mutation of it\n{mutation.old}")
    path.write_text(text.replace(mutation.old, mutation.new))


def bite(place, mutation, seed):
    """Build the mutant, try to lose its mail. returns cases, accepted, lost, twice; None: it did not run"""
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8", "errors": "replace"}
    built = subprocess.run(["make", "-s", "-C", place, "all"], check=False, **quiet)
    if built.returncode:
        print(built.stdout)
        return None
    tried = subprocess.run(
        ["make", "-s", "-C", place, "crash", f"CRASH=--seed {seed} {mutation.part}"], check=False, **quiet,
        env=dict(os.environ, CRASH_MOST=str(mutation.most), RESULTS=""))
    found = RESULT.findall(tried.stdout)
    if not found:
        print(tried.stdout[-3000:])
        return None
    return tuple(map(int, found[-1]))


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    wrong = set(options.names) - set(MUTATIONS)
    if wrong:
        parser.error(f"no {', '.join(sorted(wrong))}; there are {', '.join(MUTATIONS)}")
    toothless = []
    print("| taken out | part | cases | accepted | lost | twice |\n|---|---|---|---|---|---|", flush=True)
    for name in options.names or MUTATIONS:
        mutation = MUTATIONS[name]
        with tempfile.TemporaryDirectory(prefix="pennypost-teeth-") as folder:
            place = Path(folder) / "tree"
            copy_tree(place)
            mutate(place, mutation)
            figures = bite(place, mutation, options.seed)
        if not figures or not any(figures[2:]):
            toothless.append(name)
        cells = figures or ("not run", "", "", "")
        print(f"| {mutation.step} | {mutation.part} | {' | '.join(map(str, cells))} |", flush=True)
    if toothless:
        sys.exit(f"teeth.py: not noticed: {', '.join(toothless)}")


if __name__ == "__main__":
    main()
