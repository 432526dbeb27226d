"""Reader of IsoVista's text of transactions over registers: `r(key,value,session,transaction)` and `w(…)` lines.

Lines of one transaction follow each other; sessions may alternate. Every transaction is committed. There is no clock (`session_rows`).
"""

from __future__ import annotations

import re
from pathlib import Path

from ..files.opening import read_text
from ..model.bounds import INTEGER_DIGITS
from ..model.columns import Columns
from ..model.errors import HistoryError
from .session_rows import SHOWN, SessionRows

_INTEGER = rf"(-?[0-9]{{1,{INTEGER_DIGITS}}})"
_LINE = re.compile(rf"\s*([rw])\({','.join([_INTEGER] * 4)}\)\s*$")


def read_isovista(path: str | Path) -> Columns:
    rows = SessionRows()
    current: tuple[int, int] | None = None
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        match = _LINE.match(line)
        if match is None:
            raise HistoryError(
                f"{path}:{number}: {line[:SHOWN]!r} is not a line of this format",
                "lines are r(key,value,session,transaction) or w(…)",
            )
        key, value, session, txn = (int(match[place]) for place in range(2, 6))
        if current != (session, txn):
            rows.begin(session)
            current = (session, txn)
        rows.add(match[1], key, value)
    return rows.columns()
