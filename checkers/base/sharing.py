"""Results shared by several checkers in one call of `check`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from .result import RunRecord

_found: ContextVar[list[tuple[RunRecord, str, Any]] | None] = ContextVar("found", default=None)


@contextmanager
def sharing() -> Iterator[None]:
    """While the body runs, values that were `keep`-ed for a record are available to later callers. They are released at the end."""
    token = _found.set([])
    try:
        yield
    finally:
        _found.reset(token)


def known(record: RunRecord, name: str) -> Any | None:
    """Return the value that was kept under this name for this record."""
    for whose, kept_as, value in _found.get() or ():
        if whose is record and kept_as == name:
            return value
    return None


def keep(record: RunRecord, name: str, value: Any) -> None:
    """Keep a value. Outside `sharing` it is not kept."""
    found = _found.get()
    if found is not None:
        found.append((record, name, value))
