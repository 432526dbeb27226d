"""Tribulation: does your cluster keep its promises? What tests and scripts of other projects import, they import from here.

    from tribulation import assert_linearizable, check

Everything is imported when it is used: a node on a host has this package too, and only the standard library.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
"""For type checkers only: `typing` is most of what `import tribulation` would cost, while Ctrl-C is still a traceback."""

if TYPE_CHECKING:
    from .checkers import Anomaly, Budget, CheckResult, RunRecord, Verdict, check, merge
    from .checkers.testing import Inconsistent, Undecided, assert_consistent, assert_linearizable
    from .histories import History, Operation, read_history, write_history

__all__ = [
    "Anomaly",
    "Budget",
    "CheckResult",
    "History",
    "Inconsistent",
    "Operation",
    "RunRecord",
    "Undecided",
    "Verdict",
    "assert_consistent",
    "assert_linearizable",
    "check",
    "merge",
    "read_history",
    "write_history",
]

_ASSERTIONS = {"Inconsistent", "Undecided", "assert_consistent", "assert_linearizable"}
_HISTORIES = {"History", "Operation", "read_history", "write_history"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = ".checkers.testing" if name in _ASSERTIONS else ".histories" if name in _HISTORIES else ".checkers"
    return getattr(import_module(home, __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
