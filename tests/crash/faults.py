"""Parts 1 and 2: what strace injects at a system call."""

KILL = "signal=SIGKILL"
ERRORS = ("ENOSPC", "EIO", "ENOMEM", "EMFILE", "EINTR", "EAGAIN", "EACCES")
# Called as we call them (no wrong pointer, no unknown option), these cannot fail, or do not return.
NEVER_FAIL = set("""
    alarm arch_prctl exit exit_group futex getegid geteuid getgid getpgid getpid getppid getpriority
    gettid getuid prctl rseq rt_sigaction rt_sigprocmask rt_sigreturn set_robust_list
    set_tid_address setitimer setsid timer_delete umask uname
    """.split())
# These fail with no other of our errors than: (calls that are not named here get all seven)
FAIL_WITH = {call: errors.split() for names, errors in {
    "brk": "ENOMEM",
    "mmap": "ENOMEM EAGAIN EACCES",
    "mprotect": "ENOMEM EACCES",
    "munmap": "ENOMEM",
    "close": "EIO EINTR ENOSPC",
    "lseek fadvise64": "EIO",
    "read readv pread64 recvfrom recvmsg getdents64": "EIO ENOMEM EINTR EAGAIN",
    "write writev pwrite64 sendfile copy_file_range": "ENOSPC EIO ENOMEM EINTR EAGAIN",
    "sendto sendmsg": "ENOMEM EINTR EAGAIN EACCES",
    "fsync fdatasync syncfs sync_file_range": "ENOSPC EIO ENOMEM EINTR",
    "io_setup io_submit timer_create": "ENOMEM EAGAIN",
    "io_getevents": "EIO EINTR",
    "ftruncate fallocate": "ENOSPC EIO ENOMEM EINTR",
    "stat lstat fstat newfstatat fstatfs statx access faccessat faccessat2": "EIO ENOMEM EACCES",
    "readlink readlinkat getcwd": "EIO ENOMEM EACCES",
    "rename renameat renameat2 link linkat unlink unlinkat mkdir mkdirat": "ENOSPC EIO ENOMEM EACCES",
    "chmod fchmod fchmodat chown fchown fchownat": "ENOSPC EIO ENOMEM EACCES",
    "chdir fchdir": "EIO ENOMEM EACCES",
    "flock": "ENOMEM EINTR EAGAIN",
    "fcntl": "ENOMEM EMFILE EINTR EAGAIN EACCES",
    "pidfd_open": "ENOMEM EMFILE",
    "dup dup2 dup3": "EMFILE EINTR",
    "close_range": "ENOMEM EMFILE",
    "pipe2 memfd_create socket socketpair epoll_create1 signalfd4 timerfd_create": "ENOMEM EMFILE",
    "accept4": "ENOMEM EMFILE EINTR EAGAIN",
    "bind": "ENOSPC EIO ENOMEM EACCES",
    "connect": "ENOMEM EINTR EAGAIN EACCES",
    "listen getsockname getsockopt setsockopt timerfd_settime prlimit64": "ENOMEM",
    "poll ppoll": "ENOMEM EINTR",
    "epoll_wait epoll_pwait wait4 waitid": "EINTR",
    "epoll_ctl": "ENOSPC ENOMEM",
    "fork vfork clone clone3 setgid setuid setgroups setresuid setresgid": "ENOMEM EAGAIN",
    "setpgid setpriority": "EACCES",
    "getrandom": "EINTR EAGAIN",
    "execve": "EIO ENOMEM EMFILE EAGAIN EACCES",
}.items() for call in names.split()}


def kills(_program, _call):
    """For each call: it is not reached."""
    return [KILL]


def failures(program, call):
    """The errors that Linux may return for it, of those that are tried."""
    if call.name in NEVER_FAIL:
        return []
    # Linux closes a descriptor even if it reports an error. strace leaves it open, and an open copy that
    # qmail-queued's flusher has of a message keeps that locked. The children of qmail-local have none.
    if call.name == "close" and call.child and not program.startswith("qmail-local"):
        return []
    return [f"error={error}" for error in ERRORS if error in FAIL_WITH.get(call.name, ERRORS)]
