"""Names in a file system that promises no more than POSIX: a name is durable when its directory was synced, and never before.

New directories are durable at once. File systems with a journal never lose as much: see `journaled`.
"""

from __future__ import annotations

from .backing import Backing
from .nodes import Change, Cut, Directory, File, Link, Move, Operation


class Strict:
    model = "strict"

    def __init__(self, backing: Backing) -> None:
        self._backing = backing

    def record(self, operation: Operation) -> None:
        """Record an operation that readers see already. An operation on directories becomes durable at once, after the pending ones of the same directories."""
        if isinstance(operation, Cut):
            return
        if isinstance(operation, Move):
            operation.source.dirty.add(operation.old)
            operation.target.dirty.add(operation.new)
        else:
            operation.directory.dirty.add(operation.name)
        if isinstance(operation.node, File):
            return
        if isinstance(operation, Move):
            if isinstance(operation.replaced, Directory):
                self.sync_directory(operation.replaced)
            self.sync_directory(operation.source)
            self.sync_directory(operation.target)
            self._backing.move(operation)
        elif isinstance(operation, Link):
            self.sync_directory(operation.directory)
            self._backing.add(operation.node, operation.directory, operation.name)
        else:
            self.sync_directory(operation.node)
            self._backing.remove_directory(operation.node)

    def settle(self) -> None:
        """Do nothing: a sync of one file makes nothing else durable."""

    def sync_directory(self, directory: Directory) -> None:
        """Apply new names first, then removals, so that a renamed file always has one of its names."""
        for name in sorted(directory.dirty):
            node = directory.names.get(name)
            if isinstance(node, File) and directory.durable.get(name) is not node:
                self._backing.add(node, directory, name)
        for name in sorted(directory.dirty):
            if name not in directory.names and name in directory.durable:
                self._backing.remove(directory, name)
        directory.dirty.clear()
        self._backing.sync_directory(directory)

    def sync_all(self) -> None:
        for directory in self._backing.directories():
            self.sync_directory(directory)

    def forget(self) -> None:
        """Forget all pending operations: the nodes were read again."""

    def survivors(self, draw: int, losing: bool) -> dict[File, list[Change]]:
        """Return nothing: no pending write survives."""
        return {}
