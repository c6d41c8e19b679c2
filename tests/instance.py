"""Whole instances of Pennypost for tests: e2e/conftest.py makes fixtures of them, crash/ breaks them.

Everything runs inside one `unshare -n -m`: lo is ours, ports 25 and 53 are free.
"""
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]
SAN = os.environ.get("SAN", "")
PATIENCE = 60 if not SAN else 180  # seconds to wait for an event; never a measure of speed
SERVICES = ("qmail-queued", "qmail-send", "qmail-smtpd")
USERS = {"alice": 5001, "bob": 5002, "carol": 5003}
SINGLE_UID = 4242
# The kernel puts these, down, into every new network when their modules are loaded.
TUNNELS = set("tunl0 gre0 gretap0 erspan0 sit0 ip6tnl0 ip6gre0 ip_vti0 ip6_vti0".split())


class NotPossible(Exception):
    """This machine cannot run it; the text says in one sentence what is missing."""


def comes_true(condition, patience=None, pause=0.02):
    """Call condition until it gives something true, or the time is over; returns what it gave last."""
    deadline = time.monotonic() + (PATIENCE if patience is None else patience)
    while True:
        result = condition()
        if result or time.monotonic() > deadline:
            return result
        time.sleep(pause)


def wait_for(condition, what="event", patience=None, pause=0.02):
    """The same, but the condition must come true. what: a text, or a function."""
    result = comes_true(condition, patience, pause)
    if not result:
        raise AssertionError(f"waited in vain for {what() if callable(what) else what}")
    return result


