"""Every message between nodes, and its form on the wire.

The part of a tag before the dot names the machine that receives it (`raft.append` goes to `raft`). On the wire a message is a JSON list: the tag and
the fields in order. `from_wire` trusts nothing: a wrong shape, type or sign is a ValueError that shows the value.

    to_wire(TimeoutNow(term=3)) == ["raft.timeout-now", 3]

All integers are non-negative. Receivers must expect every message to be lost, repeated, late, or out of order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, ClassVar, Union

from ...bounded import INTEGER_LIMIT
from .cluster_messages import CLUSTER_MESSAGES
from .entry import Entry, parse_entry
from .value import frozen

Json = Any
Entries = tuple[Entry, ...]


@frozen
class PreVote:
    """Ask whether the receiver would vote for the sender in `term` (the sender's term + 1). Changes nothing on either side (Raft thesis, 9.6)."""

    TAG: ClassVar[str] = "raft.pre-vote"
    term: int
    last_index: int
    last_term: int


@frozen
class PreVoteReply:
    """`term` is the answering node's own, `for_term` the requested one."""

    TAG: ClassVar[str] = "raft.pre-vote-reply"
    term: int
    for_term: int
    granted: bool


@frozen
class Vote:
    """RequestVote. `transfer`: the leader itself asked for this election, so a live leader is no reason to deny."""

    TAG: ClassVar[str] = "raft.vote"
    term: int
    last_index: int
    last_term: int
    transfer: bool


@frozen
class VoteReply:
    TAG: ClassVar[str] = "raft.vote-reply"
    term: int
    granted: bool


@frozen
class Heartbeat:
    """The sender leads `term`. `round` grows with every broadcast of this leader; `commit` is at most what the receiver is known to hold."""

    TAG: ClassVar[str] = "raft.heartbeat"
    term: int
    round: int
    commit: int


@frozen
class HeartbeatReply:
    """Echoes the round: the sender followed this leader after that round began."""

    TAG: ClassVar[str] = "raft.heartbeat-reply"
    term: int
    round: int


@frozen
class AppendEntries:
    """`entries` follow (`prev_index`, `prev_term`). `commit` is the leader's own."""

    TAG: ClassVar[str] = "raft.append"
    term: int
    prev_index: int
    prev_term: int
    entries: Entries
    commit: int


@frozen
class AppendReply:
    """Answer to AppendEntries. `ok`: the sender's log equals the leader's up to `match`, durably. Otherwise the leader should continue after index
    `match`.

    `prev_index` echoes the request. `torn`: this node lost the tail of its log, so what it acknowledged earlier no longer counts.
    """

    TAG: ClassVar[str] = "raft.append-reply"
    term: int
    ok: bool
    prev_index: int
    match: int
    torn: bool


@frozen
class InstallSnapshot:
    """A chunk of the snapshot at (`index`, `last_term`): characters from `offset` of `total`."""

    TAG: ClassVar[str] = "raft.snapshot"
    term: int
    index: int
    last_term: int
    offset: int
    total: int
    data: str


@frozen
class SnapshotReply:
    """`received`: the offset wanted next. `installed`: the log is durable at least up to `index`."""

    TAG: ClassVar[str] = "raft.snapshot-reply"
    term: int
    index: int
    received: int
    installed: bool


@frozen
class TimeoutNow:
    """Become a candidate at once: the leader of `term` hands over (Raft thesis, 3.10)."""

    TAG: ClassVar[str] = "raft.timeout-now"
    term: int


@frozen
class ReadIndex:
    """A follower requests a read index. A node never uses (`incarnation`, `context`) twice."""

    TAG: ClassVar[str] = "raft.read-index"
    term: int
    incarnation: int
    context: int


@frozen
class ReadIndexReply:
    """`index` is safe for every read that waited on this context; `ok` false: the sender does not lead."""

    TAG: ClassVar[str] = "raft.read-index-reply"
    term: int
    incarnation: int
    context: int
    ok: bool
    index: int


@frozen
class Forward:
    """A client's command for the leader of `term` and of no other term. The receiver never leads that term again, so a refusal is final."""

    TAG: ClassVar[str] = "clients.forward"
    term: int
    incarnation: int
    id: int
    deadline_ms: int
    request: Json


@frozen
class ForwardReply:
    """The outcome: the fields of a client reply (`status`, `error`, `results`, `index`, `term` …)."""

    TAG: ClassVar[str] = "clients.forward-reply"
    incarnation: int
    id: int
    body: Json


Message = Union[
    PreVote,
    PreVoteReply,
    Vote,
    VoteReply,
    Heartbeat,
    HeartbeatReply,
    AppendEntries,
    AppendReply,
    InstallSnapshot,
    SnapshotReply,
    TimeoutNow,
    ReadIndex,
    ReadIndexReply,
    Forward,
    ForwardReply,
    Any,  # One of `CLUSTER_MESSAGES`.
]

MESSAGES: tuple[type[Any], ...] = (
    PreVote,
    PreVoteReply,
    Vote,
    VoteReply,
    Heartbeat,
    HeartbeatReply,
    AppendEntries,
    AppendReply,
    InstallSnapshot,
    SnapshotReply,
    TimeoutNow,
    ReadIndex,
    ReadIndexReply,
    Forward,
    ForwardReply,
    *CLUSTER_MESSAGES,
)


def to_wire(message: Message) -> list[Any]:
    """Return the message as a list of JSON values."""
    tag, names = _SHAPES[type(message)]
    wire: list[Any] = [tag]
    for name, kind in names:
        value = getattr(message, name)
        wire.append([[e.index, e.term, e.text] for e in value] if kind == "Entries" else value)
    return wire


def from_wire(wire: list[Any]) -> Message:
    """Build the message from the list that `to_wire` made. Raises ValueError with the offending value."""
    if not isinstance(wire, list) or not wire or not isinstance(wire[0], str):
        raise ValueError(f"a message is a list that begins with its tag, not {_short(wire)}")
    shape = _CLASSES.get(wire[0])
    if shape is None:
        raise ValueError(f"unknown message tag {_short(wire[0])}")
    kind, parsers = shape
    if len(wire) != len(parsers) + 1:
        raise ValueError(f"{wire[0]} has {len(parsers)} fields, not {len(wire) - 1}: {_short(wire)}")
    values = []
    for (name, parse), value in zip(parsers, wire[1:], strict=True):
        try:
            values.append(parse(value))
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"field {name} of {wire[0]} is {_short(value)}: {error}") from None
    message: Message = kind(*values)
    return message


