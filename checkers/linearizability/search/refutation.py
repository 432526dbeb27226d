"""Short proofs of violation: a few operations that no order explains, whatever the object's state before them.

A *window* has the operations invoked since some position. Any other operation that may act inside it is optional there: an operation that was already
open, or whose outcome is unknown, or that returns later. If no order exists from *any* starting state, the whole history has none either, and the
search need not exhaust the part before. Windows are tried from short to long.

What is left is then reduced, one operation at a time, by removals that are sound: if the rest has no legal order, the whole had none. A read may
always be removed; a change only if nothing that remains observes it (`Model.removable`).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from ...base.budget import Meter, OutOfBudget
from ...models.model import Model
from .problem import Call, Problem
from .search import Hook, search

_FIRST_WINDOW = 2
_LAST_WINDOW = 1024


@dataclass(frozen=True, slots=True)
class Proof:
    """`calls` have no legal order: from any state before them, or, if `from_start`, from the initial one. Optional ones end in None."""

    calls: tuple[Call, ...]
    from_start: bool
    minimal: bool


class Found(Exception):
    """Exception that ends a search from its hook: a window proved the violation."""

    def __init__(self, window: _Window, position: int) -> None:
        super().__init__()
        self.window = window
        self.position = position


@dataclass(frozen=True, slots=True)
class _Window:
    calls: tuple[Call, ...]
    from_start: bool


class WindowHook(Hook):
    """Hook that looks for a window that refutes, when the search stalls."""

    patience = 3000

    def __init__(self, calls: Sequence[Call], model: Model, meter: Meter) -> None:
        self._calls = calls
        self._model = model
        self._meter = meter
        self._allowed_s = 0.5

    def __call__(self, position: int) -> None:
        window = find_window(self._calls, self._model, position, self._meter.part(self._allowed_s))
        self._allowed_s *= 2
        if window is not None:
            raise Found(window, position)


def prove(calls: Sequence[Call], model: Model, stuck_at: int, meter: Meter, window: _Window | None = None) -> Proof:
    """Return a small proof that the prefix up to the return at `stuck_at`, known to have no legal order, has none."""
    found = window or find_window(calls, model, stuck_at, meter.part(meter.left_s / 2))
    if found is None:
        found = _Window(tuple(_clip(calls, -1, stuck_at)), True)
    return _thin(found, model, meter)


def find_window(calls: Sequence[Call], model: Model, stuck_at: int, meter: Meter) -> _Window | None:
    """Return the shortest window (sizes double) before the return at `stuck_at` that refutes; None if none does within the meter, or if the
    model cannot list the states to start from.
    """
    if model.starts([]) is None:
        return None
    starts = sorted(call.start for call in calls if call.end is not None and call.end <= stuck_at)
    size = _FIRST_WINDOW
    while size < len(starts) and size <= _LAST_WINDOW:
        window = _Window(tuple(_clip(calls, starts[-size], stuck_at)), False)
        try:
            if _refutes(window, model, meter):
                return window
        except OutOfBudget:
            return None
        size *= 2
    return None


def _clip(calls: Sequence[Call], since: int, until: int) -> list[Call]:
    clipped = []
    for call in calls:
        if call.start >= until or (call.end is not None and call.end < since):
            continue
        required = call.end is not None and call.end <= until and call.start >= since
        if required:
            clipped.append(call)
        elif not call.step.pure:
            clipped.append(replace(call, end=None))
    return clipped


def _refutes(window: _Window, model: Model, meter: Meter) -> bool:
    starts: Sequence[Hashable] | None = [model.init()]
    if not window.from_start:
        starts = model.starts([call.step for call in window.calls])
    problem = Problem(window.calls, model, meter)
    return starts is not None and not any(search(problem, meter, start).legal for start in starts)


def _thin(window: _Window, model: Model, meter: Meter) -> Proof:
    """Return the proof after greedy removal of chunks that halve, until no single operation can be removed or the meter is used up."""
    kept = list(window.calls)
    chunk = max(1, len(kept) // 2)
    try:
        while True:
            removed = False
            position = 0
            while position < len(kept):
                candidate = _without(kept, position, chunk, model)
                if len(candidate) < len(kept) and _refutes(_Window(tuple(candidate), window.from_start), model, meter):
                    kept = candidate
                    removed = True
                else:
                    position += chunk
            if chunk > 1:
                chunk = max(1, chunk // 2)
            elif not removed:
                return Proof(tuple(kept), window.from_start, True)
    except OutOfBudget:
        return Proof(tuple(kept), window.from_start, False)


def _without(calls: list[Call], position: int, count: int, model: Model) -> list[Call]:
    """Return `calls` without those of the chunk that may be removed; each is tested against everything that then remains."""
    remaining = list(calls)
    for call in calls[position : position + count]:
        others = [other.step for other in remaining if other is not call]
        if model.removable(call.step, others):
            remaining = [other for other in remaining if other is not call]
    return remaining
