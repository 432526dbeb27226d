"""Probes under way at a node: its own probe of one member, and the probes that it makes for other nodes (SWIM, Das et al. 2002, 3.1).

A helper reports after four fifths of a timeout that it has no answer either (Lifeguard's nack, section IV.A). So the requesting node can distinguish
a silent member from its own inability to receive.
"""

from __future__ import annotations

from dataclasses import dataclass, field

RELAY_LIMIT = 64


@dataclass(slots=True)
class Probe:
    """Probe of `target`, which was believed alive if `fair`. `wave_ns`: when to probe again, also through others; None: not any more."""

    target: str
    seq: int
    end_ns: int
    wave_ns: int | None
    fair: bool
    answered: bool = False
    asked: dict[str, bool] = field(default_factory=dict)
    """Helper → whether it sent a nack."""

    @property
    def heard_by_others(self) -> bool:
        """Return whether every helper answered, if only with a nack: then this node receives messages."""
        return bool(self.asked) and all(self.asked.values())


@dataclass(slots=True)
class Relay:
    """A probe on behalf of `asker`, which numbers it `seq`."""

    asker: str
    seq: int
    nack_ns: int | None
    end_ns: int


class Relays:
    def __init__(self) -> None:
        self._relays: dict[int, Relay] = {}

    @property
    def next_ns(self) -> int | None:
        times = [relay.end_ns if relay.nack_ns is None else relay.nack_ns for relay in self._relays.values()]
        return min(times, default=None)

    def begin(self, seq: int, relay: Relay) -> bool:
        """Begin a relayed probe. Returns whether there was room for one more."""
        if len(self._relays) >= RELAY_LIMIT:
            return False
        self._relays[seq] = relay
        return True

    def answered(self, seq: int) -> Relay | None:
        return self._relays.pop(seq, None)

    def due(self, now_ns: int) -> list[Relay]:
        """Return the relays for which a nack is due, and drop those past their time."""
        late = [relay for relay in self._relays.values() if relay.nack_ns is not None and now_ns >= relay.nack_ns]
        for relay in late:
            relay.nack_ns = None
        for seq in [seq for seq, relay in self._relays.items() if now_ns >= relay.end_ns]:
            del self._relays[seq]
        return late

    def __len__(self) -> int:
        return len(self._relays)
