"""One small tree of errors. Every message names the value and the place, and ends in a hint.

`exit_code` is what `tri` exits with when the error reaches it (docs/reference/exit-codes.md).
"""

from __future__ import annotations


class TribulationError(Exception):
    """`message` says what happened, with the value and the place; `hint` says what to do about it."""

    exit_code = 70

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n\nhint: {self.hint}"


class CampaignError(TribulationError):
    """The campaign or the command line is wrong; nothing was changed."""

    exit_code = 2


class HostError(TribulationError):
    """A host could not be reached, or a command on it failed or took too long."""

    exit_code = 4


class DeployError(TribulationError):
    """The system under test could not be installed, started or stopped."""

    exit_code = 4


class FaultError(TribulationError):
    """A fault could not be injected, probed or healed."""

    exit_code = 4


def shown(value: object) -> str:
    """A value as messages show it, shortened because a user's text may be long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def text_of(error: BaseException) -> str:
    """The error in one line without the hint; for other exceptions, with their type."""
    return error.message if isinstance(error, TribulationError) else f"{type(error).__name__}: {error}"
