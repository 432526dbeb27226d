"""Transfers that explain a read with a wrong total: two that overwrote each other's change, or one that was seen by half."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tribulation.histories import Operation, Type, canonical

from ...base.wording import describe, show

_NEVER = 2**62
MOST_LOOKED_AT = 2000
"""Transfers between two reads that are searched for a pair, at most."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A read of all accounts."""

    op: Operation
    balances: Mapping[Hashable, Any]


@dataclass(frozen=True, slots=True)
class Blamed:
    """The transfers, and what they show as the end of a sentence."""

    ops: Sequence[Operation]
    text: str


def blamed(transfers: Sequence[Operation], before: Seen | None, read: Seen, off: Any) -> Blamed | None:
    """Return the transfers that explain why `read` is wrong by `off`, or None: each may have happened after `before`, the last right read.
    `transfers` are in order of invocation.
    """
    since = -1 if before is None else before.op.invoke_index
    between = [op for op in transfers if _begun(op, read.op) and _end(op) > since and _is_transfer(op)]
    fitting = [op for op in reversed(between) if op.argument["amount"] == abs(off)]
    if len(between) <= MOST_LOOKED_AT:
        for lost in fitting:
            side = "from" if off > 0 else "to"
            for other in _overwriting(lost, side, between, before, read):
                account = show(lost.argument[side])
                text = (
                    f"as if {describe(lost)} and {describe(other)}, which were under way at once, had both read the balance of account {account} "
                    "and one of the two changes were lost"
                )
                return Blamed([lost, other], text)
    if not fitting:
        return None
    return Blamed(fitting[:1], f"as if one half of {describe(fitting[0])} were seen without the other")


def _overwriting(
    lost: Operation, side: str, between: Sequence[Operation], before: Seen | None, read: Seen
) -> Iterator[Operation]:
    """Return transfers that touched the account while `lost` was under way and had ended, as it had, when the read began, if the balances confirm it."""
    account = name_of(lost.argument[side])
    if not _ended(lost, read.op) or not _borne_out(lost, account, between, before, read):
        return
    for other in between:
        touches = account in (name_of(other.argument["from"]), name_of(other.argument["to"]))
        if other is not lost and touches and _overlap(lost, other) and _ended(other, read.op):
            yield other


def _borne_out(
    lost: Operation, account: Hashable, between: Sequence[Operation], before: Seen | None, read: Seen
) -> bool:
    """Return whether the account changed by what all transfers but `lost` make, where both reads show it and no other transfer was under way."""
    if before is None or account not in before.balances or account not in read.balances:
        return True
    mine = [op for op in between if account in (name_of(op.argument["from"]), name_of(op.argument["to"]))]
    settled = all(op.type is Type.OK and _after(op, before.op) and _ended(op, read.op) for op in mine)
    change = sum(_change(op, account) for op in mine if op is not lost)
    return not settled or bool(read.balances[account] - before.balances[account] == change)


def _change(op: Operation, account: Hashable) -> Any:
    amount = op.argument["amount"]
    return amount * ((name_of(op.argument["to"]) == account) - (name_of(op.argument["from"]) == account))


def _is_transfer(op: Operation) -> bool:
    return isinstance(op.argument, Mapping) and {"from", "to", "amount"} <= op.argument.keys()


def _begun(op: Operation, read: Operation) -> bool:
    return op.invoke_index < (read.complete_index or 0)


def _ended(op: Operation, read: Operation) -> bool:
    return op.type is Type.OK and _end(op) < read.invoke_index


def _after(op: Operation, read: Operation) -> bool:
    return op.invoke_index > (read.complete_index or 0)


def _overlap(one: Operation, other: Operation) -> bool:
    return one.invoke_index < _end(other) and other.invoke_index < _end(one)


def _end(op: Operation) -> int:
    return _NEVER if op.complete_index is None else op.complete_index


def name_of(account: Any) -> Hashable:
    """Return accounts as text, since the keys of a JSON object are texts."""
    name: Hashable = canonical(account)
    return str(name) if isinstance(name, int) else name
