"""A record's request to the transaction checkers."""

from __future__ import annotations

from ...base.result import RunRecord
from .lattice import level_named, levels
from .table import Table

CONSISTENCY = "consistency"
"""The option that names the requested level."""


WEAK = ("read-committed", "read-atomic", "causal", "causal-cerone")
"""Names that request the exact checkers of the weak levels; `PL-2` is Adya's read committed, which is slightly weaker."""


class UnknownLevel(ValueError):
    """Exception for an option that names no known level."""


def level_of(record: RunRecord, table: Table) -> str:
    """Return the requested level; without one the strongest that the history can support.

    Formats without a clock consist of sessions, and their users mean by serializable that sessions keep their order (Biswas and Enea, OOPSLA 2019).
    """
    asked = record.options.get(CONSISTENCY)
    if asked is None:
        return "strict-serializable" if table.clock else "strong-session-serializable"
    found = level_named(str(asked))
    if found is None:
        raise UnknownLevel(f"no consistency level {asked!r}; there are {', '.join(levels())}")
    return found


def weak_level_of(record: RunRecord, level: str) -> str | None:
    """Return the level, if it was requested by a name that means the exact checkers."""
    return level if record.options.get(CONSISTENCY) in WEAK else None
