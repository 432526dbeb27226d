"""Versions: each written value of each register is a number, and each access reads or makes some of them.

Version numbers are places of arrays: first those that accesses write, in order of the accesses, then the initial one of each register. Only
registers whose written values are unique have versions that values identify.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tribulation.histories.model.columns import ABSENT, NONE_ID, OPEN, Int64

from .accesses import Accesses, Mask, Registers
from .broken import Broken, Violated, firsts

NONE = -1


@dataclass(slots=True)
class Written:
    """Versions that accesses write: `writer[version]` is the access that makes it."""

    registers: Registers
    writer: Int64
    register: Int64
    value: Int64

    @staticmethod
    def of(registers: Registers) -> Written:
        writer = np.flatnonzero(registers.accesses.writes != ABSENT)
        return Written(registers, writer, registers.accesses.register[writer], registers.accesses.writes[writer])

    def repeated(self) -> Int64:
        """Return the registers in which a value is written twice, or the initial value is written at all."""
        again = self.register[self.value == NONE_ID]
        table = np.full(len(self.registers.values), NONE, np.int64)
        table[self.value] = np.arange(len(self.value))
        # Only a value with several writers at all can be written twice in one register.
        crowded = self._crowded(table)
        code = np.sort(self._code(self.register[crowded], self.value[crowded]))
        twice = code[1:][code[1:] == code[:-1]] // len(self.registers.values)
        return np.unique(np.concatenate([again, twice]))

    def _crowded(self, table: Int64) -> Mask:
        """Return versions whose value has several writers."""
        lost = table[self.value] != np.arange(len(self.value))
        several = np.zeros(len(table), np.bool_)
        several[self.value[lost]] = True
        return several[self.value]

    def _code(self, register: Int64, value: Int64) -> Int64:
        return register * len(self.registers.values) + value

    def find(self, register: Int64, value: Int64) -> Int64:
        """Return the version of `value` in `register`; `NONE` where it is not written there. Values must be unique per register."""
        count = len(self.value)
        table = np.full(len(self.registers.values), NONE, np.int64)
        table[self.value] = np.arange(count)
        if self._crowded(table).any():
            found = self._search(register, value)
        else:
            found = table[value]
            if self.registers.count > 1 and count:
                found[self.register[found] != register] = NONE
        initial = value == NONE_ID
        found[initial] = count + register[initial]
        return found

    def _search(self, register: Int64, value: Int64) -> Int64:
        code = self._code(self.register, self.value)
        order = np.argsort(code, kind="stable")
        ordered, wanted = code[order], self._code(register, value)
        place = np.minimum(np.searchsorted(ordered, wanted), len(ordered) - 1)
        return np.where(ordered[place] == wanted, order[place], NONE)


@dataclass
class Versions:
    """The relevant accesses, and the known facts about each version.

    `read` and `made` are an access's versions (`NONE` where none). `kept`: versions that certainly existed, hence all except those of unknown
    writes that were never observed. `parent` is the version that a cas replaced; a version made by a plain write is its own.
    """

    registers: Registers
    written: Written
    accesses: Accesses
    read: Int64
    made: Int64
    kept: Mask
    parent: Int64

    @property
    def count(self) -> int:
        return len(self.kept)

    @cached_property
    def register(self) -> Int64:
        return np.concatenate([self.written.register, np.arange(self.registers.count)])

    def value(self, version: int) -> int:
        return int(self.written.value[version]) if version < len(self.written.value) else NONE_ID

    def is_initial(self, version: int) -> bool:
        return version >= len(self.written.value)

    def shows(self, version: int) -> tuple[Int64, Int64]:
        """Return the places of the accesses that read this version and made nothing of it, and of all that show it."""
        mine = self.accesses.places_of(int(self.register[version]))
        read, made = self.read[mine], self.made[mine]
        only = np.flatnonzero((read == version) & (made == NONE))
        return only + mine.start, np.flatnonzero((read == version) | (made == version)) + mine.start


def versions_of(registers: Registers) -> Versions:
    """Return the versions. Raises `Violated` for values seen that were never written, for versions that two cas replaced, for a cas from a value to
    itself, and for mismatches that saw the value that they expected.
    """
    wrong = registers.false_mismatch
    if len(wrong):
        raise Violated(
            {
                register: Broken("false-mismatch", (int(wrong.row[at]),), (int(wrong.reads[at]),))
                for register, at in firsts(wrong.register).items()
            }
        )
    written = Written.of(registers)
    all_ = registers.accesses
    reads = np.flatnonzero(all_.reads != ABSENT)
    read = np.full(len(all_), NONE, np.int64)
    read[reads] = written.find(all_.register[reads], all_.reads[reads])
    made = np.full(len(all_), NONE, np.int64)
    made[written.writer] = np.arange(len(written.writer))
    observed = _observed(registers, written, read, made)
    counts = (all_.end != OPEN) | ((made != NONE) & observed[made])
    accesses, read, made = all_.where(counts), read[counts], made[counts]
    parent = _parents(accesses, read, made, len(observed))
    return Versions(registers, written, accesses, read, made, observed, parent)


def _observed(registers: Registers, written: Written, read: Int64, made: Int64) -> Mask:
    """Return versions that certainly existed: what known operations read or made, and what made those possible."""
    accesses = registers.accesses
    known = accesses.end != OPEN
    _refuse_unwritten(registers, np.flatnonzero(known & (read == NONE) & (accesses.reads != ABSENT)))
    observed = np.zeros(len(written.writer) + registers.count, np.bool_)
    observed[len(written.writer) :] = True
    observed[read[known & (read != NONE)]] = True
    observed[made[known & (made != NONE)]] = True
    # A cas of unknown outcome whose value was seen happened, so what it expected existed as well.
    waiting = np.flatnonzero(~known & (accesses.reads != ABSENT))
    while len(waiting):
        happened = observed[made[waiting]]
        now, waiting = waiting[happened], waiting[~happened]
        if not len(now):
            break
        _refuse_unwritten(registers, now[read[now] == NONE])
        observed[read[now]] = True
    return observed


def _refuse_unwritten(registers: Registers, places: Int64) -> None:
    if not len(places):
        return
    accesses, failed = registers.accesses, registers.failed
    found = {}
    for register, at in firsts(accesses.register[places]).items():
        place = int(places[at])
        value = int(accesses.reads[place])
        mine = failed.of(register)
        refused = np.flatnonzero(mine.writes == value)
        row = int(accesses.row[place])
        if len(refused):
            found[register] = Broken("aborted-read", (row, int(mine.row[refused[0]])), (value,))
        else:
            found[register] = Broken("thin-air", (row,), (value,))
    raise Violated(found)


def _parents(accesses: Accesses, read: Int64, made: Int64, count: int) -> Int64:
    parent = np.arange(count)
    cas = np.flatnonzero((read != NONE) & (made != NONE))
    if not len(cas):
        return parent
    itself = cas[read[cas] == made[cas]]
    if len(itself):
        raise Violated(
            {
                register: Broken("cas-cycle", (int(accesses.row[itself[at]]),), (int(accesses.reads[itself[at]]),))
                for register, at in firsts(accesses.register[itself]).items()
            }
        )
    successor = np.full(count, NONE, np.int64)
    # Assigned backwards, so that the first of several stays.
    successor[read[cas][::-1]] = cas[::-1]
    again = cas[successor[read[cas]] != cas]
    if len(again):
        raise Violated(
            {
                register: Broken(
                    "lost-update",
                    (int(accesses.row[successor[read[again[at]]]]), int(accesses.row[again[at]])),
                    (int(accesses.reads[again[at]]),),
                )
                for register, at in firsts(accesses.register[again]).items()
            }
        )
    parent[made[cas]] = read[cas]
    return parent
