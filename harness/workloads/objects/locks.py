"""Locks and elections: a client that holds one releases it before anything else, and no other client may hold it meanwhile.

A lock that is released when a lease runs out, while its holder still believes to hold it, has two holders: the workload `mutex` finds that. Such a
lock can only promise growing tokens, which the resource compares: `fencing: true` judges only those.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from pydantic import Field

from ...systems.base import Op, Outcome
from ..base import CHANGES, Rate, Workload, WorkloadSpec
from ..generators import NOTHING, Context, Emit, Generator, limit, listed, per_key, stagger, until

FINAL_TRIES = 80
FINAL_GAP_NS = 60_000_000


class MutexSpec(WorkloadSpec):
    """`keys` locks; `fencing`: each acquire returns a greater token, with which the holder accesses a resource."""

    judged_by: ClassVar[tuple[str, ...]] = ("mutex", "fencing-tokens")

    clients: int = Field(default=5, ge=1, le=500)
    rate: Rate = 40.0
    keys: int = Field(default=1, ge=1, le=1_000, description="number of locks")
    fencing: bool = Field(default=False, description="check tokens, and accesses with them, instead of exclusion")


@dataclass(frozen=True)
class Mutex(Workload):
    operations: ClassVar = {"acquire": CHANGES, "access": CHANGES, "release": CHANGES}
    needs = (
        "locks by key: `acquire` (a `fail` where another holds it), `release` (a `fail` where the client does not hold it); with `fencing` acquire returns a number, "
        "and `access` of the key with that number is a `fail` where a greater one was accepted"
    )
    takes: ClassVar[str] = "acquire"
    gives: ClassVar[str] = "release"

    name: str
    spec: MutexSpec

    def load(self) -> Generator:
        keys = tuple(f"{self.name}-{number}" for number in range(self.spec.keys))
        return self.spec.paced(Holding(self, keys))

    def final(self, keys: tuple[str, ...]) -> Generator:
        """Take and release each lock once, by every client."""

        def once(key: str) -> Generator:
            held = limit(FINAL_TRIES, stagger(FINAL_GAP_NS, Holding(self, (key,))))
            return until(lambda op, outcome: op.f == self.gives and outcome.type == "ok", held)

        return per_key(keys, once)

    def asked(self) -> frozenset[str]:
        return frozenset({self.takes, self.gives, *(["access"] if self.spec.fencing else [])})

    def checkers(self) -> tuple[str, ...]:
        return ("fencing-tokens",) if self.spec.fencing else ("mutex",)


class LeaderElection(Mutex):
    """Elections: a leader is elected as a lock is taken; with `fencing` the terms are judged."""

    operations: ClassVar = {"elect": CHANGES, "access": CHANGES, "resign": CHANGES}
    needs = (
        "elections by key: `elect` makes the client the leader (a `fail` where another leads), `resign` ends that (a `fail` where the client does not lead); with `fencing` "
        "elect returns the term, a growing number, and `access` of the key with it is a `fail` where a greater one was accepted"
    )
    takes = "elect"
    gives = "resign"


@dataclass(frozen=True)
class Holding(Generator):
    """Operations of one client. `held` is the lock that it has, with its `token`; None: it has none."""

    workload: Mutex
    keys: tuple[str, ...]
    held: str | None = None
    token: Any = None
    accessed: bool = False

    def next(self, context: Context) -> tuple[Emit | None, Generator]:
        name, lock = self.workload.name, self.workload
        if self.held is None:
            return Emit(Op(lock.takes, context.draw("op").choice(self.keys), workload=name)), self
        if lock.spec.fencing and not self.accessed:
            return Emit(Op("access", self.held, self.token, workload=name)), self
        return Emit(self._release), self

    def closing(self) -> Generator:
        return NOTHING if self.held is None else listed([self._release])

    @property
    def _release(self) -> Op:
        return Op(self.workload.gives, self.held, self.token, workload=self.workload.name)

    def update(self, op: Op, outcome: Outcome) -> Generator:
        if op.f == self.workload.takes:
            if outcome.type != "ok":
                return self
            return replace(self, held=op.key, token=outcome.value, accessed=False)
        # What ended in doubt lost the connection, and with it what was held.
        if op.f == "access" and outcome.type != "info":
            return replace(self, accessed=True)
        return replace(self, held=None, token=None)
