"""Checker `bank`: transfers move money and create none, so every read of all accounts has the same total.

Operations are `transfer` (`{"from", "to", "amount"}`) and `read`, whose result maps accounts to balances. The total is an option (`total`), else what
the first read saw; then a wrong one is shown as two reads that differ. Negative balances are violations unless `negative_balances` allows them.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any

from tribulation.histories import Operation, Type

from ...base.conclusion import all_of, conclude, sentence
from ...base.findings import Findings
from ...base.options import flag, number, settings_of
from ...base.options import names as list_of_names
from ...base.result import Budget, CheckResult, RunRecord
from ...base.selection import Bool, by_object, judges, names
from ...base.wording import describe, indices, on_key, show
from .bank_witness import Seen, blamed, name_of
from .totals import exact_sum, is_amount, is_rounding, plain

Balances = dict[Hashable, Any]


class BankChecker:
    name = "bank"
    operations = judges("create", "transfer", "read", having=["transfer"], whole=True)
    options = (
        number("total", None, "the total of all accounts; default: the total of the first complete read"),
        list_of_names("accounts", "the existing accounts; default: those of the first read"),
        flag("negative_balances", False, "balances below zero are allowed"),
    )

    def applies(self, record: RunRecord) -> bool:
        return ({"read"} if _asked(record) else {"transfer", "read"}) <= names(record)

    def judged(self, record: RunRecord) -> Bool:
        mine = replace(self.operations, having=frozenset()) if _asked(record) else self.operations
        return mine.rows(record.history.columns)

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        options = settings_of(record, self)
        findings = Findings()
        doubts: list[str] = []
        stats = {"banks": 0, "transfers": 0, "reads": 0}
        mine = set(record.history.columns.invoke[self.judged(record)].tolist())
        for (_, key), ops in by_object(record).items():
            ops = [op for op in ops if op.invoke_index in mine]
            if not ops:
                continue
            bank = _bank(key, ops, options, doubts)
            stats["banks"] += 1
            stats["transfers"] += len(bank.transfers)
            stats["reads"] += len(bank.reads)
            _judge(bank, options["negative_balances"], findings, doubts)
            if bank.reads or any(op.type is Type.OK for op in bank.transfers):
                doubts += _uncompared(bank)
        if not stats["reads"] or not stats["transfers"]:
            doubts.append(
                f"{stats['transfers']} transfers may have happened and {stats['reads']} reads ended ok: nothing to compare"
            )
        return conclude(self.name, findings, stats, all_of(doubts))


@dataclass(frozen=True, slots=True)
class Bank:
    """One bank. `total` is None while it is unknown. `transfers` may have happened, in order of invocation."""

    key: Hashable
    reads: Sequence[tuple[Operation, Balances]]
    transfers: Sequence[Operation]
    accounts: frozenset[Hashable]
    total: Any
    reference: Operation | None


def _asked(record: RunRecord) -> bool:
    """Return whether the user declared this a bank: then its reads are judged although nothing was transferred."""
    return record.options.get("model") == BankChecker.name


def _bank(key: Hashable, ops: Sequence[Operation], options: Mapping[str, Any], doubts: list[str]) -> Bank:
    transfers = [op for op in ops if op.f == "transfer" and op.type is not Type.FAIL]
    opened = _opened(ops)
    reads, unreadable = [], 0
    for op in ops:
        if op.f == "read" and op.type is Type.OK:
            balances = _balances(op.result)
            if balances is None:
                unreadable += 1
            elif balances or opened is None or op.invoke_index > opened:
                reads.append((op, balances))
    if unreadable:
        doubts.append(f"{unreadable} reads have no balances by account")
    named = options["accounts"]
    accounts = frozenset(map(name_of, named if named is not None else (reads[0][1] if reads else ())))
    if reads and not accounts:
        doubts.append("no account is known: the first read has none")
    whole = [(op, balances) for op, balances in reads if _is_whole(balances, accounts)]
    total = options["total"]
    reference = None
    if total is None and whole:
        reference, total = whole[0][0], exact_sum(whole[0][1].values())
    return Bank(key, reads, transfers, accounts, total, reference)


def _opened(ops: Sequence[Operation]) -> float | None:
    """Return the position at which the first `create` ended ok: until then a read of no accounts is right. Infinite if none did; None without any
    `create`.
    """
    creates = [op for op in ops if op.f == "create"]
    ended = [op.complete_index for op in creates if op.type is Type.OK and op.complete_index is not None]
    return min(ended, default=inf) if creates else None


def _balances(value: Any) -> Balances | None:
    """Return balances from a mapping, or from pairs of account and balance, each account once."""
    if isinstance(value, Mapping):
        return {name_of(account): balance for account, balance in value.items()}
    if isinstance(value, (list, tuple)) and all(isinstance(item, (list, tuple)) and len(item) == 2 for item in value):
        found = {name_of(account): balance for account, balance in value}
        return found if len(found) == len(value) else None
    return None


def _is_whole(balances: Balances, accounts: Iterable[Hashable]) -> bool:
    return balances.keys() == set(accounts) and all(is_amount(balance) for balance in balances.values())


def _uncompared(bank: Bank) -> list[str]:
    """Return why the reads of this bank prove nothing: there are none, or only one and no known total."""
    if not bank.reads:
        return [f"{on_key(bank.key)}transfers ended ok and no read did"]
    if bank.reference is not None and len(bank.reads) == 1:
        return [f"{on_key(bank.key)}one read ended ok and no total is given: nothing to compare it with"]
    return []


def _judge(bank: Bank, negative_allowed: bool, findings: Findings, doubts: list[str]) -> None:
    rounded = 0
    for read, balances in bank.reads:
        strange = balances.keys() ^ bank.accounts
        empty = [account for account, balance in balances.items() if not is_amount(balance)]
        below = [account for account, balance in balances.items() if is_amount(balance) and balance < 0]
        if strange:
            named = ", ".join(sorted(map(show, strange)))
            text = f"{describe(read)} has not the accounts that there are: {named} differ"
            _add(findings, "wrong-accounts", bank, [read], text, {"accounts": sorted(map(show, strange))})
        elif empty:
            text = f"{describe(read)} has no balance of account {show(empty[0])}"
            _add(findings, "null-balance", bank, [read], text, {"accounts": empty})
        elif (off := exact_sum((*balances.values(), -bank.total))) != 0:
            if is_rounding(off, balances.values(), bank.total):
                rounded += 1
            else:
                _wrong_total(bank, read, balances, plain(off), findings)
        if below and not negative_allowed:
            text = f"account {show(below[0])} is at {show(balances[below[0]])} in {describe(read)}"
            _add(findings, "negative-balance", bank, [read], text, {"accounts": below})
    if rounded:
        doubts.append(f"{on_key(bank.key)}{rounded} reads differ from the total by no more than floats are rounded")


def _wrong_total(bank: Bank, read: Operation, balances: Balances, off: Any, findings: Findings) -> None:
    if not findings.wants("wrong-total"):
        findings.count("wrong-total")
        return
    total, expected = plain(exact_sum(balances.values())), plain(exact_sum([bank.total]))
    ops = [read] if bank.reference is None else [bank.reference, read]
    why = blamed(bank.transfers, _last_right(bank, read), Seen(read, balances), off)
    text = f"the accounts hold {show(expected)} together, but {describe(read)} sums to {show(total)}"
    if bank.reference is not None:
        text = f"the accounts held {show(expected)} together in {describe(bank.reference)}, but {describe(read)} sums to {show(total)}"
    if why is not None:
        ops += why.ops
        text += f", {why.text}"
    _add(findings, "wrong-total", bank, ops, text, {"total": total, "expected": expected})


def _last_right(bank: Bank, read: Operation) -> Seen | None:
    """Return the last read with the right total that ended before this one began."""
    right = [
        Seen(op, balances)
        for op, balances in bank.reads
        if (op.complete_index or 0) < read.invoke_index
        and _is_whole(balances, bank.accounts)
        and exact_sum(balances.values()) == bank.total
    ]
    return max(right, key=lambda seen: seen.op.complete_index or 0, default=None)


def _add(
    findings: Findings, kind: str, bank: Bank, ops: Sequence[Operation], text: str, details: Mapping[str, Any]
) -> None:
    findings.add(kind, sentence(on_key(bank.key) + text), ops=indices(ops), details={"key": bank.key, **details})
