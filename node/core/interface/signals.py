"""Signals between the machines of one node, within a step. Core delivers each signal to every machine that handles its type.

The requesting machine chooses `token`, which comes back in the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Union

from ...snapshot_text import SnapshotText
from .entry import Command, Entry
from .value import frozen


@frozen
class Propose:
    """Append this command, if this node leads. Answered by `Proposed` or `NotProposed` in the same step."""

    token: int
    command: Command


@frozen
class Proposed:
    token: int
    index: int
    term: int


@frozen
class NotProposed:
    """Nothing was appended. `retry`: the leadership is being transferred; propose again when the leader is known."""

    token: int
    retry: bool


@frozen
class Committed:
    """Commit of these entries, next in order."""

    entries: Sequence[Entry]


@frozen
class Applied:
    """The state machine applied these entries; `results` holds the result of each command. `touched`: ids by application, for which `Changed` follows."""

    entries: Sequence[Entry]
    results: Sequence[Any]
    touched: Mapping[str, Sequence[str]] = field(default_factory=dict)


@frozen
class LeaderChanged:
    """`leader` (None: unknown) leads `term`, as far as this node knows; `here`: it is this node."""

    leader: str | None
    term: int
    here: bool


@frozen
class QuorumLost:
    """No contact with a quorum since `since_ns`, for one election timeout."""

    since_ns: int


@frozen
class QuorumRegained:
    pass


@frozen
class ReadRequest:
    """A linearizable read arrived and needs a safe index. Answered by `ReadReady` or `ReadFailed`; the answer may never come."""

    token: int


@frozen
class ReadReady:
    token: int
    index: int


@frozen
class ReadFailed:
    token: int


@frozen
class Query:
    """Read from the applied state of this moment. Answered by `Answer` in the same step."""

    token: int
    ops: Sequence[Sequence[Any]]


@frozen
class Answer:
    """`body`: status with results or error, as a reply has them."""

    token: int
    body: dict[str, Any]
    index: int


@frozen
class SnapshotDue:
    """`entries` were applied since the last snapshot. Answered by `SnapshotTaken`, in a later step when the state is large. No answer when they are few
    compared to the state.
    """

    entries: int


@frozen
class SnapshotTaken:
    """The whole applied state at `index`, as text."""

    index: int
    text: SnapshotText
    digest: str


@frozen
class Restore:
    """Replace the applied state by this one (None: the empty state)."""

    index: int
    data: str | None


@frozen
class Transfer:
    """Transfer the leadership to `to`. Answered by `AdminDone`."""

    token: int
    to: str


@frozen
class SetVoters:
    """Change to these weights, one step per entry; nodes not named get 0. `force`: even without a quorum of ready voters. Answered by `AdminDone`."""

    token: int
    voters: Mapping[str, int]
    force: bool = False


@frozen
class VotersChanged:
    """Change of the voters: these weights are active from now on; the entry may not be committed yet."""

    voters: Mapping[str, int]


@frozen
class AdminDone:
    """`error` None: done at `index`. Otherwise one of the protocol's error names, with a message. `partly`: some of it was appended."""

    token: int
    index: int
    error: str | None = None
    message: str = ""
    partly: bool = False


@frozen
class Submit:
    """Submit this command to the log through the current leader, again and again, until it is applied here or withdrawn.

    `key` names the proposal: a later one of the same key replaces it. The command may be appended more than once.
    """

    key: str
    command: Command


@frozen
class Withdraw:
    key: str


@frozen
class Submitted:
    """The command of this proposal was applied at `index`; `result` is the application's answer."""

    key: str
    index: int
    result: Mapping[str, Any]


@frozen
class Changed:
    """The replicated application of this name touched these ids. `view` is its state by id, read-only."""

    app: str
    ids: Sequence[str]
    view: Mapping[str, Any]


@frozen
class RosterChanged:
    """Change of the roster: these nodes, in addition to this one, receive the log from now on."""

    names: Sequence[str]


@frozen
class Found:
    """A node of this cluster announced its address: `host`:`port` for messages, `udp_port` for datagrams."""

    name: str
    host: str
    port: int
    udp_port: int
    role: str
    incarnation: int


@frozen
class Detected:
    """Change of this node's belief about a member, by its failure detector: `alive`, `suspect` or `failed`, in this incarnation of it."""

    name: str
    incarnation: int
    belief: str


@frozen
class Measured:
    """Smoothed measurements of this node of the links to others: round trip in ns, bandwidth in bytes per second (absent: unknown)."""

    rtt_ns: Mapping[str, int]
    bandwidth_bps: Mapping[str, int]


@frozen
class AgentsHere:
    """Report of the agents that run on this node, at these epochs; none while it is suspended. `state` is their live state by agent, read-only."""

    running: Mapping[str, int]
    state: Mapping[str, Mapping[str, Any]]


@frozen
class AgentWork:
    """A task of the agent set these keys of its state (None: removed), at that epoch of the agent."""

    agent: str
    epoch: int
    changes: Mapping[str, Any]


@frozen
class Distances:
    """All reported measurements of all members: from → to → round trip in ns, and bandwidth in bytes per second. On the leader only."""

    rtt_ns: Mapping[str, Mapping[str, int]]
    bandwidth_bps: Mapping[str, Mapping[str, int]]


Signal = Union[
    Propose,
    Proposed,
    NotProposed,
    Committed,
    Applied,
    LeaderChanged,
    QuorumLost,
    QuorumRegained,
    ReadRequest,
    ReadReady,
    ReadFailed,
    Query,
    Answer,
    SnapshotDue,
    SnapshotTaken,
    Restore,
    Transfer,
    SetVoters,
    AdminDone,
    Submit,
    Withdraw,
    Submitted,
    Changed,
    RosterChanged,
    Found,
    Detected,
    Measured,
    AgentsHere,
    AgentWork,
    Distances,
    VotersChanged,
]
