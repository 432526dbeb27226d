"""Validation of the options that a campaign gives to checkers: `problems(options)` lists the errors, with the place of each.

`checkers/base/options.py` has the declarations, and how one checker reads its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .base.options import Option, OptionProblem, declared, nearest, of_checker, of_value
from .registry import CHECKERS, checker

ASKED = frozenset({"model", "consistency", "exact", "certificate"})
"""Options that are separate arguments of `check`."""

FINGERPRINTS = frozenset({"digest", "core", "simulator"})
"""Entries that a simulated run records about itself next to its options."""


def problems(options: Mapping[str, Any]) -> Iterator[OptionProblem]:
    """Yield the errors in the options that are given to all checkers of a run."""
    todo = {name: value for name, value in options.items() if name not in ASKED | FINGERPRINTS}
    shared: dict[str, Option] = {}
    if todo.keys() - CHECKERS.keys():
        # Only then all are imported.
        shared = {option.name: option for name in CHECKERS for option in _options(name) or () if option.shared}
    for name, value in todo.items():
        if name in CHECKERS:
            known = _options(name)
            yield from () if known is None else of_checker(name, value, known)
        elif name in shared:
            yield from of_value((name,), value, shared[name])
        else:
            hint = nearest(str(name), [*CHECKERS, *shared])
            yield OptionProblem((name,), f"no checker and no option {name!r}", value, hint)


def _options(name: str) -> tuple[Option, ...] | None:
    """Return None for a checker that cannot be imported: its result is unknown, with the reason."""
    try:
        return declared(checker(name))
    except Exception:
        return None