def _integer(value: Any) -> int:
    if type(value) is not int or not 0 <= value < INTEGER_LIMIT:
        raise ValueError("not a non-negative integer of 64 bits")
    return value


def _boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError("not true or false")
    return value


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError("not a string")
    return value


def _mapping(value: Any) -> dict[str, Any]:
    if type(value) is not dict:
        raise ValueError("not an object")
    return value


def _entries(value: Any) -> Entries:
    if type(value) is not list:
        raise ValueError("not a list of entries")
    entries = []
    for item in value:
        if type(item) is not list or len(item) != 3:
            raise ValueError(f"entry {_short(item)} is not [index, term, text]")
        entries.append(parse_entry(_integer(item[0]), _integer(item[1]), _text(item[2])))
        if entries[-1].index != entries[0].index + len(entries) - 1:
            raise ValueError(f"entry {entries[-1].index} does not follow its predecessor")
    return tuple(entries)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else text[:120] + "…"


_PARSERS: dict[str, Callable[[Any], Any]] = {
    "int": _integer,
    "bool": _boolean,
    "str": _text,
    "Json": _mapping,
    "Entries": _entries,
}
_SHAPES = {kind: (kind.TAG, [(f.name, str(f.type)) for f in fields(kind)]) for kind in MESSAGES}
_CLASSES = {kind.TAG: (kind, [(f.name, _PARSERS[str(f.type)]) for f in fields(kind)]) for kind in MESSAGES}
