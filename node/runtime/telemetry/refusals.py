"""What a node turned away, and why: counted by reason, told in the log once for each peer and reason.

A stranger who tries again and again must not fill a log, nor memory: both are bounded.
"""

from __future__ import annotations

from collections.abc import Mapping

from .logs import NodeLog

TOLD = 1024
"""Pairs of peer and reason that the log names; what is refused beyond them is only counted."""


class Refused(Exception):
    """A peer may not go on. `reason` is one word to count by; `message` says it to people, and holds no secret."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Refusals:
    def __init__(self, log: NodeLog) -> None:
        self._log = log
        self._counts: dict[str, int] = {}
        self._told: dict[tuple[str, str], None] = {}

    @property
    def counts(self) -> Mapping[str, int]:
        """How many, by reason."""
        return dict(sorted(self._counts.items()))

    def add(self, peer: str, refused: Refused) -> None:
        """`peer` is the address of a stranger, or the name of whom we dialled."""
        reason = refused.reason
        self._counts[reason] = self._counts.get(reason, 0) + 1
        if (peer, reason) in self._told or len(self._told) > TOLD:
            return
        self._told[peer, reason] = None
        if len(self._told) > TOLD:
            self._log.warning("further refusals are counted, but not told", peers=TOLD)
        else:
            self._log.warning("refused", peer=peer, reason=reason, why=refused.message)
