"""The file system as the spool sees it: one object, so that a test can replace it by a failing one.

Called from every thread. What differs between systems is here and nowhere else:

=====================  ====================  ====================  ================================
what                   Linux                 macOS                 Windows
=====================  ====================  ====================  ================================
an append              mapped on ext4, xfs,  ``pwrite``            ``lseek`` and ``write`` under a
                       tmpfs, overlay, else                        lock
                       ``pwrite``
blocks of a segment    ``posix_fallocate``   zeros are written     zeros are written
``sync``               ``fdatasync``         ``F_FULLFSYNC``: its  ``FlushFileBuffers``
                                             ``fsync`` leaves the
                                             data in the drive
``sync_directory``     ``fsync``             ``fsync``             nothing: NTFS logs its entries
a lock                 ``flock``             ``flock``             ``msvcrt.locking``, no shared one
an open file           can be renamed and removed                  can be neither; a directory
                                                                   above it cannot be renamed
owner and mode         checked               checked               not checked: the profile's
                                                                   folders are the user's own
=====================  ====================  ====================  ================================

The tests run the spool under the rules of macOS and of NTFS on Linux (``make platforms``).
Invariant: no descriptor is inherited by a program that is executed, and none follows a symbolic
link in its last part.
"""

from __future__ import annotations

import mmap
import os
import stat
import sys
from pathlib import Path

from sessiontrace.runtime.reentrant_lock import ReentrantLock

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["OS_FILES", "FileId", "Files", "file_id", "read_all", "read_range", "write_all"]

_CLOEXEC = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)  # a FIFO planted in a spool must not stop an opener

_MAPPABLE = frozenset({"ext2", "ext3", "ext4", "xfs", "tmpfs", "overlay"})
_MAPPABLE_NUMBERS = frozenset({0xEF53, 0x58465342, 0x01021994, 0x794C7630})  # theirs in statfs
_ZEROS = bytes(1 << 16)
_geteuid = getattr(os, "geteuid", None)  # not on Windows, nor in WebAssembly
_FULL_SYNC = None if sys.platform == "win32" else getattr(fcntl, "F_FULLFSYNC", None)

FileId = tuple[int, int]
"""Device and inode: which file it is, whatever its name."""


