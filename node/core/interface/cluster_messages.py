"""Messages of members, agents and tasks between nodes; `messages.py` has the rules and the wire form.

A message is a list of fields; `Json` fields are objects. No message exceeds a frame: longer data is sent in chunks.
"""

from __future__ import annotations

from typing import Any, ClassVar

from .value import frozen

Json = Any


@frozen
class SubmitCommand:
    """Request that the receiver appends this command, if it leads. `work` is `{"command": [...]}`. There is no answer: the sender sees the command
    applied, or sends it again.
    """

    TAG: ClassVar[str] = "submitter.command"
    work: Json


@frozen
class ProbePing:
    """Request an immediate `ProbePong`. `padding` makes it long when bandwidth is measured."""

    TAG: ClassVar[str] = "prober.ping"
    number: int
    padding: str


@frozen
class ProbePong:
    """Answer to the ping of that number."""

    TAG: ClassVar[str] = "prober.pong"
    number: int


@frozen
class ProbeReport:
    """Measurements of the sender, for the leader: `{"rtt_ns": {node: ns}, "bandwidth_bps": {node: bytes per second}}`."""

    TAG: ClassVar[str] = "prober.report"
    measured: Json


@frozen
class AgentPiece:
    """Chunk `number`, from 1, of an agent's state under migration: migration `since` of its `epoch`. `work` is `{"changes": {…}, "gone": […]}`.

    `last`: the agent is paused, and its state including this chunk has `digest`.
    """

    TAG: ClassVar[str] = "agents.piece"
    agent: str
    epoch: int
    since: int
    number: int
    last: bool
    digest: str
    work: Json


@frozen
class AgentAck:
    """The target of migration `since` holds everything up to chunk `received`. `whole`: that is all of it, and the digest matches."""

    TAG: ClassVar[str] = "agents.ack"
    agent: str
    since: int
    received: int
    whole: bool


@frozen
class MemoryAsk:
    """Request the changes that the receiver has and `vector` does not cover: chunk number `chunk`, from 1, of the sender's sync `session`."""

    TAG: ClassVar[str] = "memory.ask"
    session: int
    chunk: int
    vector: Json


@frozen
class MemoryChunk:
    """Chunk `chunk` of `session`: a TRMM delta in base64, `packed` by zlib when large. `last`: with this chunk the receiver has everything that the
    vector in the delta's metadata covers.
    """

    TAG: ClassVar[str] = "memory.chunk"
    session: int
    chunk: int
    last: bool
    packed: bool
    data: str


@frozen
class MemoryPush:
    """A change that the sender made: `work` is {"record": [kind, id, state], "dot": [replica, number]}. If `wanted`, the receiver answers with
    `MemoryStored` once the change is durable.
    """

    TAG: ClassVar[str] = "memory.push"
    number: int
    wanted: bool
    work: Json


@frozen
class MemoryStored:
    TAG: ClassVar[str] = "memory.stored"
    number: int


@frozen
class MemoryFetch:
    """Request the receiver's state of this record."""

    TAG: ClassVar[str] = "memory.fetch"
    number: int
    kind: str
    record: str


@frozen
class MemoryState:
    """Answer to `MemoryFetch`: `work` is {"state": state or null}."""

    TAG: ClassVar[str] = "memory.state"
    number: int
    work: Json


CLUSTER_MESSAGES: tuple[type[Any], ...] = (
    SubmitCommand,
    ProbePing,
    ProbePong,
    ProbeReport,
    AgentPiece,
    AgentAck,
    MemoryAsk,
    MemoryChunk,
    MemoryPush,
    MemoryStored,
    MemoryFetch,
    MemoryState,
)
