"""Pure generators of operations, and the combinators that build them.

A generator gives the next operation of one client, and the time before which it must not start. It is immutable: `next` returns the emission and the
generator that follows; `update` returns the generator after a completion, which is the same one when nothing changes. Each client has its own
generator state and draws from a stream keyed by (seed, client, count), so a client's operations do not depend on the timing or on other clients.

    stagger(80_000_000, mix({reads: 50, writes: 50}))  limited by  time_limit(30 * SECOND, …)  then  sequence(final_reads)

An operation whose time passed while its client was busy is emitted late, and never dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from random import Random

from ..errors import DeployError, shown
from ..systems.base import Op, Outcome

SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Rivals:
    """Two nodes that may both believe that they lead: at `at_ns` of run time `new` was elected, or the former leader `old` came back."""

    new: str
    old: str | None
    at_ns: int


@dataclass(frozen=True, slots=True)
class Context:
    """The client that asks: client `client` of `clients` in its workload, for its `count`-th operation, at run time `now_ns`.

    It uses `node`. `rivals` are the last ones, where the driver knows (`workloads.race`).
    """

    seed: int
    workload: str
    client: int
    clients: int
    count: int
    now_ns: int
    node: str = ""
    rivals: Rivals | None = None

    def draw(self, purpose: str) -> Random:
        """Return a stream of random numbers for one purpose of one operation, keyed by text: equal on every Python and hash seed."""
        return Random(f"{self.seed}/{self.workload}/{self.client}/{self.count}/{purpose}")


@dataclass(frozen=True, slots=True)
class Emit:
    """An operation to try: `op`, not before `at_ns` (run time)."""

    op: Op
    at_ns: int = 0


WAIT = Emit(Op("wait", ""))
"""Nothing now, but perhaps when something happens: call again then."""


class Generator:
    """Base class and protocol. `next` returns None as the emission when the generator is exhausted for this client."""

    def next(self, context: Context) -> tuple[Emit | None, Generator]:
        return None, self

    def update(self, op: Op, outcome: Outcome) -> Generator:
        """Return the generator after the completion of an operation that it emitted."""
        return self

    def closing(self) -> Generator:
        """Return a generator of what this client must still do when the load ends: release what it holds."""
        inner = getattr(self, "inner", None)
        return inner.closing() if isinstance(inner, Generator) else NOTHING


NOTHING = Generator()
_ANSWER = "`next` returns an Emit or None, and the generator that follows; `update` and `closing` return a generator"


def drawn(generator: Generator, context: Context) -> tuple[Emit | None, Generator]:
    """Return what `generator.next` returns. Raises `DeployError` if that is not an emission and a generator: users write generators, too."""
    if not isinstance(generator, Generator):
        raise DeployError(f"workload {context.workload}: {shown(generator)} is not a generator", hint=_ANSWER)
    match generator.next(context):
        case (Emit(op=Op()) | None, Generator()) as answer:
            return answer
        case answer:
            name = f"{type(generator).__module__}.{type(generator).__qualname__}"
            raise DeployError(f"workload {context.workload}: {name}.next returned {shown(answer)}", hint=_ANSWER)


@dataclass(frozen=True)
class Each(Generator):
    """An endless stream: `make(context)` is the operation."""

    make: Callable[[Context], Op]

    def next(self, context: Context) -> tuple[Emit | None, Generator]:
        op = self.make(context)
        if not isinstance(op, Op):
            code = getattr(self.make, "__code__", None)
            place = f"{code.co_filename}:{code.co_firstlineno} ({code.co_qualname})" if code else shown(self.make)
            raise DeployError(
                f"workload {context.workload}: {place} returned {shown(op)}, not an Op",
                hint="each(make) needs an operation each time; limit, until or time_limit end a stream",
            )
        return Emit(op), self


@dataclass(frozen=True)
class Listed(Generator):
    """Generator of these operations, once, in order."""

    ops: tuple[Op, ...]

    def next(self, context: Context) -> tuple[Emit | None, Generator]:
        if not self.ops:
            return None, self
        return Emit(self.ops[0]), Listed(self.ops[1:])


@dataclass(frozen=True)
class Timed(Generator):
    """Generator of these operations, once, in order, none before its time: (run time in ns, operation)."""

    ops: tuple[tuple[int, Op], ...]

    def next(self, context: Context) -> tuple[Emit | None, Generator]:
        if not self.ops:
            return None, self
        at_ns, op = self.ops[0]
        return Emit(op, at_ns), Timed(self.ops[1:])


@dataclass(frozen=True)
class Mix(Generator):
    """One of several each time, drawn by weight; an exhausted one is left out."""

    parts: tuple[tuple[Generator, int], ...]
    last: int = -1

    def next(self, context: Context) -> tuple[Emit | None, Generator]:
        parts = list(self.parts)
        live = [i for i, (_, weight) in enumerate(parts) if weight > 0]
        draw = context.draw("mix")
        while live:
            chosen = draw.choices(live, weights=[parts[i][1] for i in live])[0]
            generator, weight = parts[chosen]
            emit, after = drawn(generator, context)
            parts[chosen] = (after, weight)
            if emit is not None:
                return emit, Mix(tuple(parts), chosen)
            live.remove(chosen)
        return None, Mix(tuple(parts))

    def update(self, op: Op, outcome: Outcome) -> Generator:
        if self.last < 0:
            return self
        generator, weight = self.parts[self.last]
        after = generator.update(op, outcome)
        if after is generator:
            return self
        return Mix((*self.parts[: self.last], (after, weight), *self.parts[self.last + 1 :]), self.last)

    def closing(self) -> Generator:
        left = [generator.closing() for generator, _ in self.parts]
        return sequence(*(some for some in left if some is not NOTHING)) if left.count(NOTHING) < len(left) else NOTHING


@dataclass(frozen=True)
class Stagger(Generator):
    """Operations with gaps, drawn uniformly from 0 to twice `mean_ns`, before the first one too, so that clients are not synchronous.

    `steady`: the first gap is what is left of one that is under way, so that many clients have their whole rate from the beginning.
    """

    mean_ns: int
    inner: Generator
    due_ns: int | None = None
    steady: bool = False

    def next(self, context: Context) -> tuple[Emit | None, Generator]:
        emit, inner = drawn(self.inner, context)
        if emit is None:
            return None, replace(self, inner=inner)
        start = context.now_ns if self.due_ns is None else self.due_ns
        due = start + gap_of(context, 2 * self.mean_ns, left=self.steady and self.due_ns is None)
        return Emit(emit.op, max(due, emit.at_ns)), replace(self, inner=inner, due_ns=due)

    def update(self, op: Op, outcome: Outcome) -> Generator:
        inner = self.inner.update(op, outcome)
        return self if inner is self.inner else replace(self, inner=inner)


def gap_of(context: Context, most: int, left: bool) -> int:
    """Return a gap from 0 to `most`. `left`: what is left of one that is met at a random moment, which is distributed as the smaller of two."""
    draw = context.draw("stagger")
    gap = draw.randrange(most + 1)
    return min(gap, draw.randrange(most + 1)) if left else gap


@dataclass(frozen=True)
class Limit(Generator):
    """Generator of at most `left` operations."""

    left: int
    inner: Generator

    def next(self, context: Context) -> tuple[Emit | None, Generator]:
        if self.left <= 0:
            return None, self
        emit, inner = drawn(self.inner, context)
        return emit, Limit(self.left - (emit is not None), inner)

    def update(self, op: Op, outcome: Outcome) -> Generator:
        inner = self.inner.update(op, outcome)
        return self if inner is self.inner else Limit(self.left, inner)


@dataclass(frozen=True)
class TimeLimit(Generator):
    """The operations that are requested and due before `until_ns`."""

    until_ns: int
    inner: Generator

    def next(self, context: Context) -> tuple[Emit | None, Generator]:
        if context.now_ns >= self.until_ns:
            return None, self
        emit, inner = drawn(self.inner, context)
        if emit is None or emit.at_ns >= self.until_ns:
            return None, TimeLimit(0, inner)
        return emit, TimeLimit(self.until_ns, inner)

    def update(self, op: Op, outcome: Outcome) -> Generator:
        inner = self.inner.update(op, outcome)
        return self if inner is self.inner else TimeLimit(self.until_ns, inner)


@dataclass(frozen=True)
class Chain(Generator):
    """One generator after another, for this client."""

    parts: tuple[Generator, ...]

    def next(self, context: Context) -> tuple[Emit | None, Generator]:
        parts = self.parts
        while parts:
            emit, after = drawn(parts[0], context)
            if emit is not None:
                return emit, Chain((after, *parts[1:]))
            parts = parts[1:]
        return None, Chain(())

    def update(self, op: Op, outcome: Outcome) -> Generator:
        if not self.parts:
            return self
        return Chain((self.parts[0].update(op, outcome), *self.parts[1:]))

    def closing(self) -> Generator:
        return self.parts[0].closing() if self.parts else NOTHING


@dataclass(frozen=True)
class Until(Generator):
    """The operations until `done(op, outcome)` of a completed one."""

    done: Callable[[Op, Outcome], bool]
    inner: Generator
    finished: bool = False

    def next(self, context: Context) -> tuple[Emit | None, Generator]:
        if self.finished:
            return None, self
        emit, inner = drawn(self.inner, context)
        return emit, replace(self, inner=inner)

    def update(self, op: Op, outcome: Outcome) -> Generator:
        return replace(self, inner=self.inner.update(op, outcome), finished=self.finished or self.done(op, outcome))


@dataclass(frozen=True)
class PerKey(Generator):
    """Generator that goes through the keys: for each in turn `make(key)` until it is exhausted."""

    keys: tuple[str, ...]
    make: Callable[[str], Generator]
    current: Generator | None = None

    def next(self, context: Context) -> tuple[Emit | None, Generator]:
        state = self
        while True:
            if state.current is not None:
                emit, after = drawn(state.current, context)
                if emit is not None:
                    return emit, replace(state, current=after)
            if not state.keys:
                return None, replace(state, current=None)
            state = PerKey(state.keys[1:], state.make, state.make(state.keys[0]))

    def update(self, op: Op, outcome: Outcome) -> Generator:
        return self if self.current is None else replace(self, current=self.current.update(op, outcome))

    def closing(self) -> Generator:
        return NOTHING if self.current is None else self.current.closing()


@dataclass(frozen=True)
class Shared(Generator):
    """Generator as `PerKey`, but each client takes its own share of the keys."""

    keys: tuple[str, ...]
    make: Callable[[str], Generator]

    def next(self, context: Context) -> tuple[Emit | None, Generator]:
        return drawn(PerKey(self.keys[context.client :: context.clients], self.make), context)


@dataclass(frozen=True)
class Reserved(Generator):
    """Generators that are assigned to clients; see `reserve`."""

    parts: tuple[tuple[int, Generator], ...]
    rest: Generator

    def next(self, context: Context) -> tuple[Emit | None, Generator]:
        left = context.client
        for count, part in self.parts:
            if left < count:
                return drawn(part, context)
            left -= count
        return drawn(self.rest, context)


def each(make: Callable[[Context], Op]) -> Generator:
    return Each(make)


def listed(ops: Sequence[Op]) -> Generator:
    return Listed(tuple(ops))


def mix(weights: Mapping[Generator, int] | Sequence[tuple[Generator, int]]) -> Generator:
    """Return a generator of one of them each time, drawn by weight."""
    return Mix(tuple(weights.items() if isinstance(weights, Mapping) else weights))


def stagger(mean_ns: int, inner: Generator, steady: bool = False) -> Generator:
    return Stagger(mean_ns, inner, steady=steady)


def limit(count: int, inner: Generator) -> Generator:
    return Limit(count, inner)


def time_limit(until_ns: int, inner: Generator) -> Generator:
    return TimeLimit(until_ns, inner)


def sequence(*parts: Generator) -> Generator:
    return Chain(parts)


def phases(*parts: tuple[int, Generator]) -> Generator:
    """Return one generator after another, each for so many ns: all clients change at the same run time."""
    ends_ns = accumulate(for_ns for for_ns, _ in parts)
    return Chain(tuple(TimeLimit(end_ns, part) for end_ns, (_, part) in zip(ends_ns, parts, strict=True)))


def reserve(*parts: tuple[int, Generator], rest: Generator = NOTHING) -> Generator:
    """Assign parts to clients: the first so many clients do the first part, the next ones the second, and so on; the others do `rest`."""
    return Reserved(parts, rest)


def until(done: Callable[[Op, Outcome], bool], inner: Generator) -> Generator:
    return Until(done, inner)


def until_ok(inner: Generator) -> Generator:
    return Until(lambda _, outcome: outcome.type == "ok", inner)


def per_key(keys: Sequence[str], make: Callable[[str], Generator]) -> Generator:
    return PerKey(tuple(keys), make)


def shared(keys: Sequence[str], make: Callable[[str], Generator]) -> Generator:
    return Shared(tuple(keys), make)
