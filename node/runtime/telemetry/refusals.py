"""Refusals of a node: counted by reason, logged once for each peer and reason.

An unknown peer that tries again and again must not fill the log or memory: both are bounded.
"""

from __future__ import annotations

from collections.abc import Mapping

from .logs import NodeLog

LOGGED_LIMIT = 1024
"""Pairs of peer and reason that the log names; later refusals are only counted."""


class Refused(Exception):
    """Refusal of a peer, whose connection or datagram is rejected. `reason` is one word to count by; `message` is for people, and contains no secret."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Refusals:
    def __init__(self, log: NodeLog) -> None:
        self._log = log
        self._counts: dict[str, int] = {}
        self._logged: dict[tuple[str, str], None] = {}

    @property
    def counts(self) -> Mapping[str, int]:
        """Refusals by reason."""
        return dict(sorted(self._counts.items()))

    def add(self, peer: str, refused: Refused) -> None:
        """Count a refusal, and log the first of its kind. `peer` is the address of an unidentified peer, or the name of the peer that this node
        dialled.
        """
        reason = refused.reason
        self._counts[reason] = self._counts.get(reason, 0) + 1
        if (peer, reason) in self._logged or len(self._logged) > LOGGED_LIMIT:
            return
        self._logged[peer, reason] = None
        if len(self._logged) > LOGGED_LIMIT:
            self._log.warning("further refusals are counted, but not logged", peers=LOGGED_LIMIT)
        else:
            self._log.warning("refused", peer=peer, reason=reason, why=refused.message)