class Files:
    """Calls of the operating system; each may raise OSError. Offsets and sizes are bytes."""

    moves_open_files: bool = sys.platform != "win32"
    """Whether a file can be renamed or removed while it is open, and a directory above it."""

    def create(self, path: Path) -> int:
        """A descriptor of a new file, readable and writable by its owner alone."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _NOFOLLOW | _CLOEXEC, 0o600)

    def open(self, path: Path, *, write: bool = False) -> int:
        """A descriptor of an existing regular file of one's own."""
        mode = os.O_RDWR if write else os.O_RDONLY
        fd = os.open(path, mode | _NOFOLLOW | _NONBLOCK | _CLOEXEC)
        status = os.fstat(fd)
        if stat.S_ISREG(status.st_mode) and self.owned(status):
            return fd
        os.close(fd)
        raise OSError(f"{path} is not a regular file of this user")

    def open_to_append(self, path: Path) -> int:
        """A descriptor of a file to read and to append to; a new one is its owner's alone."""
        mode = os.O_RDWR | os.O_APPEND | os.O_CREAT
        return os.open(path, mode | _NOFOLLOW | _CLOEXEC, 0o600)

    def close(self, fd: int) -> None:
        os.close(fd)

    def fstat(self, fd: int) -> os.stat_result:
        return os.fstat(fd)

    def lstat(self, path: Path) -> os.stat_result:
        return os.lstat(path)

    def owned(self, status: os.stat_result) -> bool:
        """Whether a file belongs to the user this process runs as; true where files have none."""
        return _geteuid is None or bool(status.st_uid == _geteuid())

    def truncate(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)

    def cut(self, path: Path, size: int) -> None:
        """Truncate a file of one's own; the time of its last change stays."""
        fd = self.open(path, write=True)
        try:
            status = self.fstat(fd)
            self.truncate(fd, size)
            if os.utime in os.supports_fd:  # at once: a kill in between would leave a wrong time
                os.utime(fd, ns=(status.st_atime_ns, status.st_mtime_ns))
        finally:
            self.close(fd)
        if os.utime not in os.supports_fd:
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    def rename(self, old: Path, new: Path) -> None:
        """Replaces what has the new name, on Windows too."""
        os.replace(old, new)

    def unlink(self, path: Path) -> None:
        os.unlink(path)

    def mkdir(self, path: Path) -> None:
        os.mkdir(path, 0o700)

    def makedirs(self, path: Path) -> None:
        """The directory, which may exist, with its parents; those that are made are private.

        ``os.makedirs`` would leave the mode of the parents to the umask.
        """
        missing = [path]
        while not os.path.lexists(missing[-1].parent):
            missing.append(missing[-1].parent)
        for place in reversed(missing):
            try:
                os.mkdir(place, 0o700)
            except FileExistsError:
                if not os.path.isdir(place):
                    raise

    def rmdir(self, path: Path) -> None:
        os.rmdir(path)

    def listdir(self, path: Path) -> list[str]:
        return sorted(os.listdir(path))

    def sync(self, fd: int) -> None:
        """The file's content on the disk. Never mmap.flush(): that one holds the GIL."""
        if hasattr(os, "fdatasync"):
            os.fdatasync(fd)
            return
        if _FULL_SYNC is not None:
            try:
                fcntl.fcntl(fd, _FULL_SYNC)
            except OSError:  # a network's file system does not have it
                pass
            else:
                return
        os.fsync(fd)

    def sync_directory(self, path: Path) -> None:
        """A directory's entries on the disk (nothing to do on Windows)."""
        if sys.platform != "win32":
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | _CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def allocate(self, fd: int, size: int) -> None:
        """Blocks for ``size`` zero bytes, so that writing them later needs no more of the disk."""
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(fd, 0, size)
        for offset in range(self.pour(fd, size), size, len(_ZEROS)):
            write_all(self, fd, _ZEROS[: size - offset], offset)

    def pour(self, fd: int, size: int) -> int:
        """How many of ``size`` zero bytes the kernel wrote to a new file all by itself.

        In one call: a loop of writes waits for the interpreter after each, longer than it writes.
        And in steps of 64 KiB: so much goes to the disk again for each byte changed in it later.
        """
        done = 0
        if sys.platform == "linux":
            try:
                zeros = os.memfd_create("sessiontrace")
            except (AttributeError, OSError):
                return 0
            try:
                os.ftruncate(zeros, size)
                while done < size and (count := os.sendfile(fd, zeros, done, size - done)):
                    done += count
            except OSError:
                pass  # writing the rest raises the same error
            finally:
                os.close(zeros)
        return done

    def map(self, fd: int, size: int) -> mmap.mmap:
        """The file in memory, shared with the kernel's page cache."""
        return mmap.mmap(fd, size)

    def anonymous(self, size: int) -> mmap.mmap:
        """Private zeroed memory; the system provides a page when it is first used."""
        if sys.platform == "win32":
            return mmap.mmap(-1, size)
        else:  # noqa: RET505 - so that a type checker reads either half for its platform
            return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)

    if sys.platform == "win32":
        _seek = ReentrantLock()

        def pread(self, fd: int, count: int, offset: int) -> bytes:
            with self._seek:
                os.lseek(fd, offset, os.SEEK_SET)
                return os.read(fd, count)

        def pwrite(self, fd: int, raw: bytes | memoryview, offset: int) -> int:
            with self._seek:
                os.lseek(fd, offset, os.SEEK_SET)
                return os.write(fd, raw)

        def lock(self, fd: int, *, shared: bool = False) -> bool:
            try:
                os.lseek(fd, 0, os.SEEK_SET)
                msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
            except OSError:
                return False
            return True

    else:

        def pread(self, fd: int, count: int, offset: int) -> bytes:
            """At most ``count`` bytes from ``offset``; fewer at the end of the file."""
            return os.pread(fd, count, offset)

        def pwrite(self, fd: int, raw: bytes | memoryview, offset: int) -> int:
            """How many bytes the system took, perhaps fewer than given."""
            return os.pwrite(fd, raw, offset)

        def lock(self, fd: int, *, shared: bool = False) -> bool:
            """Whether this descriptor now holds the file's lock; never waits for it.

            OSError where the file system has no locks at all.
            """
            try:
                fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

    def mappable(self, path: Path) -> bool:
        """Whether a mapped write into allocated blocks under ``path`` can never fail.

        Not so where writing copies (btrfs) or goes over a network: there a full disk would be a
        SIGBUS in the user's thread.
        """
        if sys.platform != "linux":
            return False
        kind = _file_system(path)
        return kind in _MAPPABLE if kind else _file_system_number(path) in _MAPPABLE_NUMBERS


