"""Operations that are tried through each node when all is healed: a write and a linearizable read of one register, until each ended ok.

A node that answers others' clients and not its own, or answers reads and takes no writes, is broken although the system as a whole is available.
"""

from __future__ import annotations

from collections.abc import Callable

from tribulation.checkers.liveness.through_each import SETTLE as SETTLE

from ..systems.base import Op
from .generators import Context, Generator, each, limit, sequence, stagger, until_ok
from .register import unique_value

TRIES = 40
GAP_NS = 100_000_000
ROUNDS = 2


def through_a_node() -> Generator:
    """Return one client's operations."""
    return sequence(*(_tried(f) for _ in range(ROUNDS) for f in (_write, _read)))


def _tried(make: Callable[[Context], Op]) -> Generator:
    return until_ok(limit(TRIES, stagger(GAP_NS, each(make))))


def _write(context: Context) -> Op:
    return Op("write", SETTLE, unique_value(context), workload=SETTLE)


def _read(context: Context) -> Op:
    return Op("read", SETTLE, workload=SETTLE)
