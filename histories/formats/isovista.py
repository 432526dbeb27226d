"""Reads IsoVista's text of transactions over registers: `r(key,value,session,transaction)` and `w(…)` lines.

Lines of one transaction follow each other; sessions may alternate. Every transaction committed. There is no clock (`session_rows`).
"""

from __future__ import annotations

import re
from pathlib import Path

from ..columns import Columns
from ..errors import HistoryError
from .session_rows import SessionRows

_LINE = re.compile(r"\s*([rw])\((-?\d+),(-?\d+),(-?\d+),(-?\d+)\)\s*$")


def read_isovista(path: str | Path) -> Columns:
    rows = SessionRows()
    current: tuple[int, int] | None = None
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        match = _LINE.match(line)
        if match is None:
            raise HistoryError(
                f"{path}:{number}: {line!r} is no line of this format",
                "lines are r(key,value,session,transaction) or w(…)",
            )
        key, value, session, txn = (int(match[place]) for place in range(2, 6))
        if current != (session, txn):
            rows.begin(session)
            current = (session, txn)
        rows.add(match[1], key, value)
    return rows.columns()
