"""The kernel's requests as operations of the tree, each with the errors that the device has at that moment.

`handle` returns the answer, or nothing if there is none yet: a request that hangs is answered when the trouble ends, or when the process that
waits for it is killed (the kernel says so by an INTERRUPT); slow requests are answered by `due`.
"""

from __future__ import annotations

import errno
import heapq
import os
import stat
import struct
import time
import traceback
from collections.abc import Callable
from random import Random

from .protocol import (
    OPEN_OUT,
    READ_WRITE,
    SETATTR,
    STATFS,
    Attributes,
    Op,
    Request,
    Set,
    answer,
    attr_answer,
    dirent,
    entry_answer,
    init_answer,
)
from .tree.nodes import HIDDEN, Directory, File
from .tree.tree import Tree
from .trouble import Kind, Trouble

_NO_ANSWER = (Op.FORGET, Op.BATCH_FORGET, Op.INTERRUPT)
_NEVER_TROUBLED = (*_NO_ANSWER, Op.INIT, Op.DESTROY, Op.RELEASE, Op.RELEASEDIR)
_KINDS: dict[int, Kind] = {
    Op.READ: Kind.READ,
    Op.WRITE: Kind.WRITE,
    Op.CREATE: Kind.WRITE,
    Op.MKNOD: Kind.WRITE,
    Op.MKDIR: Kind.WRITE,
    Op.UNLINK: Kind.WRITE,
    Op.RMDIR: Kind.WRITE,
    Op.RENAME: Kind.WRITE,
    Op.RENAME2: Kind.WRITE,
    Op.LINK: Kind.WRITE,
    Op.SETATTR: Kind.WRITE,
    Op.FSYNC: Kind.SYNC,
    Op.FSYNCDIR: Kind.SYNC,
    Op.SYNCFS: Kind.SYNC,
}
_FREES_SPACE = (Op.UNLINK, Op.RMDIR, Op.SETATTR)
"""Operations that a full disk allows: removing names and truncating files."""


