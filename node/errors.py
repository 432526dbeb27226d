"""The node's own errors. Each message names the value and the place, and ends in a hint.

They stand apart from the harness's tree because a target machine has `node` alone. What a client or a peer sends wrongly is answered, never
raised; what raises is a configuration that cannot work or a disk that cannot be trusted.
"""

from __future__ import annotations


class NodeError(Exception):
    """`message` says what happened, with the value and the place; `hint` says what to do about it."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}"


class ConfigError(NodeError):
    """A field of the node's configuration is missing, unknown or out of range."""


class CorruptionError(NodeError):
    """Files in the data directory are damaged where no crash can have damaged them."""
