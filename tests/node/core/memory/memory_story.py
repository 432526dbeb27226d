"""A life of the memory with everything that happens to its files, and disks that crash in it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from tests.node.core.disk import Disk as CachedDisk
from tribulation.harness.simulator.disk.disk import Disk as SimulatedDisk

from .life import KEYS, Ledger, Life


class PowerDisk(SimulatedDisk):
    """The simulator's: a power loss keeps a prefix of the changes of names, and of unsynced writes nothing, parts or all."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed, 1)

    def apply(self, effect: object) -> None:
        name = type(effect).__name__
        arguments = [getattr(effect, field) for field in ("file", "to", "data", "size") if hasattr(effect, field)]
        getattr(self, {"FsyncDir": "fsync_dir"}.get(name, name.lower()))(*arguments)


STORY: list[Callable[[Life], None]] = [
    *[lambda life, key=key: life.put(key) for key in KEYS],
    Life.snapshot,
    lambda life: life.put(KEYS[0]),
    lambda life: life.remove(KEYS[1]),
    Life.delta,
    lambda life: life.put(KEYS[2]),
    Life.delta,
    lambda life: life.put(KEYS[1]),
    Life.snapshot,
    lambda life: life.put(KEYS[3]),
    Life.delta,
    lambda life: life.remove(KEYS[0]),
    Life.snapshot,
    lambda life: life.put(KEYS[4]),
    Life.delta,
    lambda life: life.put(KEYS[2]),
    lambda life: life.remove(KEYS[3]),
]
"""With all that happens to files: two snapshots after the first, deltas between, removals before and after each."""


def reported(disk: CachedDisk | PowerDisk, crash_at: int, settled: bool) -> tuple[Ledger, bool]:
    """The story up to its `crash_at`-th effect, each step made durable before the next (`settled`) or while the one before is under way.

    Whether it came to its end before."""
    ledger = Ledger()
    life, effects = Life(disk, ledger, "a"), 0
    for step in [*STORY, None]:
        if step is not None:
            step(life)
        life.flush()
        while life.queue and (settled or step is None or len(life.queue) > 6):
            if effects == crash_at:
                return ledger, False
            life.perform()
            effects += 1
            life.flush()
    return ledger, True


@cache
def left() -> tuple[dict[str, bytes], Ledger]:
    """What the story leaves: both snapshots, deltas, two segments; nothing is under way."""
    disk = CachedDisk()
    ledger, ended = reported(disk, 10_000, settled=True)
    assert ended
    return disk.files(), ledger
