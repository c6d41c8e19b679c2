"""What a power cut may leave: from a trace of system calls, the states of a journalled file system."""
import re

HEX = re.compile(r"\\x([0-9a-f]{2})")
LINE = re.compile(r"(\d+) +([\d.]+) (.*)")  # strace -f -ttt
LENGTH = re.compile(r", (\d+)\)?$")
ANSWER = re.compile(r"\bres=(-?\d+)")  # of io_getevents
REQUEST = re.compile(r"aio_lio_opcode=IOCB_CMD_FSYNC, aio_fildes=\d+<((?:\\x[0-9a-f]{2})*)>")
STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
NAMES = """openat open creat write writev pwrite64 pwritev ftruncate truncate rename renameat renameat2
    link linkat unlink unlinkat fsync fdatasync syncfs sync io_submit io_getevents io_destroy sendto
    sendmsg sendfile copy_file_range execve"""
CALLS = ",".join(f"?{name}" for name in NAMES.split())  # aarch64 has no open, rename, link, for one

NEAR = 30  # changes and flushes


def plain(text):
    return bytes.fromhex(text.replace("\\x", ""))


class Call:
    """A system call: begin and end are line numbers of the trace."""

    def __init__(self, pid, name, begin, text):
        self.pid, self.name, self.begin, self.end, self.text, self.result = pid, name, begin, None, text, ""

    def finish(self, end, text):
        whole = self.text + text
        self.end = end
        self.text, _, self.result = whole.rpartition(" = ")

    def strings(self):
        return [plain(s) for s in STRING.findall(self.text)]

    def descriptor(self):
        """The path behind the first descriptor."""
        match = re.match(r"(?:AT_FDCWD|\d+)<((?:\\x[0-9a-f]{2})*)>", self.text)
        return plain(match[1]).decode(errors="surrogateescape") if match else ""


def read_calls(lines):
    """All calls that came to an end, in this order; and [(line, pid, exit code)]."""
    open_calls, done, exits = {}, [], []
    for number, line in enumerate(lines):
        match = LINE.match(line)
        if not match:
            continue
        pid, rest = match[1], match[3]
        if rest.startswith("+++ exited with "):
            exits.append((number, pid, int(rest.split()[3])))
        elif rest.startswith("<... "):
            call = open_calls.pop(pid, None)
            if call:
                call.finish(number, rest.partition("resumed>")[2])
                done.append(call)
        else:
            name, bracket, text = rest.partition("(")
            if not bracket or not name.isidentifier():
                continue
            call = Call(pid, name, number, text.replace(" <unfinished ...>", ""))
            if rest.endswith("<unfinished ...>"):
                open_calls[pid] = call
            else:
                call.finish(number, "")
                done.append(call)
    return done, exits


class File:
    """An inode: what was written to it, in order."""

    def __init__(self, mode, pid=None, before=b""):
        self.mode, self.pid, self.size = mode, pid, len(before)
        self.before = before  # what was in it when the trace began
        self.paths, self.content = [], bytearray()  # that it ever had, with everything written
        self.unknown = None  # a call that has written more


class Change:
    """A change of a name (directories, apply), of a file (file, offset, data), or of its size."""

    def __init__(self, call, directories=(), apply=None, file=None, offset=0, data=b"", size=None):
        self.begin, self.end = call.begin, call.end
        self.directories, self.apply, self.file = directories, apply, file
        self.offset, self.data, self.size = offset, data, size
        self.durable_at = None  # the line at which a flush that covers it had returned


