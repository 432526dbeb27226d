"""Files and names of the disk, each with its durable and its pending state.

- A write is *pending* until its file is synced. Readers see it at once.
- The model, `strict` or `journaled`, decides when a name, a rename, a removal or a truncation becomes durable.
- A failed fsync leaves the file's pending writes visible, but they are never written, because the kernel marks such pages clean.
- More than `WRITEBACK_BYTES` pending are written back, as a kernel does: syncing early is always allowed.

Durable data is in the *backing* directory. Pending data is only here, in memory: it is lost when the daemon dies. Raises
`OSError` like system calls.
"""

from __future__ import annotations

import errno
import os
import time
from typing import Any, Union

from .backing import Backing
from .journaled import Journaled
from .losses import Before, losses
from .nodes import HIDDEN, Change, Cut, Directory, File, Link, Move, Node, Operation, Unlink
from .strict import Strict

Model = Union[Strict, Journaled]
MODELS: dict[str, type[Strict] | type[Journaled]] = {"strict": Strict, "journaled": Journaled}
WRITEBACK_BYTES = 32 << 20
MANY_CHANGES = 256


class Tree:
    """`backing` is a descriptor of the directory beneath the mount."""

    def __init__(self, backing: int, model: str = "strict") -> None:
        self._backing = Backing(backing)
        self._model: Model = MODELS[model](self._backing)
        self.renew()

    @property
    def model(self) -> str:
        return self._model.model

    @property
    def backing(self) -> int:
        return self._backing.descriptor

    @property
    def root(self) -> Directory:
        return self._backing.root

    @property
    def nodes(self) -> dict[int, Node]:
        return self._backing.nodes

    # Looking

    def stat(self, node: Node) -> os.stat_result:
        return self._backing.stat(node)

    def find(self, directory: Directory, name: str) -> Node:
        try:
            return directory.names[name]
        except KeyError:
            raise OSError(errno.ENOENT, "no such name") from None

    def read(self, file: File, offset: int, size: int) -> bytes:
        size = max(0, min(size, file.size - offset))
        with self._backing.opened(file, os.O_RDONLY) as descriptor:
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
        """Return every named file with its path, in the order of paths."""
        return sorted((path, node) for path, node in self.names().items() if isinstance(node, File))

    def names(self) -> dict[str, Node]:
        """Return the visible files and directories, by path."""
        found: dict[str, Node] = {}
        waiting = [("", self.root)]
        while waiting:
            path, directory = waiting.pop()
            for name, node in directory.names.items():
                if not name.startswith(HIDDEN):
                    found[f"{path}{name}"] = node
                    if isinstance(node, Directory):
                        waiting.append((f"{path}{name}/", node))
        return found

    def durable_names(self) -> dict[str, Node]:
        """Return the files and directories that a power loss now would leave at least, by path."""
        found: dict[str, Node] = {}
        for folder in self._backing.directories():
            if folder.home is not None:
                found[folder.path] = folder
            if folder.home is not None or folder is self.root:
                found |= {os.path.normpath(f"{folder.path}/{name}"): file for name, file in folder.durable.items()}
        return {path: node for path, node in found.items() if not path.rpartition("/")[2].startswith(HIDDEN)}

    def durable_files(self) -> list[tuple[str, File]]:
        return sorted((path, node) for path, node in self.durable_names().items() if isinstance(node, File))

    def read_durable(self, file: File) -> bytes:
        with self._backing.opened(file, os.O_RDONLY) as descriptor:
            size = os.fstat(descriptor).st_size
            content = bytearray()
            while len(content) < size and (chunk := os.pread(descriptor, size - len(content), len(content))):
                content += chunk
            return bytes(content)

    def pending_bytes(self) -> int:
        return sum(file.pending_bytes for file in self._backing.files())

    # Changing what readers see

    def create(self, directory: Directory, name: str, mode: int, uid: int, gid: int) -> File:
        self._check_new(directory, name)
        file = self._backing.make_file(mode, uid, gid)
        file.mtime_ns = time.time_ns()
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
        """Change the file to this size; if it is larger than the file, with a hole up to there."""
        change = Change(size, None)
        file.pending.append(change)
        file.size = size
        file.mtime_ns = time.time_ns()
        self._model.record(Cut(file, change))

    def unlink(self, directory: Directory, name: str) -> None:
        node = self.find(directory, name)
        if isinstance(node, Directory):
            raise OSError(errno.EISDIR, "it is a directory")
        self._unname(directory, name)
        self._record(Unlink(directory, name, node), node)

    def link(self, file: File, directory: Directory, name: str) -> None:
        self._check_new(directory, name)
        self._name(directory, name, file)

    def rename(self, source: Directory, old: str, target: Directory, new: str) -> None:
        node, there = self.find(source, old), target.names.get(new)
        if node is there:
            return
        self._check_own(target, new)
        if isinstance(node, Directory):
            if isinstance(there, File):
                raise OSError(errno.ENOTDIR, "a directory cannot replace a file")
            if there is not None and there.names:
                raise OSError(errno.ENOTEMPTY, "it is not empty")
            node.parent, node.name = target, new
        elif isinstance(there, Directory):
            raise OSError(errno.EISDIR, "a file cannot replace a directory")
        if there is not None:
            self._unname(target, new)
        del source.names[old]
        target.names[new] = node
        self._record(Move(source, old, target, new, node, there), there)

    def make_directory(self, directory: Directory, name: str, mode: int, uid: int, gid: int) -> Directory:
        self._check_new(directory, name)
        made = self._backing.make_directory(directory, name, mode, uid, gid)
        directory.names[name] = made
        self._model.record(Link(directory, name, made))
        return made

    def remove_directory(self, directory: Directory, name: str) -> None:
        node = self.find(directory, name)
        if not isinstance(node, Directory):
            raise OSError(errno.ENOTDIR, "it is not a directory")
        if node.names:
            raise OSError(errno.ENOTEMPTY, "it is not empty")
        del directory.names[name]
        self._record(Unlink(directory, name, node), node)

    def _check_new(self, directory: Directory, name: str) -> None:
        if name in directory.names:
            raise OSError(errno.EEXIST, "it exists")
        self._check_own(directory, name)

    def _check_own(self, directory: Directory, name: str) -> None:
        """Refuse the name that is reserved for a directory of the disk, because it could never become durable."""
        if directory is self.root and name == HIDDEN:
            raise OSError(errno.EPERM, f"{HIDDEN} is reserved for the disk")

    # Making it durable

    def sync(self, file: File) -> None:
        """Make all pending changes of this file's content durable, and what the model makes durable with it."""
        self._model.settle()
        if not file.pending:
            return  # A database that recovers syncs each of its files, most of them unchanged.
        lost = any(change.lost for change in file.pending)
        self._write(file, [change for change in file.pending if not change.lost])
        # After an earlier loss the rest stays listed as well, since readers see both in their order.
        file.pending = [change._replace(lost=True) for change in file.pending] if lost else []
        if len(file.pending) > MANY_CHANGES:
            content = self.read(file, 0, file.size)
            file.pending = [Change(0, None, True), Change(0, content, True)]
        file.pending_bytes = 0

    def fail_sync(self, file: File) -> None:
        """Fail a sync: readers still see the pending changes, but no later sync writes them."""
        file.pending = [change._replace(lost=True) for change in file.pending]
        file.pending_bytes = 0

    def sync_names(self, directory: Directory) -> None:
        self._model.sync_directory(directory)

    def settle(self) -> None:
        """Make durable what a sync of another file makes durable: with a journal, all names and truncations so far."""
        self._model.settle()

    def sync_all(self) -> None:
        self._model.sync_all()
        for file in self._backing.files():
            if file.pending:
                self.sync(file)

    # Losing it

    def lose(self, draw: int | None = None, losing: bool = False) -> dict[str, Any]:
        """Simulate a power loss: a random part of the pending changes survives and becomes durable; without a draw, nothing does. Return the losses, see `losses`.

        Readers still see everything until `renew`: a daemon that is not killed after all continues as if early writes had been written back.
        """
        before = Before(self.names(), {file: list(file.pending) for file in self._backing.files() if file.pending})
        kept = {} if draw is None else self._model.survivors(draw, losing)
        for file, changes in kept.items():
            self._write(file, changes)
        return {"model": self._model.model, **losses(before, self.durable_names(), kept)}

    def crash(self, draw: int | None = None) -> dict[str, Any]:
        """Drop pending changes, as in a power loss: all of them without a draw, otherwise at least one."""
        lost = self.lose(draw, losing=True)
        self.renew()
        return lost

    def renew(self) -> None:
        """Start again from the backing. A process that still has a file open gets a stale handle."""
        ends = {file.path: file.ends for file in self._backing.files() if file.homes}
        self._model.forget()
        self._backing.load()
        for path, file in self.durable_files():
            file.ends = ends.get(path, file.ends)

    # Numbers that the kernel holds

    def forget(self, number: int, count: int) -> None:
        node = self.nodes.get(number)
        if node is not None:
            node.lookups = max(0, node.lookups - count)
            self._backing.drop_if_gone(node)

    def _name(self, directory: Directory, name: str, file: File) -> None:
        directory.names[name] = file
        file.links += 1
        self._model.record(Link(directory, name, file))

    def _unname(self, directory: Directory, name: str) -> None:
        node = directory.names.pop(name)
        if isinstance(node, File):
            node.links -= 1

    def _record(self, operation: Operation, gone: Node | None) -> None:
        self._model.record(operation)
        if gone is not None:
            self._backing.drop_if_gone(gone)

    def _write(self, file: File, changes: list[Change]) -> None:
        with self._backing.opened(file, os.O_WRONLY) as descriptor:
            for change in changes:
                if change.data is None:
                    os.ftruncate(descriptor, change.offset)
                else:
                    _write_all(descriptor, change.data, change.offset)
            os.fdatasync(descriptor)


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        done = os.pwrite(descriptor, view, offset)
        view, offset = view[done:], offset + done
