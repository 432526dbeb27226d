"""Events: the inputs of `Core.step`.

The core never reads a clock, a socket or a file. All it needs arrives as one of these events. The drivers create them (sockets in
`tribulation.node.runtime`, virtual time in `tribulation.harness.simulator`). They are plain data, so every event can be recorded and replayed step by
step.

`wall_ns` is the host's wall clock, which a fault may have moved. Only `wall_clock.py` reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Union

from .messages import Message
from .value import frozen


@frozen
class Start:
    """The first event of every incarnation.

    `files` maps each name in the data directory to its bytes, as found on disk after a crash. Files larger than memory are not supported.
    `incarnation` counts the boots of this data directory, from 1; the driver makes it durable before this event. `seed` is the key of every random
    number of this incarnation.
    """

    incarnation: int
    seed: int
    files: Mapping[str, bytes] = field(default_factory=dict)
    wall_ns: int = 0


@frozen
class Connected:
    """A connection to or from `peer` is up and its identity is known. Messages can now be sent to it."""

    peer: str


@frozen
class Disconnected:
    """The last usable connection to `peer` is gone; messages in flight may or may not have arrived."""

    peer: str


@frozen
class DialRefused:
    """The host of `peer` refused a connection: no process listens there. The driver reports it a few times after a connection that was up has ended."""

    peer: str


@frozen
class Received:
    """A decoded message from another node. It may be a duplicate, late, or out of order."""

    peer: str
    message: Message
    wall_ns: int = 0


@frozen
class TimerFired:
    """A timer set with this key and generation is due. A generation that is not the latest is stale and ignored."""

    key: str
    generation: int
    wall_ns: int = 0


@frozen
class StorageDone:
    """The storage operation `op` ended; `error` is None when it succeeded. An fsync error halts the node."""

    op: int
    error: str | None = None


@frozen
class Request:
    """A client's request, as decoded from its frame (docs/reference/protocol.md); `client` names the connection."""

    client: str
    body: Mapping[str, Any]
    wall_ns: int = 0


@frozen
class ClientGone:
    """The client's connection closed. Replies to it are dropped; its requests may still take effect."""

    client: str


@frozen
class Datagram:
    """A UDP datagram from `host`:`port`, unchanged and not authenticated."""

    host: str
    port: int
    data: bytes
    wall_ns: int = 0


@frozen
class TaskDone:
    """The work that `RunTask` with this `run` requested has ended. `value` is JSON; when not `ok`, a sentence with the reason.

    `changes` are keys of the agent's state that it set (None: removed).
    """

    run: int
    ok: bool
    value: Any
    changes: Mapping[str, Any] = field(default_factory=dict)


Event = Union[
    Start,
    Connected,
    Disconnected,
    DialRefused,
    Received,
    TimerFired,
    StorageDone,
    Request,
    ClientGone,
    Datagram,
    TaskDone,
]
