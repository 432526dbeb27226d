"""Reader of AWDIT's text of transactions over registers: `w key value` and `r key value` lines; `-----` ends a transaction, `=====` a session.

Every transaction is committed. There is no clock (`session_rows`).
"""

from __future__ import annotations

import re
from pathlib import Path

from ..files.opening import read_text
from ..model.bounds import INTEGER_DIGITS
from ..model.columns import Columns
from ..model.errors import HistoryError
from .session_rows import SHOWN, SessionRows

_INTEGER = re.compile(rf"-?[0-9]{{1,{INTEGER_DIGITS}}}")


def read_awdit(path: str | Path) -> Columns:
    rows = SessionRows()
    session, fresh = 0, True
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        words = line.split()
        if not words:
            continue
        if set(line.strip()) in ({"-"}, {"="}):
            session += line.strip()[0] == "="
            fresh = True
        elif len(words) == 3 and words[0] in ("r", "w") and all(map(_INTEGER.fullmatch, words[1:])):
            if fresh:
                rows.begin(session)
                fresh = False
            rows.add(words[0], int(words[1]), int(words[2]))
        else:
            raise HistoryError(
                f"{path}:{number}: {line[:SHOWN]!r} is not a line of this format",
                "lines are `w key value`, `r key value`, ----- and =====",
            )
    return rows.columns()
