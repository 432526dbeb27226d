"""What every driver of a core must do: scenarios over a scripted core, written against a small `Driver` protocol.

The socket runtime (`tribulation.node.runtime`) and the simulator (`tribulation.harness.simulator`) run the same scenarios, so that what is true of a core in one
of them holds in the other. To run the suite over a driver, give it a class with the methods of `Driver` and

    @pytest.mark.parametrize("scenario", scenarios_for(MyDriver.capabilities), ids=lambda s: s.__name__)
    def test_conformance(scenario): ...

The node under test is `NODE`; the suite plays the peers `n2` and `n3` and the clients. All waiting is in the driver's time and bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tribulation.node.core.interface.effects import Effect
from tribulation.node.core.interface.events import Event
from tribulation.node.core.interface.messages import Message

NODE = "n1"
PEERS = ("n2", "n3")
MS = 1_000_000

Script = Callable[[int, Event], "Sequence[Effect]"]
"""`script(now_ns, event)`: the effects of one event. Effects of a step are those of its events, in order."""


@dataclass
class ScriptedCore:
    """A core that does what the script says and remembers what it was given. `steps` are (now_ns, events)."""

    script: Script
    steps: list[tuple[int, tuple[Event, ...]]] = field(default_factory=list)

    def step(self, now_ns: int, events: Sequence[Event]) -> list[Effect]:
        self.steps.append((now_ns, tuple(events)))
        return [effect for event in events for effect in self.script(now_ns, event)]

    @property
    def events(self) -> list[Event]:
        return [event for _, events in self.steps for event in events]

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


class Peer(Protocol):
    """A node played by the suite, with a connection each way to the node under test unless it is `stalled` or `reset`."""

    name: str

    def send(self, message: Message) -> None: ...

    def received(self) -> list[Message]:
        """Every message that arrived here from the node under test, in order."""
        ...

    def reset(self) -> None:
        """Break the present connections of both directions (RST). New ones may be made."""
        ...

    def die(self) -> None:
        """End, as by SIGKILL: the connections are reset, and new ones are refused."""
        ...

    def stall(self) -> None:
        """Go silent without a word: packets both ways are lost (half open), connections are not closed. Capability `half-open`."""
        ...

    def unstall(self) -> None: ...


class Client(Protocol):
    def send(self, body: Mapping[str, Any]) -> None: ...

    def replies(self) -> list[Mapping[str, Any]]: ...

    def send_bytes(self, data: bytes) -> None:
        """Raw bytes on its connection (after its hello). Capability `bytes`."""
        ...

    def errors(self) -> list[Mapping[str, Any]]:
        """Payloads of the error frames received. Capability `bytes`."""
        ...

    def closed(self) -> bool:
        """Whether the node under test ended the connection."""
        ...

    def leave(self) -> None: ...


class Station(Protocol):
    """A stranger with a UDP socket. It is no peer; anyone may be one."""

    place: tuple[str, int]

    def send(self, data: bytes) -> None:
        """One datagram to the node under test."""
        ...

    def received(self) -> list[bytes]: ...


class Driver(Protocol):
    """One node under test. Fresh for each scenario; `close` ends everything.

    `capabilities`: `bytes` (frames are real bytes on a stream), `half-open` (a peer can be stalled), `pings` (an idle connection to a
    silent peer is found out too), `fail-stop` (after a failed fsync the driver attempts nothing on any file).
    """

    capabilities: frozenset[str]

    def boot(self, core: ScriptedCore) -> None:
        """Start an incarnation with this core, over the disk as it is. Returns after the core's first step."""
        ...

    def crash(self) -> None:
        """Kill the node: nothing more of it happens. What was fsynced stays; what was not may stay."""
        ...

    def exit_reason(self) -> str | None:
        """None while it runs, `halt` after a `Halt`, `crash` after `crash`."""
        ...

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Let time pass until `condition` holds. After 10 s of the driver's time: AssertionError naming `what`."""
        ...

    def elapse(self, duration_ns: int) -> None:
        """Let that much of the driver's time pass."""
        ...

    def peer(self, name: str) -> Peer:
        """The peer, created and let in by the first call; connected when the core was informed or soon after."""
        ...

    def client(self) -> Client: ...

    def station(self) -> Station: ...

    def files(self) -> Mapping[str, bytes]:
        """The data directory as it would be read now."""
        ...

    def stored_incarnation(self) -> int:
        """The incarnation counter as the next boot would find it."""
        ...

    def hold_storage(self) -> None:
        """From now on no storage operation is carried out, until `release_storage`."""
        ...

    def release_storage(self) -> None: ...

    def fail_storage(self, kind: str, file: str | None = None) -> None:
        """The next operation of this kind (`append`, `fsync`, …; on this file) fails with an I/O error. Once."""
        ...

    def storage_log(self) -> list[tuple[str, str]]:
        """What was carried out on the disk, in order: (kind, file), failed ones too. Merged fsyncs count once."""
        ...

    def traces(self) -> list[Mapping[str, Any]]:
        """Trace lines released so far (of all incarnations): each with `event`, `seq`, `incarnation` and its fields."""
        ...

    def close(self) -> None: ...


Scenario = Callable[[Driver], None]


def needs(*capabilities: str) -> Callable[[Scenario], Scenario]:
    """Mark a scenario as one for drivers with these capabilities only."""

    def mark(scenario: Scenario) -> Scenario:
        scenario.needs = frozenset(capabilities)  # type: ignore[attr-defined]
        return scenario

    return mark


def scenarios_for(capabilities: frozenset[str]) -> list[Scenario]:
    """The scenarios that a driver with these capabilities must pass."""
    from . import byte_scenarios, connection_scenarios, datagram_scenarios, life_scenarios, storage_scenarios

    every = [
        *life_scenarios.LIFE_SCENARIOS,
        *storage_scenarios.STORAGE_SCENARIOS,
        *connection_scenarios.CONNECTION_SCENARIOS,
        *byte_scenarios.BYTE_SCENARIOS,
        *datagram_scenarios.DATAGRAM_SCENARIOS,
    ]
    return [s for s in every if getattr(s, "needs", frozenset()) <= capabilities]
