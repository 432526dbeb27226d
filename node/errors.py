"""Errors of the node. Each message names the value and the place, and ends in a hint.

They are separate from the harness's errors because a target machine has only `node`. A wrong request or message from a client or a peer is answered,
never raised. Errors are raised for a configuration that cannot work and for a disk that cannot be trusted.
"""

from __future__ import annotations


class NodeError(Exception):
    """An error of the node: `message` describes it, with the value and the place; `hint` describes how to fix it."""

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
