"""Simulation parameters: everything about a simulated run that is not the cluster itself, as one frozen value that is printed with a failure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..keyed_random import ONE_MILLION
from .errors import SimulationError

MICROSECOND = 1_000
MILLISECOND = 1_000_000
SECOND = 1_000_000_000

TIMES_QUICKER = 10
"""A broadcast must be at least this many times shorter than an election timeout."""


@dataclass(frozen=True, slots=True)
class SimOptions:
    """Times in ns; chances in parts per million."""

    latency_min_ns: int = 200 * MICROSECOND
    latency_mean_ns: int = 300 * MICROSECOND
    """A one-way delay is the minimum plus an exponential draw with this mean, for each link and message."""

    loss_ppm: int = 0
    duplicate_ppm: int = 0
    reorder_ppm: int = 0
    """Chance for messages between nodes, above TCP: reconnects and retries do the same, less often. Raft must tolerate it."""
    reorder_ns: int = 50 * MILLISECOND
    late_ppm: int = 0
    late_ns: int = 0
    """Delay of messages between nodes that arrive so late, or a second time so late (between a third of it and all), that their sender may be in
    another term or incarnation by then, with new connections.
    """

    datagram_loss_ppm: int = 0
    datagram_duplicate_ppm: int = 0
    datagram_reorder_ppm: int = 0
    """Chance for UDP datagrams, on every link."""

    connect_timeout_ns: int = 1 * SECOND
    redial_min_ns: int = 50 * MILLISECOND
    redial_mean_ns: int = 100 * MILLISECOND
    stall_timeout_ns: int = 2 * SECOND
    """A side resets a connection whose bytes were not acknowledged for this long (TCP_USER_TIMEOUT)."""
    retransmit_max_ns: int = 400 * MILLISECOND
    """After a cut heals, held bytes arrive within this time."""

    write_ns: int = 10 * MICROSECOND
    fsync_min_ns: int = 100 * MICROSECOND
    fsync_mean_ns: int = 500 * MICROSECOND
    fsync_error_ppm: int = 0
    spare_quorum: bool = False
    """Whether a loss of power, or of writes, may tear a write only while a quorum is sure of its log; otherwise all of the write is lost. A cluster
    whose majority is in doubt rightly stays down, and shows nothing."""

    turn_ns: int = 20 * MICROSECOND
    """Time from the first event of a loop turn to the step that takes it and all that came meanwhile."""
    stale_timer_ppm: int = 50_000
    """How often a cancelled or replaced timer fires anyway: more than the drivers' contract allows, and harmless to a
    core that checks generations."""

    clock_offset_max_ns: int = 10_000 * SECOND
    """Monotonic clocks of hosts start at a drawn value below this."""
    drift_max_ppm: int = 0
    """How much faster or slower than true time a host's clocks may run."""

    salt: int = 0
    salt_after_ns: int = 0
    """A salt other than 0 changes the draws from this virtual time on (`salt.py`); before it the run is the same."""

    overtake_ns: int = 0
    overtake_change_every: int = 100
    """Steps due within so long of the earliest are taken in the order of drawn priorities (`step_orders.py`), of which about one step in so many lowers
    one; 0: in the order of time.
    """

    codec_one_in: int = 64
    """One message in this many is encoded and decoded on its way; 1 means all, 0 none."""
    check_every: int = 100
    """The core's own `check` runs after every so many steps; 0 is never."""
    digest_full: bool = False
    """Whether the run's digest covers every byte of every effect, or only its shape and the traces."""
    record_inputs: bool = False
    """Whether every step's time and events are kept, so that one node can be fed again by itself."""
    fence: bool = True

    def keeps_time(self, election_min_ns: int) -> bool:
        """Return whether nodes with this least election timeout elect leaders that stay."""
        latency_ns = self.latency_min_ns + self.latency_mean_ns
        broadcast_ns = 2 * latency_ns + self.fsync_min_ns + self.fsync_mean_ns + 2 * self.turn_ns + 5 * self.overtake_ns
        return TIMES_QUICKER * broadcast_ns <= election_min_ns

    def to_json(self) -> dict[str, Any]:
        """Every option by its name, whatever its value: printed with a failure, and read back by `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SimOptions:
        """The options of `to_json`; missing ones have their defaults. Raises `SimulationError` naming the first invalid one."""
        defaults: dict[str, Any] = {field.name: field.default for field in fields(cls)}
        for name, value in data.items():
            if name not in defaults:
                raise SimulationError(
                    f"there is no option {name!r} of a world", f"the options are {', '.join(defaults)}"
                )
            wanted = type(defaults[name])
            if type(value) is not wanted:
                raise SimulationError(f"option {name}: {value!r} is not of type {wanted.__name__}", None)
            most = ONE_MILLION if name.endswith("_ppm") else None
            if value < 0 or (most is not None and value > most):
                bound = "0 or more" if most is None else f"from 0 to {most}"
                raise SimulationError(
                    f"option {name}: {value!r} is not {bound}", "times are in ns, chances in parts per million"
                )
        return cls(**data)

    def one_line(self) -> str:
        """Every option in one line, `name=value`: printed before a simulated run begins."""
        return " ".join(f"{name}={value}" for name, value in self.to_json().items())
