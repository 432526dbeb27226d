"""Causes of operations that did not end ok: each cause with its count, and a traceback as an example for errors of a client."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ...systems.base import Outcome

CLIENT_ERROR = "client-error"
MOST_CAUSES = 100
"""Distinct causes that are kept; further ones count as one, `other`."""
MESSAGE_LENGTH = 200
_VARIES = re.compile(r"0x[0-9a-f]+|\d[\d.]*")

Key = tuple[str, str, str]


@dataclass(slots=True)
class _Cause:
    count: int = 0
    message: str = ""
    traceback: str = ""


class Causes:
    """Counts of the causes of outcomes other than ok; used by one thread. Messages that differ only in numbers are one cause."""

    def __init__(self) -> None:
        self._found: dict[Key, _Cause] = {}

    def add(self, outcome: Outcome, traceback: str = "") -> None:
        if outcome.type == "ok":
            return
        message = str(outcome.extra.get("message", ""))[:MESSAGE_LENGTH]
        key = (outcome.type, (outcome.error or "")[:MESSAGE_LENGTH], _VARIES.sub("N", message))
        if key not in self._found and len(self._found) >= MOST_CAUSES:
            key, message = (outcome.type, "other", ""), ""
        cause = self._found.setdefault(key, _Cause(0, message, traceback))
        cause.count += 1

    def top(self) -> list[dict[str, Any]]:
        """Return the most frequent causes first: `type`, `error`, `count`, the first `message` and, for a client's error, the first `traceback`."""
        ordered = sorted(self._found.items(), key=lambda item: (-item[1].count, item[0]))
        return [
            {
                "type": type,
                "error": error,
                "count": cause.count,
                "message": cause.message,
                **({"traceback": cause.traceback} if cause.traceback else {}),
            }
            for (type, error, _), cause in ordered
        ]
