"""Pennypost as the growth benchmark needs it: started and stopped with the queue it has, looked
at process by process. `make bench-scale` and tests/e2e/test_growth.py use it."""
import glob
import os
import pwd
import re
import shutil
import subprocess
import time

import load
from instance import wait_for
from processes import name_of
from servers import DOMAIN, USER, Pennypost

DEAD = "dead.test"  # its relay refuses every connection
DEAD_PORT = 1
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FILL_QUEUE = os.path.join(SOURCE, "build/bench/fill-queue")
LOCAL = f"{USER}@{DOMAIN}"


def fill_queue(home, count, is_due, size=1024, recipient=f"somebody@{DEAD}"):
    """Write count messages, for the dead destination, into the queue of a stopped instance."""
    owner = {}
    if os.geteuid() == 0:
        entry = pwd.getpwnam("qmailq")
        owner = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    # qmailq may not be able to enter the folder of the source, as /root/pennypost.
    program = shutil.copy(FILL_QUEUE, f"{home}/fill-queue")
    subprocess.run([program, str(count), "0" if is_due else "86400", recipient,
                    str(size)], check=True, env={"QMAILHOME": str(home)}, **owner)
    os.unlink(program)


def queue_stat(home):
    """(messages, those not yet looked at, seconds that qmail-qstat took)"""
    start = time.monotonic()
    done = subprocess.run([f"{home}/bin/qmail-qstat"], check=True, text=True, timeout=120,
                          stdout=subprocess.PIPE, env={"QMAILHOME": str(home)})
    numbers = re.findall(r": (\d+)", done.stdout)
    return int(numbers[0]), int(numbers[1]), time.monotonic() - start


class Growing(Pennypost):
    """Can be stopped, its queue filled, and started again."""
    group = "growth"  # the name of its cgroup

    def __init__(self, base):
        super().__init__(base)
        with open(self.folder + "/control/smtproutes", "a", encoding="ascii") as file:
            file.write(f"{DEAD}:127.0.0.1:{DEAD_PORT}\n")
        self.set("maxrecipients", 200000)
        self.set("concurrencyincoming", 1200)
        self.stop()
        self.launch()

    def set(self, name, value):
        with open(f"{self.folder}/control/{name}", "w", encoding="ascii") as file:
            file.write(f"{value}\n")

    def pids_of(self, name):
        return [pid for pid in self.cgroup.pids() if name_of(pid) == name]

    def sender(self):
        """The pid of qmail-send."""
        return self.pids_of("qmail-send")[0]

    def stop(self):
        """Stop everything; the cgroup is gone until launch()."""
        self.cgroup.kill()

    def launch(self):
        """Start with the queue there is. Returns the seconds until qmail-send is ready."""
        os.makedirs(self.cgroup.path, exist_ok=True)
        for stale in glob.glob(self.folder + "/service/**/supervise", recursive=True):
            shutil.rmtree(stale)
        start = time.monotonic()
        self.cgroup.run(f"setsid s6-svscan {self.folder}/service </dev/null "
                        f">{self.folder}/svscan.log 2>&1 &",
                        env=dict(os.environ, QMAILHOME=self.folder))
        service = f"{self.folder}/service/qmail-send"
        wait_for(lambda: os.path.exists(service + "/supervise/status"), "supervision", 120)
        subprocess.run(["s6-svwait", "-U", "-t", "60000", service], check=True)
        ready_s = time.monotonic() - start
        load.wait_for_port(self.port)
        return ready_s

    def deliver(self, box, count):
        """Medians in ms, connect to 250 and connect to Maildir, of new messages."""
        return load.latency(self.port, LOCAL, box, count)

    def wait_scanned(self, count, limit_s=900):
        """Wait until qmail-send knows count messages and has looked at each; returns the times
        that qmail-qstat took meanwhile."""
        took = []

        def is_scanned():
            known, unseen, seconds = queue_stat(self.folder)
            took.append(seconds)
            return known >= count and unseen == 0
        wait_for(is_scanned, "the scan", limit_s, 0.1)
        return took

    def maildir_box(self):
        return load.Maildir(self.maildir, self.uid, self.gid)
