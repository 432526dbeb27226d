"""Errors of hosts, distinguished for callers: no connection, a lost one, a command that failed or took too long."""

from __future__ import annotations

from typing import Literal

from ..errors import HostError

Reason = Literal["refused", "unreachable", "timeout", "banner", "auth", "host-key", "name", "lost", "busy"]


class ConnectError(HostError):
    """No usable SSH connection to `host`; `reason` says which stage failed."""

    def __init__(self, host: str, reason: Reason, message: str, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.host = host
        self.reason: Reason = reason


class CommandError(HostError):
    """A command ended with an exit code other than 0, or without one: it was too late, killed, or its connection lost (`command_exit_code` is None)."""

    def __init__(
        self, host: str, command: str, exit_code: int | None, message: str, hint: str, stderr: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.host = host
        self.command = command
        self.command_exit_code = exit_code
        self.stderr = stderr


class LateLineError(CommandError):
    """A running command printed no line in time; it runs, and the line may still come."""


def lost_or_late(error: Exception) -> bool:
    """Return whether the error is of a command without an exit code: its host may not be usable any more."""
    return isinstance(error, CommandError) and error.command_exit_code is None
