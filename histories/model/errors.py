"""Errors about histories. The message describes the error, with the value and the place; the hint describes what to do about it."""

from __future__ import annotations

_LONGEST = 2000
"""Characters of a message, at most: a history's values may be of any length."""


class HistoryError(Exception):
    """A history, or a run's folder, cannot be read or is inconsistent."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        message = message if len(message) <= _LONGEST else f"{message[:_LONGEST]}…"
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n\nhint: {self.hint}"
