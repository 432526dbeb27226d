"""Conclusions from the values of a register that are not unique: some violations, and operations without effect."""

from __future__ import annotations

from collections.abc import Hashable

from ...base.result import Anomaly
from ...models.model import Model
from ...models.registers import cas_operands
from ..search.problem import Call
from .view import Access, Register, Violation
from .witness import anomaly_of


def without_unobserved(calls: list[Call], model: Model) -> list[Call]:
    """Drop writes of unknown outcome whose value was never observed: they are optional, and without effect on anything seen.

    Nothing is dropped if there is a mismatch that does not report what it saw: it may have seen any of them.
    """
    if any(call.step.kind == "differs" for call in calls):
        return calls
    while True:
        seen = {call.step.value for call in calls if call.step.conditional}
        kept = [call for call in calls if call.end is not None or model.gives(call.step) in seen]
        if len(kept) == len(calls):
            return calls
        calls = kept


def unwritten_or_early(register: Register, key: Hashable) -> Anomaly | None:
    """Return a violation that does not need unique values, or None: a value was seen that was never written, or only later; or a cas failed although
    it saw what it expected.
    """
    first_write: dict[Hashable, Access] = {}
    for access in register.accesses:
        for value in access.writes:
            if value not in first_write or access.start < first_write[value].start:
                first_write[value] = access
    for access in register.accesses:
        op = access.op
        if op is None or op.complete_index is None:
            continue
        if op.error is not None and access.reads == cas_operands(op)[:1]:
            return anomaly_of(Violation("false-mismatch", (access,), access.reads), register, key)
        for value in access.reads:
            if value == register.initial:
                continue
            if value not in first_write:
                return anomaly_of(Violation("thin-air", (access,), (value,)), register, key)
            if first_write[value].start > access.end:
                return anomaly_of(Violation("future-read", (access, first_write[value]), (value,)), register, key)
    return None
