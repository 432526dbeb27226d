"""The directory beneath the mount: durable data, under its durable names; and the known files and directories.

Files and directories without a durable name are in its subdirectory `HIDDEN`, under their numbers. If the daemon is killed during a method, the names are
as before it or as after it. Raises `OSError` like system calls.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from .nodes import HIDDEN, Directory, File, Move, Node

ROOT = 1


class Backing:
    """`descriptor` is that of the directory."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        # Numbers are never used again, or the kernel would take a new file for one that it remembers.
        self._next = ROOT + 1
        self.root = Directory(ROOT, None, "")
        self.nodes: dict[int, Node] = {}
        with suppress(FileExistsError):
            os.mkdir(HIDDEN, 0o700, dir_fd=descriptor)

    def load(self) -> None:
        """Forget every node and read the directory again."""
        self._empty_hidden()
        self.root = Directory(ROOT, None, "")
        self.root.lookups = 1
        self.nodes = {ROOT: self.root}
        by_inode: dict[int, File] = {}
        waiting = [self.root]
        while waiting:
            waiting += self._load(waiting.pop(), by_inode)

    def files(self) -> list[File]:
        return [node for node in self.nodes.values() if isinstance(node, File)]

    def directories(self) -> list[Directory]:
        return [node for node in self.nodes.values() if isinstance(node, Directory)]

    def stat(self, node: Node) -> os.stat_result:
        return os.stat(node.path, dir_fd=self.descriptor, follow_symlinks=False)

    @contextmanager
    def opened(self, file: File, flags: int) -> Iterator[int]:
        descriptor = os.open(file.path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=self.descriptor)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    # Files and directories without a name

    def make_file(self, mode: int, uid: int, gid: int) -> File:
        file = File(self._number(), 0)
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
        descriptor = os.open(file.path, flags, 0o600, dir_fd=self.descriptor)
        try:
            _own(descriptor, mode, uid, gid)
        finally:
            os.close(descriptor)
        self.nodes[file.number] = file
        return file

    def make_directory(self, parent: Directory, name: str, mode: int, uid: int, gid: int) -> Directory:
        made = Directory(self._number(), parent, name)
        os.mkdir(made.path, 0o700, dir_fd=self.descriptor)
        descriptor = self._open_directory(made.path)
        try:
            _own(descriptor, mode, uid, gid)
        finally:
            os.close(descriptor)
        self.nodes[made.number] = made
        return made

    def drop_if_gone(self, node: Node) -> None:
        """Forget the node if nothing can reach it: it has no name, the kernel has forgotten it, and no pending operation refers to it."""
        if node.lookups or node.pins or node is self.root:
            return
        if isinstance(node, Directory):
            if node.home is None and (node.parent is None or node.parent.names.get(node.name) is not node):
                self.nodes.pop(node.number, None)
                with suppress(FileNotFoundError):
                    os.rmdir(node.path, dir_fd=self.descriptor)
        elif node.links == 0 and not node.homes:
            self.nodes.pop(node.number, None)
            with suppress(FileNotFoundError):
                os.unlink(node.path, dir_fd=self.descriptor)

    # Durable names

    def add(self, node: Node, directory: Directory, name: str) -> None:
        """Give the file this durable name, replacing a file that has it."""
        target = os.path.normpath(f"{directory.path}/{name}")
        if isinstance(node, Directory):
            self._rename(node.path, target)
            node.home = (directory, name)
            return
        replaced = self._take_name(directory, name)
        source, temporary = node.path, f"{HIDDEN}/name"
        self._link(source, temporary)
        self._rename(temporary, target)
        if not node.homes:
            os.unlink(source, dir_fd=self.descriptor)
        self._give_name(node, directory, name)
        self._drop(replaced)

    def remove(self, directory: Directory, name: str) -> None:
        """Remove a file's durable name."""
        path = os.path.normpath(f"{directory.path}/{name}")
        file = self._take_name(directory, name)
        os.unlink(path, dir_fd=self.descriptor)
        self._drop(file)

    def remove_directory(self, directory: Directory) -> None:
        os.rmdir(directory.path, dir_fd=self.descriptor)
        directory.home = None
        self.drop_if_gone(directory)

    def move(self, move: Move) -> None:
        """Change a durable name, replacing the file that has the new one."""
        source, target = move.source, move.target
        path, node = os.path.normpath(f"{target.path}/{move.new}"), move.node
        replaced: Node | None = self._take_name(target, move.new)
        self._rename(os.path.normpath(f"{source.path}/{move.old}"), path)
        if isinstance(node, Directory):
            node.home = (target, move.new)
        else:
            node.homes.pop((source, move.old))
            source.durable.pop(move.old)
            self._give_name(node, target, move.new)
        if isinstance(move.replaced, Directory):
            replaced, move.replaced.home = move.replaced, None
        self._drop(replaced)

    def sync_directory(self, directory: Directory) -> None:
        descriptor = self._open_directory(directory.path)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _take_name(self, directory: Directory, name: str) -> File | None:
        """Remove the name from the file that has it. The bytes stay after the last name is gone, because readers may have the file open or use another name."""
        file = directory.durable.pop(name, None)
        if file is None:
            return None
        path = file.path
        file.homes.pop((directory, name))
        if not file.homes:
            self._link(path, file.path)
        return file

    def _give_name(self, file: File, directory: Directory, name: str) -> None:
        file.homes[directory, name] = None
        directory.durable[name] = file

    def _drop(self, node: Node | None) -> None:
        if node is not None:
            self.drop_if_gone(node)

    def _link(self, source: str, target: str) -> None:
        os.link(source, target, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor, follow_symlinks=False)

    def _rename(self, source: str, target: str) -> None:
        os.rename(source, target, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    # What is there

    def _load(self, directory: Directory, by_inode: dict[int, File]) -> list[Directory]:
        """Read the content of this directory. Return its directories."""
        inner: list[Directory] = []
        for name in self._listed(directory.path):
            if directory is self.root and name.startswith(HIDDEN):
                if name != HIDDEN:
                    # Left by a probe that died with the disk.
                    os.unlink(name, dir_fd=self.descriptor)
                continue
            found = os.stat(os.path.normpath(f"{directory.path}/{name}"), dir_fd=self.descriptor, follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode):
                child = Directory(self._number(), directory, name)
                child.home = (directory, name)
                self.nodes[child.number] = directory.names[name] = child
                inner.append(child)
            elif stat.S_ISREG(found.st_mode):
                file = by_inode.get(found.st_ino) or File(self._number(), found.st_size)
                file.links, file.mtime_ns = file.links + 1, found.st_mtime_ns
                by_inode[found.st_ino] = self.nodes[file.number] = directory.names[name] = file
                self._give_name(file, directory, name)
        return inner

    def _empty_hidden(self) -> None:
        for orphan in self._listed(HIDDEN):
            path = f"{HIDDEN}/{orphan}"
            try:
                os.unlink(path, dir_fd=self.descriptor)
            except IsADirectoryError:
                os.rmdir(path, dir_fd=self.descriptor)

    def _listed(self, path: str) -> list[str]:
        descriptor = self._open_directory(path)
        try:
            return sorted(os.listdir(descriptor))
        finally:
            os.close(descriptor)

    def _number(self) -> int:
        number, self._next = self._next, self._next + 1
        return number

    def _open_directory(self, path: str) -> int:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.descriptor)


def _own(descriptor: int, mode: int, uid: int, gid: int) -> None:
    """Set mode and owner as the requesting process would have. If changing owners is not permitted, there is only one owner."""
    os.fchmod(descriptor, stat.S_IMODE(mode))
    if (uid, gid) != (os.geteuid(), os.getegid()):
        with suppress(PermissionError):
            os.fchown(descriptor, uid, gid)
