"""Interface by which long work reports its progress to a person."""

from __future__ import annotations

from collections.abc import Callable

Notify = Callable[[str, str], None]
"""`notify(phase, detail)`."""


def silent(phase: str, detail: str) -> None:
    """Report nothing."""
