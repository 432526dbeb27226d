"""Annotations of GitHub Actions: lines of a job's output that GitHub shows next to the commit.

They go to stderr, which GitHub reads as well, so that stdout stays one JSON document with `--json`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from .cases import Case

LONGEST_MESSAGE = 4_000
_LEVELS = {"failed": "error", "error": "error", "unknown": "warning"}


def wanted() -> bool:
    return os.environ.get("GITHUB_ACTIONS") == "true"


def lines(cases: Iterable[Case]) -> Iterator[str]:
    """Yield a line for each case that did not pass."""
    for case in cases:
        if case.outcome != "passed":
            kind = f"{case.kind}: " if case.outcome == "failed" else ""
            yield line(_LEVELS[case.outcome], f"tri: {case.name}", f"{kind}{case.message}")


def line(level: str, title: str, message: str) -> str:
    return f"::{level} title={_property(title)}::{_data(message[:LONGEST_MESSAGE])}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
