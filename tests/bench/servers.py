"""The servers that are compared. Each keeps everything in one folder on the benchmark's file
system, delivers for USER@DOMAIN into a Maildir and sends the rest to a sink on loopback."""
import atexit
import os
import pwd
import shutil
import subprocess

from machine import Cgroup
from load import wait_for_port

HERE = os.path.dirname(os.path.abspath(__file__))
USER, DOMAIN, REMOTE = "pennybench", "local.test", "remote.test"
SINK_PORT = 2600


def make_user(base):
    """The account whose Maildir receives the mail, removed at the end if it is made here; returns
    (home, uid, gid)."""
    home = base + "/home"
    try:
        entry = pwd.getpwnam(USER)
    except KeyError:
        subprocess.run(["useradd", "-r", "-U", "-d", home, "-s", "/bin/sh", USER], check=True)
        atexit.register(subprocess.run, ["userdel", USER], check=False, stderr=subprocess.DEVNULL)
        entry = pwd.getpwnam(USER)
    os.makedirs(home, exist_ok=True)
    os.chown(home, entry.pw_uid, entry.pw_gid)
    os.chmod(home, 0o711)
    return home, entry.pw_uid, entry.pw_gid


class Server:
    """A running server; measure it through its cgroup."""
    name = port = group = None

    def __init__(self, base):
        self.home, self.uid, self.gid = make_user(base)
        self.maildir = self.home + "/Maildir"
        self.folder = f"{base}/{self.name}"
        shutil.rmtree(self.folder, ignore_errors=True)
        os.mkdir(self.folder, 0o755)
        self.cgroup = Cgroup(self.group or self.name)
        self.start(base)
        wait_for_port(self.port)

    def start(self, base):
        raise NotImplementedError

    def stop(self):
        self.cgroup.kill()


class Pennypost(Server):
    """By the driver that outside harnesses use too: one description of how to start it."""
    name, port = "pennypost", 2601

    def start(self, base):
        environment = dict(os.environ, BENCH_DIR=base, PORT=str(self.port), DOMAIN=DOMAIN,
                           MAILUSER=USER, MAILDIR=self.maildir, SINK_PORT=str(SINK_PORT))
        self.cgroup.run(f"bash -eu {HERE}/driver", env=environment)


class Postfix(Server):
    """Debian's Postfix with its default durability (fsync on), and nothing that slows it down. The
    settings of the second half all favour it; tests/bench/README.md lists them."""
    name, port = "postfix", 2602
    settings = {
        "compatibility_level": "3.6",
        "myhostname": "mta.test",
        "mydestination": "",
        "alias_maps": "",
        "inet_interfaces": "127.0.0.1",
        "inet_protocols": "ipv4",
        "mynetworks": "127.0.0.0/8",
        "virtual_mailbox_domains": DOMAIN,
        "virtual_mailbox_base": "/",
        "relayhost": f"[127.0.0.1]:{SINK_PORT}",
        "smtp_dns_support_level": "disabled",
        "smtp_tls_security_level": "none",
        "smtpd_recipient_limit": "10000",
        "smtpd_client_connection_count_limit": "0",
        # in its favour
        "smtpd_peername_lookup": "no",
        "default_process_limit": "200",
        "default_destination_concurrency_limit": "50",
        "initial_destination_concurrency": "20",
        "in_flow_delay": "0",
        "max_use": "1000",
    }

    @staticmethod
    def version():
        return subprocess.run(["postconf", "-d", "-h", "mail_version"], check=True,
                              capture_output=True, text=True).stdout.strip()

    def start(self, base):
        etc = self.folder + "/etc"
        for name in ("etc", "queue", "data"):
            os.mkdir(f"{self.folder}/{name}")
        shutil.chown(self.folder + "/data", "postfix")
        for name in ("dynamicmaps.cf", "postfix-files", "postfix-script", "post-install"):
            shutil.copy(f"/etc/postfix/{name}", etc)
        shutil.copytree("/etc/postfix/dynamicmaps.cf.d", etc + "/dynamicmaps.cf.d")
        self.write_master(etc + "/master.cf")
        own = {
            "queue_directory": self.folder + "/queue",
            "data_directory": self.folder + "/data",
            "maillog_file": self.folder + "/maillog",
            "maillog_file_prefixes": self.folder,
            "virtual_mailbox_maps": f"static:{self.maildir}/",
            "virtual_uid_maps": f"static:{self.uid}",
            "virtual_gid_maps": f"static:{self.gid}",
        }
        with open(etc + "/main.cf", "w", encoding="ascii") as file:
            for key, value in {**self.settings, **own}.items():
                file.write(f"{key} = {value}\n")
        self.cgroup.run(f"postfix -c {etc} start", stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL)

    def write_master(self, path):
        """Debian's master.cf: SMTP on our port, and nothing chrooted (the fifth column)."""
        with open("/usr/share/postfix/master.cf.dist", encoding="ascii") as file:
            lines = file.read().splitlines()
        with open(path, "w", encoding="ascii") as file:
            for line in lines:
                words = line.split()
                if len(words) >= 8 and not line.startswith(("#", " ")):
                    if words[:2] == ["smtp", "inet"]:
                        words[0] = f"127.0.0.1:{self.port}"
                    words[4] = "n"
                    line = " ".join(words)
                file.write(line + "\n")
