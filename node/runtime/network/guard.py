"""The single place that catches an exception caused by a connection: the connection is closed, the exception is counted by its name, and the loop
continues.

The loop does all work for a connection, or a datagram, through `run`. An exception here is a bug or an exhausted resource. Protocol errors of the
other side are answered where they are found, and never reach this place.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from typing import Protocol

from ..telemetry.logs import NodeLog


class Endpoint(Protocol):
    def abandon(self, reason: str) -> None:
        """Close this connection now; nothing more is sent."""
        ...


class Guard:
    def __init__(self, log: NodeLog) -> None:
        self._log = log
        self._counts: dict[str, int] = {}

    @property
    def counts(self) -> Mapping[str, int]:
        """Connections closed this way, by the name of the exception."""
        return dict(sorted(self._counts.items()))

    def run(self, who: Endpoint, step: Callable[..., object], *arguments: object) -> None:
        try:
            step(*arguments)
        except Exception as error:
            self._count(error)
            try:
                who.abandon(f"an error of this node: {type(error).__name__}")
            except Exception as another:
                self._count(another)

    def _count(self, error: Exception) -> None:
        reason = type(error).__name__
        self._counts[reason] = self._counts.get(reason, 0) + 1
        if self._counts[reason] == 1:
            # Once for each reason: a peer that causes one error can cause many.
            self._log.error("a connection was closed by an error of this node", traceback=traceback.format_exc())
