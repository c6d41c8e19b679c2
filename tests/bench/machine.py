"""What the benchmarks need of the machine: cgroups that count CPU time, a journalled file
system, memory figures from /proc."""
import contextlib
import errno
import fcntl
import glob
import os
import platform
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from instance import NotPossible  # noqa: E402
from loop_disk import LoopDisk, NoLoopDevice  # noqa: E402
from processes import memory_of, name_of, private_bytes  # noqa: E402


def mounts():
    """[(device, mount point, type, options)]"""
    with open("/proc/mounts", encoding="utf-8") as file:
        return [line.split()[:4] for line in file]


def cgroup_root():
    """(folder, is it version 1) of the hierarchy that counts CPU time, or (None, False)."""
    found = mounts()
    for _, point, kind, options in found:
        if kind == "cgroup" and "cpuacct" in options.split(","):
            return point, True
    for _, point, kind, _ in found:
        if kind == "cgroup2":
            return point, False
    return None, False


def reserve(folder):
    """Keep the folder for this process, as long as it lives."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)  # never closed
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise NotPossible(f"another benchmark uses {folder}; --dir chooses another") from None


def require(folder, size_mb, always_loop=False):
    """Raise NotPossible unless servers can be measured below folder."""
    if os.geteuid() != 0:
        raise NotPossible("must be root (cgroups, accounts, mount)")
    try:
        group = Cgroup("check")
        group.run("true")
        group.kill()
    except (OSError, TypeError, subprocess.SubprocessError) as error:
        raise NotPossible(f"needs a cgroup hierarchy that root may write to: {error}") from None
    os.makedirs(folder, exist_ok=True)
    reserve(folder)
    room = os.statvfs(folder)
    if room.f_bavail * room.f_frsize < size_mb << 20:
        raise NotPossible(f"needs {size_mb} MB of free space in {folder}; --dir chooses another")
    if always_loop or not has_journal(folder):
        done = subprocess.run(["losetup", "-f"], capture_output=True, text=True, check=False)
        if done.returncode:
            raise NotPossible("needs a loop device for a file system with a journal: "
                              + done.stderr.strip())


def version():
    """What git says of this checkout; "" without git, or outside of a checkout."""
    here = os.path.dirname(os.path.abspath(__file__))
    try:
        return subprocess.run(["git", "-C", here, "describe", "--always", "--dirty", "--tags"],
                              capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:
        return ""


def about(**more):
    """What a reader of the figures wants to know of the machine."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = re.search(r"^model name\s*: (.*)", file.read(), re.M)
    with open("/proc/meminfo", encoding="ascii") as file:
        memory = int(re.search(r"MemTotal:\s+(\d+)", file.read())[1])
    return {"time": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "kernel": platform.release(), "cpus": os.cpu_count(),
            "cpu": model[1] if model else platform.machine(),
            "memory_gb": round(memory / 1e6), "pennypost": version() or "not from git", **more}


class KernelWorkers:
    """The CPU time of the kernel's worker threads, which is counted for nobody: writing back, loop devices,
    the fsyncs of io_submit. Everybody's, so nothing else must go on."""

    def __init__(self):
        self.before = self.times()

    def times(self):
        """{thread: nanoseconds}"""
        times = {}
        for path in glob.glob("/proc/[0-9]*/comm"):
            pid = path.split("/")[2]
            with contextlib.suppress(OSError):
                with open(path, encoding="utf-8", errors="replace") as name:
                    if not name.read().startswith("kworker/"):
                        continue
                with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
                    times[pid] = int(file.read().split()[0])
        return times

    def seconds(self):
        """Since this object was made; of those that are still there."""
        return sum(time - self.before.get(pid, 0) for pid, time in self.times().items()) / 1e9


class Cgroup:
    """A group of processes: one server with everything it ever starts."""

    def __init__(self, name):
        root, self.is_v1 = cgroup_root()
        self.path = f"{root}/pennypost-bench-{name}-{os.getpid()}"
        if root is None:
            raise OSError(errno.ENOENT, "no cgroup file system is mounted")
        os.makedirs(self.path, exist_ok=True)

    def run(self, command, **options):
        """Run a shell command inside the group and wait for it; what it leaves in the background
        stays."""
        script = f"echo $$ >{self.path}/cgroup.procs; exec {command}"
        subprocess.run(["bash", "-euc", script], check=True, stdin=subprocess.DEVNULL, **options)

    def pids(self):
        with open(self.path + "/cgroup.procs", encoding="ascii") as file:
            return [int(pid) for pid in file.read().split()]

    def cpu_seconds(self):
        """CPU time of every process that ever was in the group."""
        if self.is_v1:
            with open(self.path + "/cpuacct.usage", encoding="ascii") as file:
                return int(file.read()) / 1e9
        with open(self.path + "/cpu.stat", encoding="ascii") as file:
            return int(re.search(r"usage_usec (\d+)", file.read())[1]) / 1e6

    def pss_bytes(self):
        """Memory of the living processes; a page shared by n of them counts 1/n in each."""
        return sum(memory_of(pid, "Pss") for pid in self.pids())

    def private_by_name(self):
        """{process name: bytes that no other process shares}, and their sum"""
        sizes = {}
        for pid in self.pids():
            name = name_of(pid)
            sizes[name] = sizes.get(name, 0) + private_bytes(pid)
        return sizes, sum(sizes.values())

    def settle(self, limit_s=30):
        """Wait until the group uses (nearly) no CPU any more."""
        end, last = time.monotonic() + limit_s, self.cpu_seconds()
        while time.monotonic() < end:
            time.sleep(0.2)
            now = self.cpu_seconds()
            if now - last < 0.003:
                return
            last = now

    def kill(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            for _ in range(40):
                pids = self.pids()
                for pid in pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)
                if not pids:
                    os.rmdir(self.path)
                    return
                time.sleep(0.1)
        raise RuntimeError(f"processes left in {self.path}: {self.pids()}")


def mount_of(path):
    """(device, mount point, type) of the file system that holds path."""
    path, best = os.path.realpath(path), ("", "", "")
    for device, point, kind, _ in mounts():
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best[1]):
            best = device, point, kind
    return best


def has_journal(path):
    """Does the file system of path journal its metadata?"""
    device, _, kind = mount_of(path)
    if kind in ("xfs", "btrfs", "jfs"):
        return True
    name = os.path.basename(os.path.realpath(device))
    return kind in ("ext3", "ext4") and bool(glob.glob(f"/proc/fs/jbd2/{name}-*"))


def loop_disk(path, size_mb, more=()):
    try:
        return LoopDisk(path, size_mb, more=more)
    except NoLoopDevice as error:
        raise NotPossible(f"needs a loop device for a file system with a journal: {error}") from None


def journalled_directory(path, size_mb=6144):
    """Make path a directory on a journalled file system: an ext4 in a loop-mounted file, where
    its own has no journal. Returns (what it is, a function that undoes it)."""
    os.makedirs(path, exist_ok=True)
    if has_journal(path):
        return mount_of(path)[2], lambda: None
    return "ext4 in a loop-mounted file", loop_disk(path, size_mb).close