class Operations:
    """`held_syncs` counts the syncs that wait because the device must hold them."""

    def __init__(self, tree: Tree, random: Random) -> None:
        self.tree, self.trouble = tree, Trouble()
        self._random = random
        self._waiting: dict[int, Request] = {}
        self._later: list[tuple[int, int, bytes]] = []

    @property
    def held_syncs(self) -> int:
        return sum(_kind(request) is Kind.SYNC for request in self._waiting.values())

    def set_trouble(self, trouble: Trouble) -> list[bytes]:
        """Set the errors of the device; return the delayed answers that can be sent now."""
        self.trouble = trouble
        waiting, self._waiting = self._waiting, {}
        answers = [self.handle(request) for request in waiting.values()]
        return [one for one in answers if one is not None]

    def due(self, now_ns: int) -> list[bytes]:
        """Slow answers that are due."""
        answers = []
        while self._later and self._later[0][0] <= now_ns:
            answers.append(heapq.heappop(self._later)[2])
        return answers

    def next_due_ns(self) -> int | None:
        return self._later[0][0] if self._later else None

    def handle(self, request: Request) -> bytes | None:
        if request.op == Op.INTERRUPT:
            return self._interrupt(struct.unpack_from("<Q", request.body)[0])
        kind = _kind(request)
        if request.op not in _NEVER_TROUBLED and self.trouble.hangs(kind):
            self._waiting[request.unique] = request
            return None
        try:
            body = self._do(request, kind)
        except OSError as error:
            reply = answer(request.unique, error=error.errno or errno.EIO)
        except Exception:
            # A bug of ours. A disk that ends takes the files under test with it: no request may end it.
            traceback.print_exc()
            reply = answer(request.unique, error=errno.EIO)
        else:
            if body is None:
                return None
            reply = answer(request.unique, body)
        delay_ns = 0 if request.op in _NEVER_TROUBLED else self.trouble.delay_ns(kind, self._random)
        if not delay_ns:
            return reply
        heapq.heappush(self._later, (time.monotonic_ns() + delay_ns, request.unique, reply))
        return None

    def _interrupt(self, unique: int) -> bytes | None:
        """Handle the kill of a waiting process. An operation that hangs is given up; one that is done but whose answer is delayed is answered."""
        if self._waiting.pop(unique, None) is not None:
            return answer(unique, error=errno.EINTR)
        slow = [one for one in self._later if one[1] == unique]
        self._later = [one for one in self._later if one[1] != unique]
        heapq.heapify(self._later)
        return slow[0][2] if slow else None

    def _do(self, request: Request, kind: Kind) -> bytes | None:
        handler = _HANDLERS.get(request.op)
        if handler is None:
            raise OSError(errno.ENOSYS, f"no operation {request.op}")
        error = self.trouble.error(kind)
        if error == errno.ENOSPC and request.op in _FREES_SPACE:
            error = 0
        if kind is Kind.SYNC:
            return self._sync(request, error)
        if error and request.op not in _NEVER_TROUBLED:
            raise OSError(error, os.strerror(error))
        return handler(self, request)

    # Names

    def _lookup(self, request: Request) -> bytes:
        return self._entry(self.tree.find(self._directory(request.node), request.names()[0]))

    def _create(self, request: Request) -> bytes:
        _, mode, _, _ = request.unpack("<IIII")
        file = self.tree.create(self._directory(request.node), request.names(16)[0], mode, request.uid, request.gid)
        return self._entry(file) + OPEN_OUT.pack(0, 0, 0)

    def _mknod(self, request: Request) -> bytes:
        mode, _, _, _ = request.unpack("<IIII")
        if not stat.S_ISREG(mode):
            raise OSError(errno.EPERM, "only files and directories are supported")
        directory, name = self._directory(request.node), request.names(16)[0]
        return self._entry(self.tree.create(directory, name, mode, request.uid, request.gid))

    def _mkdir(self, request: Request) -> bytes:
        mode, _ = request.unpack("<II")
        directory, name = self._directory(request.node), request.names(8)[0]
        return self._entry(self.tree.make_directory(directory, name, mode, request.uid, request.gid))

    def _unlink(self, request: Request) -> bytes:
        self.tree.unlink(self._directory(request.node), request.names()[0])
        return b""

    def _rmdir(self, request: Request) -> bytes:
        self.tree.remove_directory(self._directory(request.node), request.names()[0])
        return b""

    def _rename(self, request: Request) -> bytes:
        offset = 8
        if request.op == Op.RENAME2:
            offset = 16
            if request.unpack("<QII")[1]:
                raise OSError(errno.EINVAL, "plain renames only")
        old, new = request.names(offset)[:2]
        target = self._directory(request.unpack("<Q")[0])
        self.tree.rename(self._directory(request.node), old, target, new)
        return b""

    def _link(self, request: Request) -> bytes:
        file = self._file(request.unpack("<Q")[0])
        self.tree.link(file, self._directory(request.node), request.names(8)[0])
        return self._entry(file)

    def _readdir(self, request: Request) -> bytes:
        _, offset, size, _, _, _, _ = READ_WRITE.unpack_from(request.body)
        directory = self._directory(request.node)
        entries: list[tuple[str, int, int]] = [(".", directory.number, 4), ("..", 1, 4)]
        entries += [
            (name, node.number, 4 if isinstance(node, Directory) else 8)
            for name, node in sorted(directory.names.items())
            if not name.startswith(HIDDEN)
        ]
        listed = b""
        for position, (name, number, kind) in enumerate(entries[offset:], offset + 1):
            entry = dirent(number, position, name, kind)
            if len(listed) + len(entry) > size:
                break
            listed += entry
        return listed

    # Content

    def _read(self, request: Request) -> bytes:
        _, offset, size, _, _, _, _ = READ_WRITE.unpack_from(request.body)
        return self.tree.read(self._file(request.node), offset, size)

    def _write(self, request: Request) -> bytes:
        _, offset, size, _, _, _, _ = READ_WRITE.unpack_from(request.body)
        self.tree.write(self._file(request.node), offset, request.body[READ_WRITE.size : READ_WRITE.size + size])
        return struct.pack("<II", size, 0)

    def _sync(self, request: Request, error: int) -> bytes:
        """Sync, or fail with `error`: then the data never become durable. A read-only disk fails only if there is something to write, which stays
        pending.
        """
        node = self.tree.nodes.get(request.node)
        if error:
            if isinstance(node, File):
                self.tree.fail_sync(node)
            raise OSError(error, os.strerror(error))
        if self.trouble.read_only and isinstance(node, File) and node.pending:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        if self.trouble.lying or self.trouble.read_only:
            return b""
        if request.op == Op.SYNCFS:
            self.tree.sync_all()
        elif request.op == Op.FSYNC:
            self.tree.sync(self._file(request.node))
        else:
            self.tree.sync_names(self._directory(request.node))
        return b""

    # Attributes

    def _getattr(self, request: Request) -> bytes:
        return attr_answer(self._attributes(self._node(request.node)))

    def _setattr(self, request: Request) -> bytes:
        valid, _, _, size, _, atime, mtime, _, atime_ns, mtime_ns, _, mode, _, uid, gid, _ = SETATTR.unpack_from(
            request.body
        )
        node = self._node(request.node)
        if valid & Set.SIZE:
            self.tree.cut(self._file(request.node), size)
        if valid & (Set.MODE | Set.UID | Set.GID):
            # They are durable at once, and so is what was before them.
            self.tree.settle()
        path = node.path
        if valid & Set.MODE:
            os.chmod(path, stat.S_IMODE(mode), dir_fd=self.tree.backing)
        if valid & (Set.UID | Set.GID):
            os.chown(path, uid if valid & Set.UID else -1, gid if valid & Set.GID else -1, dir_fd=self.tree.backing)
        if valid & (Set.ATIME | Set.MTIME):
            found, now_ns = self.tree.stat(node), time.time_ns()
            times = (
                _time(valid, Set.ATIME, Set.ATIME_NOW, atime * 10**9 + atime_ns, now_ns, found.st_atime_ns),
                _time(valid, Set.MTIME, Set.MTIME_NOW, mtime * 10**9 + mtime_ns, now_ns, found.st_mtime_ns),
            )
            os.utime(path, ns=times, dir_fd=self.tree.backing)
            if isinstance(node, File):
                node.mtime_ns = times[1]
        return attr_answer(self._attributes(node))

    def _statfs(self, request: Request) -> bytes:
        found = os.fstatvfs(self.tree.backing)
        free = 0 if self.trouble.full else found.f_bavail
        return STATFS.pack(
            found.f_blocks, free, free, found.f_files, found.f_ffree, found.f_bsize, found.f_namemax, found.f_frsize, 0
        )

    # The rest

    def _open(self, request: Request) -> bytes:
        if self.trouble.read_only and request.unpack("<I")[0] & os.O_ACCMODE != os.O_RDONLY:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        self._node(request.node)
        return OPEN_OUT.pack(0, 0, 0)

    def _nothing(self, request: Request) -> bytes:
        return b""

    def _init(self, request: Request) -> bytes:
        return init_answer(request.body)

    def _forget(self, request: Request) -> None:
        self.tree.forget(request.node, request.unpack("<Q")[0])

    def _batch_forget(self, request: Request) -> None:
        count = request.unpack("<I")[0]
        for position in range(count):
            number, lookups = struct.unpack_from("<QQ", request.body, 8 + 16 * position)
            self.tree.forget(number, lookups)

    def _entry(self, node: File | Directory) -> bytes:
        body = entry_answer(self._attributes(node))
        node.lookups += 1
        return body

    def _attributes(self, node: File | Directory) -> Attributes:
        found = self.tree.stat(node)
        size, links, mtime_ns = found.st_size, found.st_nlink, found.st_mtime_ns
        if isinstance(node, File):
            size, links, mtime_ns = node.size, node.links, node.mtime_ns
        return Attributes(
            node.number,
            size,
            found.st_mode,
            links,
            found.st_uid,
            found.st_gid,
            found.st_atime_ns,
            mtime_ns,
            max(mtime_ns, found.st_ctime_ns),
        )

    def _node(self, number: int) -> File | Directory:
        try:
            return self.tree.nodes[number]
        except KeyError:
            raise OSError(errno.ESTALE, "it is gone") from None

    def _file(self, number: int) -> File:
        node = self._node(number)
        if not isinstance(node, File):
            raise OSError(errno.EISDIR, "it is a directory")
        return node

    def _directory(self, number: int) -> Directory:
        node = self._node(number)
        if not isinstance(node, Directory):
            raise OSError(errno.ENOTDIR, "it is not a directory")
        return node


