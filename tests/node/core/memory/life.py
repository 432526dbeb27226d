"""A memory of numbers on a disk that crashes: what was acknowledged is written down next to it, and held against what a next life finds.

Each change gives a record a larger number than any before, so that joining is the maximum, and a removal is of all smaller ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any, Protocol

from tribulation.node.core.interface.effects import Rename, StorageEffect
from tribulation.node.core.interface.outbox import Outbox
from tribulation.node.core.memory.disk.files import Found, recover
from tribulation.node.core.memory.disk.writer import Writer

Key = tuple[str, str]
KEYS = [("fact", f"f{number}") for number in range(4)] + [("episode", "e")]


class Disk(Protocol):
    def apply(self, effect: StorageEffect) -> None: ...
    def files(self) -> dict[str, bytes]: ...


class Ledger:
    """What was done in all lives. A dot is (replica, n); its change has a number, and is a put or a removal."""

    def __init__(self) -> None:
        self.lives = self.number = 0
        self.puts: dict[tuple[str, int], tuple[Key, int]] = {}
        self.removals: dict[Key, list[int]] = {key: [] for key in KEYS}
        self.acked: dict[Key, int] = {}
        """The largest number that was put, acknowledged, and not removed since."""
        self.acked_gone: dict[Key, int] = {}
        self.acked_vector: dict[str, int] = {}

    def judge(self, found: Found) -> dict[Key, int]:
        """Nothing acknowledged is missing or back again. Returns what was found."""
        got = self.honest(found)
        for key, number in self.acked.items():
            perhaps_gone = any(removal > number for removal in self.removals[key])
            assert got.get(key, 0) >= number or perhaps_gone, (key, number, got)
        for key, number in self.acked_gone.items():
            assert key not in got or got[key] > number, (key, number, got)
        for replica, n in self.acked_vector.items():
            assert found.metadata["vector"].get(replica, 0) >= n, (replica, n, found.metadata)
        return got

    def honest(self, found: Found) -> dict[Key, int]:
        """Whatever the vector covers is here, or was removed."""
        got = numbers(found)
        for (replica, n), (key, number) in self.puts.items():
            if n <= found.metadata["vector"].get(replica, 0):
                perhaps_gone = any(removal > number for removal in self.removals[key])
                assert got.get(key, 0) >= number or perhaps_gone, (replica, n, key, number, got)
        return got


def numbers(found: Found) -> dict[Key, int]:
    got: dict[Key, int] = {}
    for kind, ident, state in found.records:
        got[kind, ident] = max(got.get((kind, ident), 0), state["n"])
    return got


class Life:
    """From a boot to a crash. `damaged`: something that was acknowledged may be missing from the disk."""

    def __init__(self, disk: Disk, ledger: Ledger, name: str, *, damaged: bool = False) -> None:
        self.disk, self.ledger = disk, ledger
        ledger.lives += 1
        self.found = recover(disk.files(), ledger.lives)
        self.records = ledger.honest(self.found) if damaged else ledger.judge(self.found)
        self.vector: dict[str, int] = dict(self.found.metadata["vector"])
        old = self.found.metadata.get("replica")
        self.replica: str = old if old is not None and self.found.whole and not damaged else name
        self.out = Outbox()
        self.writer = Writer(self.out, self.found)
        self.queue: list[StorageEffect] = []
        self.undone: dict[int, None] = {}
        self.waiting: list[tuple[int, Key, int, int, bool]] = []
        """(operation, key, number, n, whether it is a removal) of what is not acknowledged yet."""
        gate = self.writer.gate
        if gate is not None:
            self.waiting += [(gate, key, number, 0, False) for key, number in self.records.items()]
        if self.replica != old:
            self.writer.stage((), {}, (), {"replica": self.replica})
        self.take()
        if self.writer.rebase and self.found.damaged:
            self.snapshot()

    def put(self, key: Key) -> None:
        number = self._next()
        n = self.vector[self.replica] = self.vector.get(self.replica, 0) + 1
        assert self.ledger.acked_vector.get(self.replica, 0) < n, "a dot was given twice"
        self.ledger.puts[self.replica, n] = key, number
        self.records[key] = number
        self.writer.stage([(*key, {"n": number})], {self.replica: n}, ())
        self._wait(key, number, n, False)

    def remove(self, key: Key) -> None:
        if self.records.pop(key, None) is not None:
            number = self._next()
            self.ledger.removals[key].append(number)
            self.writer.stage((), {}, [key])
            self._wait(key, number, 0, True)

    def delta(self) -> None:
        writer = self.writer
        if writer.rebase:
            self.snapshot()
        elif not writer.compacting:
            fresh = [(*key, {"n": self.records[key]}) for key in writer.fresh]
            writer.write_delta(fresh, list(writer.gone), self._metadata(), 0)
            self.take()

    def snapshot(self) -> None:
        if not self.writer.compacting:
            records = [(*key, {"n": number}) for key, number in self.records.items()]
            self.writer.write_snapshot(records, self._metadata(), 0)
            self.take()

    def flush(self) -> None:
        self.writer.flush()
        self.take()

    def take(self) -> None:
        for effect in self.out.take():
            assert isinstance(effect, StorageEffect.__args__)  # type: ignore[attr-defined]
            self.queue.append(effect)
            self.undone[effect.op] = None

    def perform(self, random: Random | None = None) -> bool:
        """Carry out one effect: the first, or any that may come first. False when there is none."""
        ready = [effect for position, effect in enumerate(self.queue) if self._may(position, effect)]
        if not ready:
            assert not self.queue, f"{self.queue[0]} waits forever"
            return False
        effect = ready[0] if random is None else random.choice(ready)
        self.queue.remove(effect)
        self.disk.apply(effect)
        del self.undone[effect.op]
        self.writer.done(effect.op)
        for op, key, number, n, removal in [item for item in self.waiting if item[0] == effect.op]:
            self.waiting.remove((op, key, number, n, removal))
            self._acknowledge(key, number, n, removal)
        return True

    def settle(self) -> None:
        """Until all is durable."""
        while self.queue or self.writer.gate is not None:
            self.flush()
            self.perform()

    def _acknowledge(self, key: Key, number: int, n: int, removal: bool) -> None:
        ledger = self.ledger
        if removal:
            ledger.acked_gone[key] = number
            ledger.acked.pop(key, None)
        else:
            ledger.acked[key] = max(number, ledger.acked.get(key, 0))
            ledger.acked_vector[self.replica] = max(n, ledger.acked_vector.get(self.replica, 0))

    def _may(self, position: int, effect: StorageEffect) -> bool:
        """Nothing that it waits for is undone, and nothing before it is about one of its files."""
        mine = _files(effect)
        earlier = any(name in _files(other) for other in self.queue[:position] for name in mine)
        return not earlier and not any(op in self.undone for op in effect.after)

    def _wait(self, key: Key, number: int, n: int, removal: bool) -> None:
        gate = self.writer.gate
        assert gate is not None
        self.waiting.append((gate, key, number, n, removal))

    def _next(self) -> int:
        self.ledger.number += 1
        return self.ledger.number

    def _metadata(self) -> Mapping[str, Any]:
        return {"vector": dict(self.vector), "replica": self.replica}


def _files(effect: StorageEffect) -> tuple[str, ...]:
    if isinstance(effect, Rename):
        return effect.file, effect.to
    return (getattr(effect, "file", ""),)
