"""The messages of members, agents and tasks from node to node; `messages.py` has the rules and the wire form.

A message is a row of fields; `Json` fields are objects. None is larger than a frame: whoever sends much sends pieces.
"""

from __future__ import annotations

from typing import Any, ClassVar

from .value import frozen

Json = Any


@frozen
class SubmitCommand:
    """Append this command, if you lead. `work` is `{"command": [...]}`. There is no answer: who asked sees it applied, or asks again."""

    TAG: ClassVar[str] = "submitter.command"
    work: Json


@frozen
class ProbePing:
    """Answer this at once. `padding` makes it long, when it is the bandwidth that is measured."""

    TAG: ClassVar[str] = "prober.ping"
    number: int
    padding: str


@frozen
class ProbePong:
    """The ping of that number arrived."""

    TAG: ClassVar[str] = "prober.pong"
    number: int


@frozen
class ProbeReport:
    """What the sender measured, for the leader: `{"rtt_ns": {node: ns}, "bandwidth_bps": {node: bytes per second}}`."""

    TAG: ClassVar[str] = "prober.report"
    measured: Json


@frozen
class AgentPiece:
    """Piece `number`, from 1, of an agent's state that moves: migration `since` of its `epoch`. `work` is `{"changes": {…}, "gone": […]}`.

    `last`: the agent stands still, and its state with this piece has `digest`.
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
    """The target of migration `since` holds what came up to piece `received`; `whole`: that is everything, and the digest is right."""

    TAG: ClassVar[str] = "agents.ack"
    agent: str
    since: int
    received: int
    whole: bool


@frozen
class MemoryAsk:
    """What do you have beyond `vector`? Send chunk `chunk`, from 1, of the asker's sync `session`."""

    TAG: ClassVar[str] = "memory.ask"
    session: int
    chunk: int
    vector: Json


@frozen
class MemoryChunk:
    """Chunk `chunk` of `session`: a TRMM delta in base64, `packed` by zlib when it is large. `last`: that is all that the sender held when its vector was what the delta's metadata say."""

    TAG: ClassVar[str] = "memory.chunk"
    session: int
    chunk: int
    last: bool
    packed: bool
    data: str


@frozen
class MemoryPush:
    """`work` is {"record": [kind, id, state], "dot": [replica, number]}: a change of the sender's. Answered by `MemoryStored` when it is durable and `wanted`."""

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
    """What is your state of this record?"""

    TAG: ClassVar[str] = "memory.fetch"
    number: int
    kind: str
    record: str


@frozen
class MemoryState:
    """`work` is {"state": state or null}."""

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