_HANDLERS: dict[int, Callable[[Operations, Request], bytes | None]] = {
    Op.LOOKUP: Operations._lookup,
    Op.FORGET: Operations._forget,
    Op.BATCH_FORGET: Operations._batch_forget,
    Op.GETATTR: Operations._getattr,
    Op.SETATTR: Operations._setattr,
    Op.MKNOD: Operations._mknod,
    Op.MKDIR: Operations._mkdir,
    Op.UNLINK: Operations._unlink,
    Op.RMDIR: Operations._rmdir,
    Op.RENAME: Operations._rename,
    Op.RENAME2: Operations._rename,
    Op.LINK: Operations._link,
    Op.OPEN: Operations._open,
    Op.OPENDIR: Operations._open,
    Op.READ: Operations._read,
    Op.WRITE: Operations._write,
    Op.STATFS: Operations._statfs,
    Op.RELEASE: Operations._nothing,
    Op.RELEASEDIR: Operations._nothing,
    Op.FSYNC: Operations._nothing,
    Op.FSYNCDIR: Operations._nothing,
    Op.SYNCFS: Operations._nothing,
    Op.READDIR: Operations._readdir,
    Op.CREATE: Operations._create,
    Op.INIT: Operations._init,
    Op.DESTROY: Operations._nothing,
}
"""`_sync` handles syncs before; they are listed so that every existing operation is here."""


def _kind(request: Request) -> Kind:
    if request.op == Op.SETATTR and not request.unpack("<I")[0] & Set.SIZE:
        return Kind.LOOK
    return _KINDS.get(request.op, Kind.LOOK)


def _time(valid: int, given: Set, now: Set, value_ns: int, now_ns: int, before_ns: int) -> int:
    if valid & now:
        return now_ns
    return value_ns if valid & given else before_ns