OS_FILES = Files()
"""The real file system."""


def file_id(status: os.stat_result) -> FileId:
    """Which file a status is of."""
    return status.st_dev, status.st_ino


def write_all(files: Files, fd: int, raw: bytes, offset: int) -> None:
    """Write ``raw`` whole; OSError when the system takes none of what is left."""
    written = files.pwrite(fd, raw, offset)
    while written < len(raw):
        count = files.pwrite(fd, memoryview(raw)[written:], offset + written)
        if count <= 0:
            raise OSError(f"the system wrote {written} of {len(raw)} bytes")
        written += count


def read_range(files: Files, path: Path, start: int, stop: int) -> bytes:
    """The bytes of a file from ``start`` to ``stop``; fewer where it ends earlier."""
    fd = files.open(path)
    try:
        return read_all(files, fd, start, stop)
    finally:
        files.close(fd)


def read_all(files: Files, fd: int, start: int, stop: int) -> bytes:
    """The bytes of an open file from ``start`` to ``stop``; fewer where it ends earlier."""
    raw = files.pread(fd, stop - start, start)
    while len(raw) < stop - start:
        chunk = files.pread(fd, stop - start - len(raw), start + len(raw))
        if not chunk:
            break
        raw += chunk
    return raw


def _file_system(path: Path) -> str:
    """The type of the file system that holds ``path``; empty when it is unknown."""
    target = os.path.realpath(path)
    best, kind = "", ""
    same_device = ""  # in a plain chroot the mount of "/" has no line of that name
    try:
        device = os.stat(target).st_dev
        device_number = f"{os.major(device)}:{os.minor(device)}"
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
            for line in lines:
                fields, _, source = line.partition(" - ")
                parts = fields.split(" ")
                if parts[2] == device_number:
                    same_device = source.split(" ", 1)[0]
                point = parts[4].replace("\\040", " ")
                inside = target == point or target.startswith(point.rstrip("/") + "/")
                if inside and len(point) >= len(best):
                    best, kind = point, source.split(" ", 1)[0]
    except (OSError, IndexError):
        return ""
    return kind or same_device


def _file_system_number(path: Path) -> int:
    """What statfs calls the type of the file system that holds ``path``; 0 when it is unknown.

    A plain chroot may list no mount of that file system, and may have no /proc. Importing ctypes
    takes milliseconds, so the list of mounts is read first.
    """
    try:
        import ctypes

        answer = (ctypes.c_long * 64)()  # more than a statfs; its first field is the type
        failed = ctypes.CDLL(None).statfs(os.fsencode(path), answer)
    except (ImportError, OSError, AttributeError):
        return 0
    return 0 if failed else answer[0]
