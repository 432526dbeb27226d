"""Names in a file system with a journal: operations become durable in the order in which they were made; at a power loss, up to a random point.

One journal orders all operations on names and all truncations of files. A sync of any file or directory makes every earlier one durable, as a commit of the
journal does. At a power loss a prefix of the rest is durable. An append is not an operation of the journal: it reaches the disk separately (`tearing`).

The model does only what ext4 (`data=ordered`, delayed allocation) or XFS may do. It does not include special promises of one of them: a rename
over a file does not write out the new one's data, as ext4's `auto_da_alloc` does and XFS does not. Where they may keep less, it may keep more: their sync
of a file that did not change commits nothing.
"""

from __future__ import annotations

import os
from random import Random

from .backing import Backing
from .nodes import Change, Cut, Directory, File, Link, Move, Node, Operation, bytes_of
from .tearing import BLOCK, survivors

MOST_OPERATIONS = 4096
"""The most operations that are not durable; beyond this, the oldest become durable, because a real journal has a limited size and is committed every few seconds."""


class Journaled:
    model = "journaled"
    block = BLOCK

    def __init__(self, backing: Backing) -> None:
        self._backing = backing
        self.journal: list[Operation] = []

    def record(self, operation: Operation) -> None:
        self.journal.append(operation)
        for node in _mentioned(operation):
            node.pins += 1
        if len(self.journal) > MOST_OPERATIONS:
            self.commit(MOST_OPERATIONS // 2)

    def settle(self) -> None:
        """Make everything so far durable."""
        self.commit(len(self.journal))

    def sync_directory(self, directory: Directory) -> None:
        self.settle()

    def sync_all(self) -> None:
        self.settle()

    def commit(self, count: int) -> None:
        """Make the oldest operations durable, in their order."""
        done, self.journal = self.journal[:count], self.journal[count:]
        touched: dict[Directory, None] = {}
        for operation in done:
            self._do(operation)
            if isinstance(operation, Move):
                touched |= dict.fromkeys((operation.source, operation.target))
            elif not isinstance(operation, Cut):
                touched[operation.directory] = None
            for node in _mentioned(operation):
                node.pins -= 1
                self._backing.drop_if_gone(node)
        for directory in touched:
            if directory.home is not None or directory.parent is None:
                self._backing.sync_directory(directory)

    def forget(self) -> None:
        """Forget all pending operations: the nodes were read again."""
        self.journal = []

    def survivors(self, draw: int, losing: bool) -> dict[File, list[Change]]:
        """Simulate a power loss: a random part of the journal becomes durable. Return the pending writes that survive, by file.

        `losing`: at least one write is lost, if there is one.
        """
        random, everything = Random(f"{draw}/journal"), len(self.journal)
        durable = crash_point(everything, random)
        pending = any(file.pending_bytes for file in self._backing.files())
        if losing and durable == everything and everything and not pending:
            durable = random.randrange(everything)
        self.commit(durable)
        named = {file.path: file for file in self._backing.files() if file.homes and file.pending}
        found = {
            file: survivors(self._backing.stat(file).st_size, file.pending, Random(f"{draw}/{path}"), self.block)
            for path, file in sorted(named.items())
        }
        if losing and durable == everything and all(bytes_of(found[file]) == file.pending_bytes for file in found):
            return {}
        return found

    def _do(self, operation: Operation) -> None:
        if isinstance(operation, Link):
            self._backing.add(operation.node, operation.directory, operation.name)
        elif isinstance(operation, Move):
            self._backing.move(operation)
        elif isinstance(operation, Cut):
            self._cut(operation)
        elif isinstance(operation.node, Directory):
            self._backing.remove_directory(operation.node)
        else:
            self._backing.remove(operation.directory, operation.name)

    def _cut(self, cut: Cut) -> None:
        """Apply the operation, unless a sync has done so, or a failed sync has lost it."""
        for position, change in enumerate(cut.file.pending):
            if change is cut.change:
                with self._backing.opened(cut.file, os.O_WRONLY) as descriptor:
                    os.ftruncate(descriptor, change.offset)
                    os.fdatasync(descriptor)
                cut.file.pending[position] = change._replace(durable=True)
                return


def crash_point(length: int, random: Random) -> int:
    """Return how many operations of the journal become durable: none, all, or any number."""
    kept = random.choice(("none", "all", "some"))
    return {"none": 0, "all": length}.get(kept, random.randint(0, length))


def _mentioned(operation: Operation) -> list[Node]:
    if isinstance(operation, Cut):
        return [operation.file]
    if isinstance(operation, Move):
        nodes = [operation.source, operation.target, operation.node, operation.replaced]
        return [node for node in nodes if node is not None]
    return [operation.directory, operation.node]
