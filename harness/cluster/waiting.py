"""Waiting for a condition, with a time limit and a reason; the condition is checked repeatedly.

leader = until("a leader", lambda: asker.leader(), 10)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

STEP_S = 0.05
SEEN_LIMIT = 300


class Missed(Exception):
    """The awaited condition did not occur, or had another result: a failure of the cluster, in one sentence."""


def until(what: str, look: Callable[[], T | None], timeout_s: float, *, seen: Callable[[], Any] | None = None) -> T:
    """The first answer of `look` that is true. Raises `Missed` with the awaited condition and the last `seen` state.

    `look` is asked at least twice, however long it takes, and bounds its own time.
    """
    deadline_s = time.monotonic() + timeout_s
    found = look()
    while not found:
        late = time.monotonic() >= deadline_s
        if not late:
            time.sleep(STEP_S)
        found = look()
        if not found and late:
            more = f"; last seen: {_short(seen())}" if seen is not None else ""
            raise Missed(f"waited {timeout_s:g} s for {what}{more}")
    return found


def _short(seen: Any) -> str:
    text = str(seen)
    return text if len(text) <= SEEN_LIMIT else text[:SEEN_LIMIT] + "…"


def expect(holds: bool, sentence: str) -> None:
    """Assert a condition. Raises `Missed` with the sentence, which describes what was found instead."""
    if not holds:
        raise Missed(sentence)