def run(*argv, check=True, **options):
    """Run a program, return the CompletedProcess with text output."""
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("stderr", subprocess.PIPE)
    options.setdefault("timeout", PATIENCE)
    options.setdefault("text", True)
    done = subprocess.run([str(a) for a in argv], **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{argv} exited {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def public_folder(prefix):
    """A new folder that every account may enter."""
    path = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
    path.chmod(0o755)
    return path


def remove_tree(path):
    shutil.rmtree(path, ignore_errors=True)


class Instance:
    """One home with its services. Attributes: home, ip, port, host, env."""

    def __init__(self, programs, host="me.example", ip="127.0.0.1", port=25, uid=0, users=USERS,
                 folder=None):
        self.folder = folder or public_folder("pennypost-")
        self.home = self.folder / "home"
        self.programs, self.host, self.ip, self.port, self.uid = programs, host, ip, port, uid
        self.env = dict(os.environ, QMAILHOME=str(self.home))
        if SAN:
            self.env["ASAN_OPTIONS"] = "detect_leaks=0:abort_on_error=1"
        self.scanner = None
        self.killed = {}  # pid: name, until wait_ready()
        self.users = {}
        if self.home.exists():  # somebody's folder, that was an instance before
            self.users = {name: (number, number, self.folder / "users" / name)
                          for name, number in users.items()}
            return
        self.folder.mkdir(mode=0o755, exist_ok=True)
        if uid:
            os.chown(self.folder, uid, uid)
        self.run(programs / "bin/qmail-setup", "--home", self.home, "--host", host, "--ip", ip,
                 "--port", port, "--quiet")
        if SAN:  # address space limits and sanitizers do not go together
            for service in SERVICES:
                self.write(f"service/{service}/env/MEMORY", "=\n")
        if users and not uid:
            for name, number in users.items():
                self.add_user(name, number)
            self.compile_users()

    # -- files ------------------------------------------------------------------------------

    def write(self, name, text):
        """Write a file below the home as its owner; name may have folders."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if self.uid:
            os.chown(path, self.uid, self.uid)
        return path

    def control(self, name, text=None):
        """Write control/name (a newline is added); None removes it. Call reload() afterwards."""
        if text is None:
            (self.home / "control" / name).unlink(missing_ok=True)
        else:
            self.write(f"control/{name}", text if text.endswith("\n") or not text else text + "\n")

    def add_user(self, name, uid, gid=None):
        """Make user name with a home folder and ~/Maildir; compile_users() makes it known."""
        home = self.folder / "users" / name
        for part in ("new", "cur", "tmp"):
            (home / "Maildir" / part).mkdir(parents=True)
        for path in [home, *home.rglob("*")]:
            os.chown(path, uid, gid or uid)
        self.users[name] = (uid, gid or uid, home)

    def compile_users(self, more=()):
        """Write users/assign (name and name-ext for each user, then the lines of more), run qmail-newu."""
        lines = []
        for name, (uid, gid, home) in self.users.items():
            lines.append(f"={name}:{name}:{uid}:{gid}:{home}:::")
            lines.append(f"+{name}-:{name}:{uid}:{gid}:{home}:-::")
        self.write("users/assign", "\n".join([*lines, *more, "."]) + "\n")
        self.run(self.home / "bin/qmail-newu")

    def dot_qmail(self, user, text, ext=""):
        """Write ~user/.qmail, or ~user/.qmail-EXT; user "alias" is the home's alias folder."""
        if user == "alias":
            folder, uid, gid = self.home / "alias", 0, 0
        else:
            uid, gid, folder = self.users[user]
        path = folder / (f".qmail-{ext}" if ext else ".qmail")
        path.write_text(text if text.endswith("\n") else text + "\n")
        path.chmod(0o644)
        os.chown(path, uid, gid)
        return path

    def user_home(self, user):
        return self.home / "alias" if user == "alias" else self.users[user][2]

    def maildir(self, user="alice", name="Maildir"):
        """The messages (bytes) in new/ and cur/ of a user's Maildir, oldest first."""
        box = self.user_home(user) / name
        files = [f for part in ("cur", "new") for f in (box / part).iterdir() if f.is_file()]
        return [f.read_bytes() for f in sorted(files, key=lambda f: (f.stat().st_mtime_ns, f.name))]

    def wait_mail(self, user="alice", count=1, name="Maildir"):
        """Wait until the Maildir holds at least count messages, and return them."""
        def enough():
            mails = self.maildir(user, name)
            return mails if len(mails) >= count else None
        return wait_for(enough, lambda: f"{count} messages for {user}\n{self.tail()}")

    # -- processes --------------------------------------------------------------------------

    def run(self, *argv, **options):
        """Run a program with this instance's QMAILHOME, as the owner of a single-user instance."""
        options.setdefault("env", self.env)
        options.setdefault("cwd", "/")
        if self.uid:
            options.setdefault("user", self.uid)
            options.setdefault("group", self.uid)
            options.setdefault("extra_groups", [])
        return run(*argv, **options)

    def bin(self, name, *argv, **options):
        """Run a program of bin/."""
        return self.run(self.home / "bin" / name, *argv, **options)

    def qmailctl(self, *argv, **options):
        return self.bin("qmailctl", *argv, **options)

    def start(self, is_ready=True):
        """Start s6-svscan, and wait until every service is ready if is_ready."""
        ids = dict(user=self.uid, group=self.uid, extra_groups=[]) if self.uid else {}
        with open(self.folder / "s6-svscan.log", "ab") as log:
            self.scanner = subprocess.Popen(
                ["s6-svscan", str(self.home / "service")], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True, env=self.env, cwd="/", **ids)
        if is_ready:
            self.wait_ready()
        return self

    def wait_replaced(self):
        """Wait until s6 has seen the end of what was killed, and has started all of it again."""
        def rest():
            supervised = [self.run("s6-svstat", "-o", "pid", self.home / "service" / service,
                                   check=False).stdout.strip() for service in SERVICES]
            # on a full disk what s6-svstat reads is never written, so a successor counts, too
            return [pid for pid, name in self.killed.items() if pid in self.processes(name)
                    or str(pid) in supervised and not set(self.processes(name)) - set(self.killed)]
        wait_for(lambda: not rest(), "the end of what was killed")
        for name in {"qmail-lspawn", "qmail-rspawn"} & set(self.killed.values()):
            wait_for(lambda: self.processes(name), name)  # qmail-send ends by itself without it
        self.killed.clear()

    def wait_ready(self, *services):
        """Wait until these services (all) are ready; what was killed does not count as such."""
        if self.killed:
            self.wait_replaced()
        for service in services or SERVICES:
            folder = self.home / "service" / service
            wait_for(lambda: self.run("s6-svstat", folder, check=False).returncode == 0,
                     f"supervision of {service}")
            done = self.run("s6-svwait", "-U", "-t", PATIENCE * 1000, folder, check=False,
                            timeout=PATIENCE + 10)
            assert done.returncode == 0, f"{service} is not ready\n{self.tail()}"

    def stop(self):
        """End everything of this instance, for good."""
        if self.scanner and self.scanner.poll() is None:
            run("s6-svscanctl", "-t", self.home / "service", check=False)
            try:
                self.scanner.wait(15)
            except subprocess.TimeoutExpired:
                pass
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.scanner:
            self.scanner.wait(PATIENCE)
            self.scanner = None

    def tell_sender(self, number):
        """Send a signal to qmail-send, and wait until it has obeyed."""
        self.kill("qmail-send", number)
        self.bin("qmail-qstat")  # it looks at signals before it answers

    def reload(self):
        """Have qmail-send read its control files again."""
        self.tell_sender(signal.SIGHUP)

    def doqueue(self):
        """Have qmail-send try everything."""
        self.tell_sender(signal.SIGALRM)

    def restart(self, *services):
        """Restart services (all), and wait until they are ready again."""
        for service in services or SERVICES:
            self.run("s6-svc", "-r", "-wR", "-T", PATIENCE * 1000, self.home / "service" / service,
                     timeout=PATIENCE + 10)

    def processes(self, name=None):
        """Process ids of this instance (by their QMAILHOME or s6 folder), or those called name."""
        found = []
        marks = (f"QMAILHOME={self.home}\0".encode(), f"{self.home}/service".encode())
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                if name and (entry / "comm").read_text().strip() != name[:15]:
                    continue
                text = (entry / "environ").read_bytes() + b"\0" + (entry / "cmdline").read_bytes()
            except (OSError, ProcessLookupError):
                continue
            if any(mark in text for mark in marks):
                found.append(int(entry.name))
        return found

    def kill(self, name, number=signal.SIGKILL):
        """Send a signal to every process of this instance called name; returns how many."""
        pids = self.processes(name)
        if number == signal.SIGKILL:
            self.killed.update(dict.fromkeys(pids, name))
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        return len(pids)

    # -- mail -------------------------------------------------------------------------------

    def swaks(self, *argv, to="alice@{host}", sender="sender@remote.example", check=True):
        """Send with swaks; more options as further arguments. returns the CompletedProcess"""
        return run("swaks", "--server", self.ip, "--port", self.port, "--helo", "client.example",
                   "--from", sender, "--to", to.format(host=self.host), "--timeout", PATIENCE, *argv,
                   check=check, timeout=PATIENCE * 2)

    def inject(self, message, sender, *recipients, check=True):
        """Queue a message (bytes) with bin/qmail-queue; returns the exit code."""
        envelope = b"F" + sender.encode() + b"\0"
        envelope += b"".join(b"T" + r.encode() + b"\0" for r in recipients) + b"\0"
        reader, writer = os.pipe()
        with tempfile.TemporaryFile() as file:
            file.write(message)
            file.seek(0)
            # stdout is what the program reads its envelope from
            child = subprocess.Popen([str(self.home / "bin/qmail-queue")], stdin=file,
                                     stdout=reader, env=self.env)
        os.close(reader)
        try:
            with os.fdopen(writer, "wb") as pipe:
                pipe.write(envelope)
        except BrokenPipeError:  # it has found a reason to end before
            pass
        code = child.wait(PATIENCE)
        assert not check or code == 0, f"qmail-queue exited {code}"
        return code

    def log(self, service="qmail-send", stamps=False):
        """The lines that a service has logged so far (old files included), without time stamps."""
        folder = self.home / "log" / service
        files = sorted(folder.glob("@*")) + [folder / "current"]
        text = "".join(f.read_text(errors="surrogateescape") for f in files if f.exists())
        return [line if stamps else line.partition(" ")[2] for line in text.splitlines()]

    def wait_log(self, word, service="qmail-send", count=1):
        """Wait for count log lines that contain word, and return them."""
        def enough():
            lines = [line for line in self.log(service) if word in line]
            return lines if len(lines) >= count else None
        return wait_for(enough, lambda: f"{word!r} in the log of {service}\n{self.tail()}")

    def tail(self):
        """The end of every log, for failure messages."""
        parts = [(self.folder / "s6-svscan.log")] + [
            self.home / "log" / s / "current" for s in SERVICES]
        return "\n".join(f"== {p}\n" + "\n".join(p.read_text(errors="replace").splitlines()[-25:])
                         for p in parts if p.exists())

    def queue_files(self):
        """Paths of all messages in the queue."""
        return [p for p in (self.home / "queue/mess").rglob("*") if p.is_file()]

    def wait_empty(self):
        """Wait until the queue holds nothing."""
        wait_for(lambda: not self.queue_files(), lambda: f"an empty queue\n{self.tail()}")

    wait_for = staticmethod(wait_for)


def install_programs():
    """A new folder with bin/, man/ and share/, as `make install` makes it."""
    folder = public_folder("pennypost-programs-")
    run("make", "-s", "-C", SOURCE, "install", f"QMAILHOME={folder}", timeout=600)
    return folder


def require_own_network():
    """returns why whole instances cannot run here, or None"""
    if os.geteuid() != 0:
        return "not root"
    with open("/proc/net/dev", encoding="ascii") as devices:
        names = [line.split(":")[0].strip() for line in devices if ":" in line]
    return None if set(names) <= {"lo"} | TUNNELS else "not in a network of its own"
