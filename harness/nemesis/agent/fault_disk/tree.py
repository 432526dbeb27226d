"""Files and names of the disk, each with what is durable and what is pending.

The model, as of a file system without a journal:

- A write or a cut is *pending* until its file is fsynced. Readers see it at once.
- A new name, a rename and a removal are pending until their *directory* is fsynced. A file that was synced, but whose name was not, is gone after a crash.
- Directories themselves, modes, owners and times are durable at once.
- A failed fsync leaves the file's pending writes visible and never to be written, as the kernel marks such pages clean.
- More than `WRITEBACK_BYTES` pending are written back, as a kernel does: syncing early is always allowed.

What is durable lives in the *backing* directory, under the very names; synced files without a durable name live in its subdirectory `HIDDEN`. What is
pending lives here, in memory, and nowhere else: when the daemon dies, it is lost. Raises `OSError` like system calls.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from .nodes import Change, Directory, File

HIDDEN = ".tribulation"
"""Names that begin so are the disk's own: they can be opened by who knows them, and are never listed."""
WRITEBACK_BYTES = 32 << 20
ROOT = 1
MANY_CHANGES = 256


class Tree:
    """`backing` is a descriptor of the directory beneath the mount."""

    def __init__(self, backing: int) -> None:
        self.backing = backing
        # Numbers are never used again, or the kernel would take a new file for one that it remembers.
        self._next = ROOT + 1
        self.nodes: dict[int, File | Directory] = {}
        with suppress(FileExistsError):
            os.mkdir(HIDDEN, 0o700, dir_fd=backing)
        self.renew()

    # Looking

    def path(self, node: File | Directory) -> str:
        """In the backing."""
        if isinstance(node, Directory):
            return node.path
        if node.place is None:
            return f"{HIDDEN}/{node.number}"
        directory, name = node.place
        return os.path.normpath(f"{directory.path}/{name}")

    def stat(self, node: File | Directory) -> os.stat_result:
        return os.stat(self.path(node), dir_fd=self.backing, follow_symlinks=False)

    def find(self, directory: Directory, name: str) -> File | Directory:
        try:
            return directory.names[name]
        except KeyError:
            raise OSError(errno.ENOENT, "no such name") from None

    def read(self, file: File, offset: int, size: int) -> bytes:
        size = max(0, min(size, file.size - offset))
        with self._opened(file, os.O_RDONLY) as descriptor:
            content = bytearray(os.pread(descriptor, size, offset).ljust(size, b"\0"))
        for change in file.pending:
            if change.data is None:
                cut = max(0, change.offset - offset)
                content[cut:] = bytes(len(content) - cut) if cut < size else b""
                continue
            start, end = max(offset, change.offset), min(offset + size, change.offset + len(change.data))
            if start < end:
                content[start - offset : end - offset] = change.data[start - change.offset : end - change.offset]
        return bytes(content)

    def files(self) -> list[tuple[str, File]]:
        """Every named file with its path, in the order of paths."""
        found: dict[str, File] = {}
        waiting = [self.root]
        while waiting:
            directory = waiting.pop()
            for name, node in directory.names.items():
                if isinstance(node, Directory):
                    waiting.append(node)
                elif not name.startswith(HIDDEN):
                    found[os.path.normpath(f"{directory.path}/{name}")] = node
        return sorted(found.items())

    def durable_files(self) -> list[tuple[str, File]]:
        """Those that a power loss now would leave, with their paths."""
        folders = [node for node in self.nodes.values() if isinstance(node, Directory)]
        found = {
            os.path.normpath(f"{folder.path}/{name}"): file
            for folder in folders
            for name, file in folder.durable.items()
        }
        return sorted((path, file) for path, file in found.items() if not os.path.basename(path).startswith(HIDDEN))

    def read_durable(self, file: File) -> bytes:
        with self._opened(file, os.O_RDONLY) as descriptor:
            size = os.fstat(descriptor).st_size
            content = bytearray()
            while len(content) < size and (chunk := os.pread(descriptor, size - len(content), len(content))):
                content += chunk
            return bytes(content)

    def pending_bytes(self) -> int:
        return sum(file.pending_bytes for file in self._all_files())

    # Changing what readers see

    def create(self, directory: Directory, name: str, mode: int, uid: int, gid: int) -> File:
        if name in directory.names:
            raise OSError(errno.EEXIST, "it exists")
        file = File(self._number(), 0, None)
        descriptor = os.open(
            self.path(file), os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=self.backing
        )
        try:
            _own(descriptor, mode, uid, gid)
        finally:
            os.close(descriptor)
        file.mtime_ns = time.time_ns()
        self.nodes[file.number] = file
        self._name(directory, name, file)
        return file

    def write(self, file: File, offset: int, data: bytes) -> None:
        file.pending.append(Change(offset, data))
        file.ends.append(offset + len(data))
        file.pending_bytes += len(data)
        file.size = max(file.size, offset + len(data))
        file.mtime_ns = time.time_ns()
        if file.pending_bytes > WRITEBACK_BYTES:
            self.sync(file)

    def cut(self, file: File, size: int) -> None:
        """To this size, or, when it is larger, with a hole up to there."""
        file.pending.append(Change(size, None))
        file.size = size
        file.mtime_ns = time.time_ns()

    def unlink(self, directory: Directory, name: str) -> None:
        node = self.find(directory, name)
        if isinstance(node, Directory):
            raise OSError(errno.EISDIR, "it is a directory")
        self._unname(directory, name)

    def link(self, file: File, directory: Directory, name: str) -> None:
        if name in directory.names:
            raise OSError(errno.EEXIST, "it exists")
        self._name(directory, name, file)

    def rename(self, source: Directory, old: str, target: Directory, new: str) -> None:
        node, there = self.find(source, old), target.names.get(new)
        if node is there:
            return
        if isinstance(node, Directory) or isinstance(there, Directory):
            self._rename_directory(source, old, target, new)
            return
        self._unname(source, old, keep=True)
        if there is not None:
            self._unname(target, new)
        self._name(target, new, node)

    def make_directory(self, directory: Directory, name: str, mode: int, uid: int, gid: int) -> Directory:
        if name in directory.names:
            raise OSError(errno.EEXIST, "it exists")
        self.sync_names(directory)
        made = Directory(self._number(), directory, name)
        os.mkdir(made.path, 0o700, dir_fd=self.backing)
        descriptor = self._open_directory(made.path)
        try:
            _own(descriptor, mode, uid, gid)
        finally:
            os.close(descriptor)
        self.nodes[made.number] = directory.names[name] = made
        return made

    def remove_directory(self, directory: Directory, name: str) -> None:
        node = self.find(directory, name)
        if not isinstance(node, Directory):
            raise OSError(errno.ENOTDIR, "it is no directory")
        if node.names:
            raise OSError(errno.ENOTEMPTY, "it is not empty")
        self.sync_names(node)
        os.rmdir(node.path, dir_fd=self.backing)
        del directory.names[name]
        self._drop_if_gone(node)

    # Making it durable

    def sync(self, file: File) -> None:
        """Everything pending of this file's content."""
        lost = any(change.lost for change in file.pending)
        with self._opened(file, os.O_WRONLY) as descriptor:
            for change in file.pending:
                if change.lost:
                    continue
                if change.data is None:
                    os.ftruncate(descriptor, change.offset)
                else:
                    _write_all(descriptor, change.data, change.offset)
            os.fdatasync(descriptor)
        # Beside what was lost earlier the rest stays listed, since readers see both in their order.
        file.pending = [change._replace(lost=True) for change in file.pending] if lost else []
        if len(file.pending) > MANY_CHANGES:
            content = self.read(file, 0, file.size)
            file.pending = [Change(0, None, True), Change(0, content, True)]
        file.pending_bytes = 0

    def fail_sync(self, file: File) -> None:
        """Readers go on seeing what was pending; no later sync writes it."""
        file.pending = [change._replace(lost=True) for change in file.pending]
        file.pending_bytes = 0

    def sync_names(self, directory: Directory) -> None:
        """New names first, then the removals, so that a file that was renamed always has one of its names."""
        for name in sorted(directory.dirty):
            node = directory.names.get(name)
            if isinstance(node, File) and directory.durable.get(name) is not node:
                self._place(node, directory, name)
        for name in sorted(directory.dirty):
            if name not in directory.names and name in directory.durable:
                self._displace(directory, name)
        directory.dirty.clear()
        descriptor = self._open_directory(directory.path)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def sync_all(self) -> None:
        for file in self._all_files():
            if file.pending:
                self.sync(file)
        for node in list(self.nodes.values()):
            if isinstance(node, Directory):
                self.sync_names(node)

    # Losing it

    def crash(self) -> int:
        """Everything pending is gone, as by a power loss. Returns how many bytes of writes were not synced."""
        lost = sum(len(change.data) for file in self._all_files() for change in file.pending if change.data is not None)
        self.renew()
        return lost

    def renew(self) -> None:
        """Begin anew with what the backing holds. Whoever still has a file open finds it stale."""
        ends = {self.path(file): file.ends for file in self._all_files() if file.place is not None}
        for orphan in self._listed(HIDDEN):
            os.unlink(f"{HIDDEN}/{orphan}", dir_fd=self.backing)
        self.root = Directory(ROOT, None, "")
        self.root.lookups = 1
        self.nodes = {ROOT: self.root}
        self._load(self.root)
        for path, file in self.durable_files():
            file.ends = ends.get(path, file.ends)

    # Numbers that the kernel holds

    def forget(self, number: int, count: int) -> None:
        node = self.nodes.get(number)
        if node is not None:
            node.lookups = max(0, node.lookups - count)
            self._drop_if_gone(node)

    def _drop_if_gone(self, node: File | Directory) -> None:
        """Nobody can reach it any more: no name, and the kernel has forgotten it."""
        if node.lookups or node is self.root:
            return
        if isinstance(node, Directory):
            if node.parent is not None and node.parent.names.get(node.name) is not node:
                self.nodes.pop(node.number, None)
            return
        if node.links == 0 and node.place is None:
            self.nodes.pop(node.number, None)
            with suppress(FileNotFoundError):
                os.unlink(f"{HIDDEN}/{node.number}", dir_fd=self.backing)

    # Names

    def _name(self, directory: Directory, name: str, file: File) -> None:
        directory.names[name] = file
        directory.dirty.add(name)
        file.links += 1

    def _unname(self, directory: Directory, name: str, keep: bool = False) -> None:
        file = directory.names.pop(name)
        assert isinstance(file, File)
        directory.dirty.add(name)
        file.links -= 1
        if not keep:
            self._drop_if_gone(file)

    def _place(self, file: File, directory: Directory, name: str) -> None:
        """Give the durable file this durable name, in one step for who looks after a crash."""
        replaced = directory.durable.pop(name, None)
        if replaced is not None:
            self._rescue(replaced, directory, name)
        source, temporary = self.path(file), f"{HIDDEN}/name"
        os.link(source, temporary, src_dir_fd=self.backing, dst_dir_fd=self.backing, follow_symlinks=False)
        os.rename(
            temporary,
            os.path.normpath(f"{directory.path}/{name}"),
            src_dir_fd=self.backing,
            dst_dir_fd=self.backing,
        )
        if file.place is None:
            os.unlink(source, dir_fd=self.backing)
        file.place = (directory, name)
        directory.durable[name] = file
        if replaced is not None:
            self._drop_if_gone(replaced)

    def _displace(self, directory: Directory, name: str) -> None:
        file = directory.durable.pop(name)
        self._rescue(file, directory, name)
        os.unlink(os.path.normpath(f"{directory.path}/{name}"), dir_fd=self.backing)
        self._drop_if_gone(file)

    def _rescue(self, file: File, directory: Directory, name: str) -> None:
        """Its bytes must outlive this name of theirs, when it is the one by which they are known."""
        if file.place != (directory, name):
            return
        for other in [node for node in self.nodes.values() if isinstance(node, Directory)]:
            for known, found in other.durable.items():
                if found is file and (other, known) != (directory, name):
                    file.place = (other, known)
                    return
        path = self.path(file)
        file.place = None
        os.link(path, self.path(file), src_dir_fd=self.backing, dst_dir_fd=self.backing, follow_symlinks=False)

    def _rename_directory(self, source: Directory, old: str, target: Directory, new: str) -> None:
        node, there = source.names[old], target.names.get(new)
        if not isinstance(node, Directory):
            raise OSError(errno.EISDIR, "a file cannot replace a directory")
        if isinstance(there, File):
            raise OSError(errno.ENOTDIR, "a directory cannot replace a file")
        if there is not None:
            self.remove_directory(target, new)
        self.sync_names(source)
        self.sync_names(target)
        path = node.path
        node.parent, node.name = target, new
        os.rename(path, node.path, src_dir_fd=self.backing, dst_dir_fd=self.backing)
        del source.names[old]
        target.names[new] = node

    # The backing

    def _load(self, directory: Directory) -> None:
        for name in self._listed(directory.path):
            if directory is self.root and name.startswith(HIDDEN):
                if name != HIDDEN:
                    # A probe left it that died with the disk.
                    os.unlink(name, dir_fd=self.backing)
                continue
            found = os.stat(os.path.normpath(f"{directory.path}/{name}"), dir_fd=self.backing, follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode):
                child = Directory(self._number(), directory, name)
                self.nodes[child.number] = directory.names[name] = child
                self._load(child)
            elif stat.S_ISREG(found.st_mode):
                file = File(self._number(), found.st_size, (directory, name))
                file.links, file.mtime_ns = 1, found.st_mtime_ns
                self.nodes[file.number] = directory.names[name] = directory.durable[name] = file

    def _listed(self, path: str) -> list[str]:
        descriptor = self._open_directory(path)
        try:
            return sorted(os.listdir(descriptor))
        finally:
            os.close(descriptor)

    def _number(self) -> int:
        number, self._next = self._next, self._next + 1
        return number

    def _all_files(self) -> list[File]:
        return [node for node in self.nodes.values() if isinstance(node, File)]

    def _open_directory(self, path: str) -> int:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.backing)

    @contextmanager
    def _opened(self, file: File, flags: int) -> Iterator[int]:
        descriptor = os.open(self.path(file), flags | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=self.backing)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def _own(descriptor: int, mode: int, uid: int, gid: int) -> None:
    """As the process that asked would have made it. Where nobody may give files away there is only one owner."""
    os.fchmod(descriptor, stat.S_IMODE(mode))
    if (uid, gid) != (os.geteuid(), os.getegid()):
        with suppress(PermissionError):
            os.fchown(descriptor, uid, gid)


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        done = os.pwrite(descriptor, view, offset)
        view, offset = view[done:], offset + done
