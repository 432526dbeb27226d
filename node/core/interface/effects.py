"""Effects: the outputs of `Core.step`, which a driver carries out.

Order is data. `after=(op, …)` on a send, a reply, a storage operation or a trace means "not before these storage operations succeeded". The drivers
enforce and assert this order. A flaw that omits `after` is a bug that the checkers must find.

Storage is a flat directory of files. Operations on one file run in emitted order; across files only `after` orders them. `Append` and `Write` are
durable only after a later `Fsync` of that file succeeded. *Names* made or removed by creation, `Rename` and `Remove` are durable only after a later
`FsyncDir`. An fsync error is never retried.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Union

from .messages import Message
from .value import frozen


@frozen
class Send:
    """Send `message` to the node `peer`. May be lost without notice; never blocks."""

    peer: str
    message: Message
    after: tuple[int, ...] = ()


@frozen
class Reply:
    """Answer a client's request. `body` always carries the request's `id`."""

    client: str
    body: Mapping[str, Any]
    after: tuple[int, ...] = ()


@frozen
class SetTimer:
    """Fire `TimerFired(key, generation)` at `at_ns` (monotonic). Replaces an earlier timer of the same key."""

    key: str
    generation: int
    at_ns: int


@frozen
class CancelTimer:
    key: str


@frozen
class Append:
    """Append `data` to `file`, creating it if absent."""

    op: int
    file: str
    data: bytes
    after: tuple[int, ...] = ()


@frozen
class Write:
    """Replace the content of `file` with `data`, creating it if absent. Not atomic: use with `Rename`."""

    op: int
    file: str
    data: bytes
    after: tuple[int, ...] = ()


@frozen
class Truncate:
    """Cut `file` to `size` bytes."""

    op: int
    file: str
    size: int
    after: tuple[int, ...] = ()


@frozen
class Fsync:
    op: int
    file: str
    after: tuple[int, ...] = ()


@frozen
class Rename:
    """Atomically rename `file` to `to`, replacing it."""

    op: int
    file: str
    to: str
    after: tuple[int, ...] = ()


@frozen
class Remove:
    op: int
    file: str
    after: tuple[int, ...] = ()


@frozen
class FsyncDir:
    op: int
    after: tuple[int, ...] = ()


@frozen
class Trace:
    """A white-box event for the checkers (docs/reference/traces.md); `fields` are JSON values."""

    event: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    after: tuple[int, ...] = ()


DROPPED = "dropped"
"""Event name of the line that stands in for dropped trace lines: `count` of them, each of which has used up its number."""


def trace_number(following: int, event: str, fields: Mapping[str, Any]) -> int:
    """Return the `seq` of a trace line. `following` is the `seq` of the previous line plus 1. Drivers number lines when they release them."""
    return following + int(fields["count"]) if event == DROPPED else following


@frozen
class Halt:
    """Stop this node now: its disk failed or its state cannot be trusted. `reason` ends in a hint."""

    reason: str


@frozen
class SendDatagram:
    """Send `data` by UDP. May be lost, repeated or late; never blocks."""

    host: str
    port: int
    data: bytes


@frozen
class Broadcast:
    """Send `data` by UDP to this port of every host on the local networks."""

    port: int
    data: bytes


@frozen
class Meet:
    """Peer `peer` can be reached at `host`:`port` from now on: connect to it, and accept its connections."""

    peer: str
    host: str
    port: int


@frozen
class Part:
    """`peer` is no longer a peer: close the connections to it."""

    peer: str


@frozen
class RunTask:
    """Run `handler` outside of the core, once, and report `TaskDone(run)`. There is no report when the process ends first.

    `state` holds those keys of the agent's state that the payload names in `reads`.
    """

    run: int
    handler: str
    payload: Any
    state: Mapping[str, Any] = field(default_factory=dict)


@frozen
class DropTask:
    """Drop this run: its result is no longer needed. A run that has not begun need not begin, and its answer is dropped."""

    run: int


StorageEffect = Union[Append, Write, Truncate, Fsync, Rename, Remove, FsyncDir]
Effect = Union[
    Send,
    Reply,
    SetTimer,
    CancelTimer,
    StorageEffect,
    Trace,
    Halt,
    SendDatagram,
    Broadcast,
    Meet,
    Part,
    RunTask,
    DropTask,
]
