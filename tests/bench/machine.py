"""What the benchmark needs of the machine: cgroups that count CPU time, a journalled file
system, memory figures from /proc."""
import errno
import fcntl
import glob
import os
import re
import signal
import struct
import subprocess
import time

EXT4_IOC_CHECKPOINT = 0x4004662B  # <linux/ext4.h>, 5.14
CPUACCT = "/sys/fs/cgroup/cpuacct"  # cgroup v1; else v2
CGROUP_ROOT = CPUACCT if os.path.exists(CPUACCT) else "/sys/fs/cgroup"


class Cgroup:
    """A group of processes: one server with everything it ever starts."""

    def __init__(self, name):
        self.path = f"{CGROUP_ROOT}/pennypost-bench-{name}"
        os.makedirs(self.path, exist_ok=True)

    def run(self, command, **options):
        """Run a shell command inside the group and wait for it; what it leaves in the background stays."""
        script = f"echo $$ >{self.path}/cgroup.procs; exec {command}"
        subprocess.run(["bash", "-euc", script], check=True, stdin=subprocess.DEVNULL, **options)

    def pids(self):
        with open(self.path + "/cgroup.procs", encoding="ascii") as file:
            return [int(pid) for pid in file.read().split()]

    def cpu_seconds(self):
        """CPU time of every process that ever was in the group."""
        if CGROUP_ROOT == CPUACCT:
            with open(self.path + "/cpuacct.usage", encoding="ascii") as file:
                return int(file.read()) / 1e9
        with open(self.path + "/cpu.stat", encoding="ascii") as file:
            return int(re.search(r"usage_usec (\d+)", file.read())[1]) / 1e6

    def pss_bytes(self):
        """Memory of the living processes; a page shared by n of them counts 1/n in each."""
        return sum(memory_of(pid, "Pss") for pid in self.pids())

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
                    try:
                        os.kill(pid, number)
                    except ProcessLookupError:
                        pass
                if not pids:
                    os.rmdir(self.path)
                    return
                time.sleep(0.1)
        raise RuntimeError(f"processes left in {self.path}: {self.pids()}")


def memory_of(pid, field):
    """A field of /proc/PID/smaps_rollup in bytes (Pss, Private_Clean, Private_Dirty); 0 if it is gone."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            found = re.search(rf"^{field}:\s+(\d+)", file.read(), re.M)
        return int(found[1]) * 1024 if found else 0
    except OSError:
        return 0


def mount_of(path):
    """(device, mount point, type) of the file system that holds path."""
    path, best = os.path.realpath(path), ("", "", "")
    with open("/proc/mounts", encoding="utf-8") as file:
        for line in file:
            device, point, kind = line.split()[:3]
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


class LoopFileSystem:
    """An ext4 in a file, mounted at path. When the last user is gone, killed or not, the loop
    device frees itself."""

    def __init__(self, path, size_mb, mkfs_options=()):
        self.path, self.image = path, path.rstrip("/") + ".img"
        subprocess.run(["truncate", "-s", f"{size_mb}M", self.image], check=True)
        subprocess.run(["mkfs.ext4", "-q", "-F", *mkfs_options, self.image], check=True)
        self.mount()

    def mount(self):
        loop = subprocess.run(["losetup", "-f", "--show", "--direct-io=on", self.image],
                              check=True, capture_output=True, text=True).stdout.strip()
        subprocess.run(["mount", loop, self.path], check=True)
        subprocess.run(["losetup", "-d", loop], check=True)  # as soon as nothing uses it

    def settle(self):
        """Everything is written, and the journal empty: what was done before costs nothing later."""
        os.sync()
        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(folder, EXT4_IOC_CHECKPOINT, struct.pack("I", 0))
        except OSError as error:
            if error.errno not in (errno.ENOTTY, errno.EOPNOTSUPP):  # Linux before 5.14
                raise
        finally:
            os.close(folder)

    def remount(self):
        """As after a reboot: nothing of it is in memory."""
        subprocess.run(["umount", self.path], check=True)
        self.mount()

    def undo(self):
        subprocess.run(["umount", "-l", self.path], check=False)
        os.unlink(self.image)


def journalled_directory(path, size_mb=6144):
    """Make path a directory on a journalled file system: an ext4 in a loop-mounted file, where
    its own has no journal. Returns a function that undoes it."""
    os.makedirs(path, exist_ok=True)
    return (lambda: None) if has_journal(path) else LoopFileSystem(path, size_mb).undo
