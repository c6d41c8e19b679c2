"""A file system of our own, in a file on a loop device: it can be full, slow, cold, or cut off."""
import atexit
import errno
import fcntl
import os
import struct
from pathlib import Path

from instance import run, wait_for

MAKE = {"ext4": ("mkfs.ext4", "-q", "-F"), "xfs": ("mkfs.xfs", "-q", "-f")}
EXT4_AT_ONCE = ("-E", "lazy_itable_init=0,lazy_journal_init=0")  # mkfs leaves nothing to be written later
EXT4_IOC_CHECKPOINT = 0x4004662B  # <linux/ext4.h>, 5.14
# _IOR('X', 125, __u32), for ext4 and xfs; nothing more is written, not even what the journal has in memory
SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2


class NoLoopDevice(AssertionError):
    """There is none, or none that may be used: a container may have some, and not let us."""


def must(*command):
    """returns what it has printed"""
    done = run(*command, check=False, timeout=600)
    if done.returncode:
        raise NoLoopDevice(done.stderr.strip())
    return done.stdout.strip()


class LoopDisk:
    """A file system in a file beside path, mounted at path. Direct I/O: the file holds what the file system
    has written, no more. When the last user is gone, killed or not, the loop device frees itself."""

    def __init__(self, path, size_mb, kind="ext4", options="defaults", more=()):
        self.path, self.kind, self.options = Path(path), kind, options
        self.image = self.path.with_name(self.path.name + ".img")
        atexit.register(self.remove_image)
        self.path.mkdir(exist_ok=True)
        with open(self.image, "wb") as file:
            file.truncate(size_mb << 20)
        run(*MAKE[kind], *more, self.image, timeout=600)
        self.mount()

    def mount(self):
        device = must("losetup", "--find", "--show", "--direct-io=on", self.image)
        try:
            must("mount", "-t", self.kind, "-o", self.options, device, self.path)
        finally:
            run("losetup", "-d", device)  # as soon as nothing uses it

    def control(self, number, argument):
        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(folder, number, struct.pack("I", argument))
        finally:
            os.close(folder)

    def settle(self):
        """Everything is written, and from Linux 5.14 on the journal of an ext4 is empty: what was done before
        costs nothing later."""
        os.sync()
        try:
            self.control(EXT4_IOC_CHECKPOINT, 0)
        except OSError as error:
            if error.errno not in (errno.ENOTTY, errno.EOPNOTSUPP):
                raise

    def cut(self):
        """From now on nothing reaches the device; whoever writes or flushes gets EIO."""
        self.control(SHUTDOWN, NO_LOG_FLUSH)

    def remount(self):
        """As after a reboot: nothing of it is in memory, and the journal is replayed."""
        wait_for(lambda: run("umount", self.path, check=False, timeout=600).returncode == 0,
                 "the end of the old mount")
        self.mount()

    def remove_image(self):
        self.image.unlink(missing_ok=True)

    def close(self):
        run("umount", "-l", self.path, check=False)
        self.remove_image()
        atexit.unregister(self.remove_image)
