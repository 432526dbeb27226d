"""Faults of the cluster's membership: voters that leave and come back, as they are or on an empty disk."""

from __future__ import annotations

from enum import Enum
from typing import Any, ClassVar

from pydantic import Field

from .timing import Aimed


class Action(str, Enum):
    REMOVE = "remove"
    REPLACE = "replace"


class MembershipSpec(Aimed):
    """The targets leave the voters through the log, and join them again when it ends. `replace`: meanwhile their disks are exchanged for empty ones."""

    kind: ClassVar[str] = "membership"
    lane: ClassVar[str] = "members"

    action: Action = Field(default=Action.REMOVE, description="what becomes of the targets while they do not vote")

    def parameters(self) -> dict[str, Any]:
        return {"target": self.target, "action": self.action.value}

    def needs(self) -> frozenset[str]:
        return frozenset({"membership" if self.action is Action.REMOVE else "replacement"})

    def variant(self) -> str:
        return f"{self.action.value}-{super().variant()}"
