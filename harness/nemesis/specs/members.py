"""Faults of the cluster's membership: voters that leave and come back, as they are, on an empty disk, or as new members; and leadership transfer by request."""

from __future__ import annotations

from enum import Enum
from typing import Any, ClassVar

from pydantic import Field

from ..catalog.timing import Aimed


class Action(str, Enum):
    REMOVE = "remove"
    REPLACE = "replace"
    LEAVE = "leave"


_NEEDS = {Action.REMOVE: "membership", Action.REPLACE: "replacement", Action.LEAVE: "departure"}


class MembershipSpec(Aimed):
    """The targets leave the voters through the log, and join them again when it ends. `replace`: meanwhile their disks are replaced by empty ones.
    `leave`: they are no longer members, and do not run; when they are started again they join again.
    """

    kind: ClassVar[str] = "membership"
    lane: ClassVar[str] = "members"

    action: Action = Field(default=Action.REMOVE, description="what becomes of the targets while they do not vote")

    later: ClassVar[frozenset[str]] = frozenset({"optional"})
    optional: bool | None = Field(
        default=None, description="true: where the others cannot do without them it is left out, which is no error"
    )

    def parameters(self) -> dict[str, Any]:
        optional = {"optional": True} if self.optional else {}
        return {"target": self.target, "action": self.action.value, **optional}

    def needs(self) -> frozenset[str]:
        return frozenset({_NEEDS[self.action]})

    def variant(self) -> str:
        return f"{self.action.value}-{super().variant()}"
