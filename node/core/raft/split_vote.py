"""The flaw `term-vote-split-write`: the vote in a file of its own, which nobody waits for."""

from __future__ import annotations

from collections.abc import Mapping

from ..interface.effects import Fsync, FsyncDir, Write
from ..interface.outbox import Outbox

_FILE = "vote"


def write_vote(out: Outbox, vote: str) -> None:
    write, fsync = out.next_op(), out.next_op()
    out.store(Write(write, _FILE, vote.encode()))
    out.store(Fsync(fsync, _FILE, (write,)))
    out.store(FsyncDir(out.next_op(), (fsync,)))


def read_vote(files: Mapping[str, bytes]) -> str:
    return files.get(_FILE, b"").decode("utf-8", "replace")
