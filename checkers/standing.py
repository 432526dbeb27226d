"""What a checker's answers rest on: which parts of a run it reads, and which of its anomalies fall when a part is not whole.

A checker derives from `Standing` and overrides what is different; `gating` asks it. Two arguments come again and again:

- *Closed under prefixes*: if a longer history keeps the promise, so does each beginning of it, with what was open then counted as unknown. So a violation in
  a beginning is one in every continuation, and no anomaly needs the end of the history.
- *Shown by lines that are there*: two lines contradict each other, whatever stood between them.

What is argued from absence (nobody read it later, no fault was on, no line excuses it) falls when the part that could hold it has a gap.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any, ClassVar

from .result import Anomaly

HISTORY, TRACE, LEDGER = "history", "trace", "ledger"


class _Every(Container[str]):
    def __contains__(self, kind: Any) -> bool:
        return True


EVERY = _Every()

THIN_AIR = frozenset({"thin-air", "thin-air-read"})
"""Reads of what nobody wrote. Without real time a later write may be the one that was read, and operations to come may show that the object is of another kind."""


class Standing:
    """`reads`: parts of a run (see `Gap`). `needs`: part → kinds of anomalies that fall without it; parts that are not named are needed by none."""

    reads: ClassVar[frozenset[str]] = frozenset({HISTORY})
    needs: ClassVar[Mapping[str, Container[str]]] = {}

    def stands_without(self, anomaly: Anomaly, part: str) -> bool:
        return anomaly.kind not in self.needs.get(part, ())
