"""What a record must show, by its definition: all operations that are known, and of each what its author had seen. No states, no joining.

A written value is there unless a replica that had seen it wrote the field or deleted the record; an element, an amount and a rating unless a replica that had seen it deleted the record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tribulation.node.core.memory.records.schema import COUNT, FIELDS, SCORE, SET, WRITTEN
from tribulation.node.core.memory.records.vector import Dot


@dataclass(frozen=True)
class Operation:
    """`fields` None: a deletion. `seen`: the operations of this record that its author knew."""

    dot: Dot
    fields: Mapping[str, Any] | None
    seen: frozenset[Operation]

    def __hash__(self) -> int:
        return hash(self.dot)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Operation) and self.dot == other.dot


Known = frozenset[Operation]
NONE: Known = frozenset()


def shown(kind: str, known: Iterable[Operation]) -> dict[str, Any] | None:
    """None when nothing is left of the record."""
    known = list(known)
    deleted = {seen for operation in known if operation.fields is None for seen in operation.seen}
    left = [operation for operation in known if operation.fields is not None and operation not in deleted]
    fields: dict[str, Any] = {}
    conflicts: dict[str, list[Any]] = {}
    for field, type_ in FIELDS[kind].items():
        touching = [operation for operation in left if field in operation.fields]
        if not touching:
            continue
        if type_ in WRITTEN:
            replaced = {seen for operation in touching for seen in operation.seen}
            versions = sorted((o.dot, o.fields[field]) for o in touching if o not in replaced)
            fields[field] = versions[-1][1]
            values = {value: dot for dot, value in versions}
            if len(values) > 1:
                conflicts[field] = sorted(values, key=lambda value: values[value])
        elif type_ == COUNT:
            fields[field] = sum(operation.fields[field] for operation in touching)
        elif type_ == SCORE:
            total = sum(round(operation.fields[field] * 1000) for operation in touching)
            fields[field] = (2 * total + len(touching)) // (2 * len(touching)) / 1000
        else:
            assert type_ == SET
            fields[field] = sorted({element for operation in touching for element in operation.fields[field]})
    return {"fields": fields, "conflicts": conflicts} if fields else None