class Journal:
    """The changes below some folders, and when each became durable."""

    def __init__(self, lines, home, folders, state=None):
        """state: what was there when the trace began, as state() gives it."""
        self.home, self.folders = str(home), [str(f) for f in folders]
        files = {identity: File(mode, before=content) for mode, content, identity in (state or {}).values()}
        self.before = {path: files[identity] for path, (_, _, identity) in (state or {}).items()}
        self.names = dict(self.before)  # path: File, as of now in the trace
        self.nameless = {}  # (pid, descriptor): File, made with O_TMPFILE
        self.changes, self.flushes, self.answers = [], [], {}
        self.together = []  # (begin, end, path) of each syncfs
        self.requested = {}  # pid: ([(begin, path)], [answer]): fsyncs of which not all have ended
        calls, self.exits = read_calls(lines)
        self.programs = {}
        self.stamps = [float(match[2]) if match else 0 for match in map(LINE.match, lines)]
        for call in sorted(calls, key=lambda c: c.end):
            self.take(call)
        for change in self.changes:
            ends = [end for begin, end, covers in self.flushes if begin > change.end and covers(change)]
            change.durable_at = min(ends, default=None)
        self.ends = sorted({change.end for change in self.changes} | {end for _, end, _ in self.flushes})

    def ends_at(self, folder):
        """The cuts from the first change in a folder, or in one below it, to the last."""
        at = [change.end for change in self.changes
              if any(f"{folder}/" in f"{directory}/" for directory in change.directories)]
        return [end for end in self.ends if at and at[0] <= end <= at[-1]]

    def ends_by_syncfs(self, folder):
        """The cuts around each syncfs for files below a folder."""
        near = []
        for begin, end, path in self.together:
            if folder in path:
                near += [each for each in self.ends if each < begin][-NEAR:]
                near += [each for each in self.ends if each >= end][:NEAR]
        return near

    def is_ours(self, path):
        return any(path.startswith(f + "/") or path == f for f in self.folders) and "(deleted)" not in path

    def path(self, base, name):
        name = name.decode(errors="surrogateescape")
        return name if name.startswith("/") else f"{base or self.home}/{name}".replace("/./", "/")

    def folder(self, path):
        return path.rpartition("/")[0]

    def take(self, call):
        handler = getattr(self, "on_" + call.name, None)
        if handler and not call.result.startswith("-1"):
            handler(call)

    # -- names ------------------------------------------------------------------------------

    def on_openat(self, call):
        strings = call.strings()
        path = self.path(call.descriptor(), strings[0]) if strings else ""
        if not self.is_ours(path):
            return
        mode = re.search(r", (0\d+)$", call.text.rstrip(")"))
        file = File(int(mode[1], 8) if mode else 0o600, call.pid)
        if "O_TMPFILE" in call.text:  # strace -y calls it FOLDER/#INODE, also when it has a name
            descriptor, _, place = call.result.partition("<")
            self.names[plain(place.partition(">")[0]).decode()] = file
            self.nameless[call.pid, descriptor] = file
        elif "O_CREAT" in call.text and path not in self.names:
            self.put(call, path, file)
        elif "O_TRUNC" in call.text:
            self.changes.append(Change(call, file=self.names[path], size=0))
            self.names[path].size = 0

    on_open = on_openat

    def put(self, call, path, file, source=None):
        def apply(names):
            if source:
                names.pop(source, None)
            names[path] = file
        apply(self.names)
        file.paths.append(path)
        self.check(file)
        folders = {self.folder(path)} | ({self.folder(source)} if source else set())
        self.changes.append(Change(call, folders, apply))

    def pair(self, call):
        bases = [plain(b).decode() for b in re.findall(r"(?:AT_FDCWD|\d+)<((?:\\x[0-9a-f]{2})*)>", call.text)]
        strings = call.strings()
        return (self.path(bases[0] if bases else "", strings[0]),
                self.path(bases[1] if len(bases) > 1 else "", strings[1]))

    def on_rename(self, call):
        old, new = self.pair(call)
        if old in self.names:
            self.put(call, new, self.names[old], source=old)

    on_renameat = on_renameat2 = on_rename

    def on_link(self, call):
        old, new = self.pair(call)
        file = self.nameless.get((call.pid, old.rpartition("/proc/self/fd/")[2]), self.names.get(old))
        if file:
            self.put(call, new, file)

    on_linkat = on_link

    def on_unlink(self, call):
        path = self.path(call.descriptor(), call.strings()[0])
        if path in self.names:
            self.names.pop(path)
            self.changes.append(Change(call, {self.folder(path)}, lambda names: names.pop(path, None)))

    on_unlinkat = on_unlink

    # -- data -------------------------------------------------------------------------------

    def on_write(self, call):
        file = self.names.get(call.descriptor())
        if file:
            data = b"".join(call.strings())[:int(call.result.split()[0])]
            self.changes.append(Change(call, file=file, offset=file.size, data=data))
            file.size += len(data)
            file.content += data

    on_writev = on_write

    def on_pwrite64(self, call):
        path = call.descriptor()
        if self.is_ours(path):
            file = self.names.setdefault(path, File(0o600))
            offset = int(LENGTH.search(call.text.strip())[1])
            self.changes.append(Change(call, file=file, offset=offset, data=call.strings()[0]))

    def on_ftruncate(self, call):
        self.resize(call, self.names.get(call.descriptor()))

    def on_truncate(self, call):
        self.resize(call, self.names.get(self.path("", call.strings()[0])))

    def resize(self, call, file):
        if file:
            size = int(LENGTH.search(call.text.strip())[1])
            self.changes.append(Change(call, file=file, size=size))
            file.size = size  # where the next write goes

    def on_sendfile(self, call):
        file = self.names.get(call.descriptor())
        if file:
            file.unknown = call.name
            self.check(file)

    def check(self, file):
        if file.unknown and file.paths:
            raise ValueError("data came into a file by a call that the model does not know: " + file.unknown)

    on_copy_file_range = on_pwritev = on_sendfile

    # -- flushes ----------------------------------------------------------------------------

    def flush(self, begin, end, path):
        file = self.names.get(path)
        if file or self.is_ours(path):
            self.flushes.append((begin, end, lambda change: (
                change.file is file if file else path in change.directories)))

    def on_fsync(self, call):
        self.flush(call.begin, call.end, call.descriptor())

    on_fdatasync = on_fsync

    def on_io_submit(self, call):
        paths = [plain(name).decode(errors="surrogateescape") for name in REQUEST.findall(call.text)]
        begun = paths[:int(call.result.split()[0])]
        self.requested.setdefault(call.pid, ([], []))[0].extend((call.begin, path) for path in begun)

    def on_io_getevents(self, call):
        """An answer does not say which request it is of: they count when all have come, and are good."""
        requests, answers = self.requested.get(call.pid, ([], []))
        answers += ANSWER.findall(call.text)
        if len(answers) < len(requests):
            return
        for begin, path in requests if set(answers) == {"0"} else ():
            self.flush(begin, call.end, path)
        self.on_io_destroy(call)

    def on_io_destroy(self, call):
        self.requested.pop(call.pid, None)

    def on_syncfs(self, call):
        if self.is_ours(call.descriptor()):
            self.flushes.append((call.begin, call.end, lambda change: True))
            self.together.append((call.begin, call.end, call.descriptor()))

    # -- acknowledgements ---------------------------------------------------------------------

    def on_sendto(self, call):
        data = b"".join(call.strings())
        match = re.search(rb"0\0(\d{16})\0\d+\0", data)
        if match and len(data) < 200:
            self.answers.setdefault(match[1].decode(), call.begin)

    on_sendmsg = on_sendto

    def on_execve(self, call):
        self.programs[call.pid] = call.strings()[0].decode().rpartition("/")[2]

    def time_of(self, cut):
        """When line `cut` was about to come, in seconds since 1970."""
        return self.stamps[min(cut, len(self.stamps)) - 1]

    # -- states -----------------------------------------------------------------------------

    def happened(self, cut):
        """Durable and other changes at this cut, in order."""
        for change in self.changes:
            if change.durable_at is not None and change.durable_at < cut:
                yield change, True
            elif change.begin < cut:
                yield change, False

    def state(self, cut, mode, chance):
        """{path: (mode bits, content, identity)} after a power cut before line `cut`.

        none: nothing that was not flushed; all: everything; journal: names up to a point of time, each
        file up to a point; wild: each directory and each file for itself, single writes missing or torn."""
        point = chance.choice(self.ends)  # of the journal
        points = {}
        names, contents = dict(self.before), {}
        for change, is_durable in self.happened(cut):
            if change.apply:
                limit = point
                if mode == "wild":
                    key = min(change.directories, key=lambda d: (not d.endswith("/new"), d))
                    limit = points.setdefault(key, chance.choice(self.ends))
                if is_durable or mode == "all" or (mode in ("journal", "wild") and change.end <= limit):
                    change.apply(names)
            else:
                self.write(contents, points, change, is_durable, mode, chance)
        return {path: (file.mode, bytes(contents.get(file, file.before)), id(file))
                for path, file in names.items()}

    def write(self, contents, points, change, is_durable, mode, chance):
        data, content = change.data, contents.setdefault(change.file, bytearray(change.file.before))
        if not is_durable and mode != "all":
            if mode == "none":
                return
            if mode == "journal" and change.end > points.setdefault(change.file, chance.choice(self.ends)):
                return
            if mode == "wild":
                kind = chance.randrange(5)
                if kind == 0:
                    return
                if kind == 1:
                    data = data[:chance.randrange(len(data) + 1)]
                if kind == 2 and change.offset == len(content):  # blocks were allocated, and not written
                    data = bytes(len(data))
        end = change.size if change.size is not None else change.offset
        if len(content) < end:
            content.extend(bytes(end - len(content)))
        if change.size is not None:
            del content[end:]
        content[change.offset:change.offset + len(data)] = data

    def acknowledged(self, cut):
        """The files of queue/mess and queue/drop whose sender had been told before the cut."""
        files = {change.file for change in self.changes if change.file}
        good = {pid for line, pid, code in self.exits
                if code == 0 and line < cut and self.programs.get(pid) == "qmail-queue"}
        for file in files:
            for path in file.paths:
                name = path.rpartition("/")[2]
                if "/queue/mess/" in path and self.answers.get(name, cut) < cut:
                    yield file
                elif "/queue/drop/" in path and file.pid in good:
                    yield file
