"""A history of one object in the form for the search: returns, the operations open at each, and compact names for both.

Only returns of known operations are decision points. At the k-th return the *open* operations are those invoked before it and not returned before it.
A configuration there is (k, state, which open operations took effect, how many unknown operations of each class were used): a few machine words,
however long the history is. Open operations live in reused slots, one bit each.

Operations with equal steps form a *class*. The effects of unknown operations of a class are interchangeable, so they are only counted.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tribulation.histories import Operation, Type

from ...base.budget import NOWHERE, Meter
from ...models.model import NOTHING, Illegal, Model, Step

NEVER = -1


class Open(NamedTuple):
    """An open operation, ordered by its deadline: the position of its return."""

    deadline: int
    bit: int
    step: int
    pure: bool


class Unknowns(NamedTuple):
    """A class of operations with unknown outcome: where its count lies in the packed counts, and how many are available."""

    step: int
    shift: int
    available: int


@dataclass(frozen=True, slots=True)
class Call:
    """A step with its interval of positions. `end` is None while its outcome is unknown: then it is optional."""

    op: Operation
    step: Step
    start: int
    end: int | None


def calls_of(ops: Iterable[Operation], model: Model) -> list[Call]:
    """Return the calls that matter, without those that failed or are unknown without an effect."""
    calls = []
    for op in ops:
        step = model.step(op)
        if step is None or (op.type is Type.INFO and step.pure):
            continue
        calls.append(Call(op, step, op.invoke_index, op.complete_index))
    return calls


class Table:
    """States and steps as small integers, and the transitions between them, computed once each."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._state_ids: dict[Hashable, int] = {}
        self._step_ids: dict[Step, int] = {}
        self._transitions: dict[tuple[int, int], int] = {}
        self.states: list[Hashable] = []
        self.steps: list[Step] = []

    def state(self, value: Hashable) -> int:
        found = self._state_ids.get(value)
        if found is None:
            found = self._state_ids[value] = len(self.states)
            self.states.append(value)
        return found

    def step(self, step: Step) -> int:
        found = self._step_ids.get(step)
        if found is None:
            found = self._step_ids[step] = len(self.steps)
            self.steps.append(step)
        return found

    def next(self, state: int, step: int) -> int:
        """Return the state after `step` in `state`; `NEVER` if the step is illegal there."""
        key = (state, step)
        found = self._transitions.get(key)
        if found is None:
            value = self._model.apply(self.states[state], self.steps[step])
            found = NEVER if isinstance(value, Illegal) else self.state(value)
            self._transitions[key] = found
        return found


class Urgent(NamedTuple):
    """An open operation that needs a state which only the operations open with it (`givers`, as bits) can still produce."""

    deadline: int
    bit: int
    step: int
    givers: int


@dataclass(frozen=True, slots=True)
class Turn:
    """One return: the operations open at it (the one that returns comes first), and the unknown classes invoked before it."""

    opens: tuple[Open, ...]
    unknowns: tuple[Unknowns, ...]
    urgent: tuple[Urgent, ...]
    position: int


@dataclass(frozen=True, slots=True)
class Segment:
    """Turns between two quiescent points: no known operation is open before the first and after the last."""

    turns: tuple[Turn, ...]


_BYTES_A_TURN = 250
_BYTES_AN_OPEN = 8


class Problem:
    """The calls of one object under a model, split into segments. Its memory, and the time to make it, are charged to the meter."""

    def __init__(self, calls: Sequence[Call], model: Model, meter: Meter) -> None:
        self.model = model
        self.calls = calls
        self.table = Table(model)
        self._unknown_total: dict[int, int] = {}
        for call in calls:
            if call.end is None:
                step = self.table.step(call.step)
                self._unknown_total[step] = self._unknown_total.get(step, 0) + 1
        self.blind = self._blind_steps()
        self._shifts, self.guard = self._layout()
        self._supply = _Supply(calls, model, self.table)
        self.segments = list(self._cut(meter))

    def _blind_steps(self) -> list[bool]:
        """Return for each step whether it is a blind write: legal in every state, with a state after it that does not depend on the one before."""
        for call in self.calls:
            self.table.step(call.step)
        return [not step.pure and not step.conditional for step in self.table.steps]

    def _layout(self) -> tuple[dict[int, int], int]:
        """Return where each class's count lies, and a mask of guard bits above each, which makes comparing all counts one subtraction."""
        shifts: dict[int, int] = {}
        shift = guard = 0
        for step, total in self._unknown_total.items():
            shifts[step] = shift
            shift += total.bit_length()
            guard |= 1 << shift
            shift += 1
        return shifts, guard

    def _cut(self, meter: Meter) -> Iterator[Segment]:
        turns: list[Turn] = []
        opens: list[Open] = []
        available: dict[int, int] = {}
        unknowns: tuple[Unknowns, ...] = ()
        free: list[int] = []
        slots = 0
        for position, call, returns in _events(self.calls):
            step = self.table.step(call.step)
            if call.end is None:
                available[step] = available.get(step, 0) + 1
                unknowns = tuple(Unknowns(s, self._shifts[s], count) for s, count in available.items())
            elif not returns:
                if not free:
                    free.append(1 << slots)
                    slots += 1
                insort(opens, Open(call.end, free.pop(), step, call.step.pure))
            else:
                meter.charge(_BYTES_A_TURN + _BYTES_AN_OPEN * len(opens), NOWHERE)
                turns.append(Turn(tuple(opens), unknowns, self._supply.urgent(opens, position), position))
                free.append(opens.pop(0).bit)
                if not opens:
                    yield Segment(tuple(turns))
                    turns = []


class _Supply:
    """Operations that can produce the state that an operation needs. Values determine this only if steps overwrite."""

    def __init__(self, calls: Sequence[Call], model: Model, table: Table) -> None:
        self._needs: dict[int, Hashable] = {}
        self._gives: dict[int, Hashable] = {}
        self._starts: dict[Hashable, list[int]] = {}
        unknown: set[Hashable] = set()
        for call in calls if model.overwrites else ():
            step = table.step(call.step)
            if call.step.conditional:
                self._needs[step] = model.needs(call.step)
            if not call.step.pure:
                given = self._gives[step] = model.gives(call.step)
                self._starts.setdefault(given, []).append(call.start)
                if call.end is None:
                    unknown.add(given)
        for starts in self._starts.values():
            starts.sort()
        # A state that an operation of unknown outcome may produce is never short.
        self._needs = {
            step: value for step, value in self._needs.items() if value is not NOTHING and value not in unknown
        }

    def urgent(self, opens: Sequence[Open], position: int) -> tuple[Urgent, ...]:
        if not self._needs:
            return ()
        givers: dict[Hashable, int] = {}
        for item in opens:
            if not item.pure:
                given = self._gives[item.step]
                givers[given] = givers.get(given, 0) | item.bit
        found = []
        for deadline, bit, step, _ in opens:
            needed = self._needs.get(step, NOTHING)
            if needed is NOTHING:
                continue
            starts = self._starts.get(needed, [])
            at = bisect_left(starts, position)
            if at == len(starts) or starts[at] > deadline:
                found.append(Urgent(deadline, bit, step, givers.get(needed, 0) & ~bit))
        return tuple(found)


def _events(calls: Sequence[Call]) -> list[tuple[int, Call, bool]]:
    events = [(call.start, call, False) for call in calls]
    events += [(call.end, call, True) for call in calls if call.end is not None]
    # Positions are distinct; should two ever be equal, the invocation comes first: they are then concurrent.
    events.sort(key=lambda event: (event[0], event[2]))
    return events
