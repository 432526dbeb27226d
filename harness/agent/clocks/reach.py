"""Reach of a wrong clock: the processes of the service that it affects. That a library is mapped is no evidence: the process must have asked it for
the time.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..processes import proc, processes
from . import clock, counting, elf, vdso

Json = dict[str, Any]
READS, FLAG, COUNT = "tribulation_clock_reads", "tribulation_clock_moved_below", struct.Struct("=Q")
SETTING_BYTES = clock.SIZE
WAIT_S = 3.0
SETTLE_S = 1.0
"""A process that has just begun may be loading its libraries still, or wait for its vDSO to be changed."""
POLL_S = 0.02
PRELOAD, VDSO = "preload", "vdso"
Members = Callable[[], Sequence[int]]


@dataclass(frozen=True, slots=True)
class Means:
    """Means of moving clocks on this host: the library that is preloaded, and the file that says how."""

    library: str
    file: str


def look(pid: int, by: Means) -> Json:
    """Return what is known of one process: `means` by which a wrong clock reaches it, `reads` that the library counted, or `why` it does not reach it."""
    known = proc.read(pid)
    seen: Json = {"pid": pid}
    process = f"{known.name if known else 'a process'} (pid {pid})"
    try:
        image = vdso.image_of(pid)
        if image is not None and image.led_away and image.setting == _content(by.file):
            return {**seen, "means": VDSO, "each_move_at": image.each_move_at}
        if why := _never_asks(pid):
            return {**seen, "why": f"{process} {why}"}
        counter = _address(pid, by.library, READS)
        if counter is None:
            return {**seen, "why": f"{process} runs without a clock library that counts its callers"}
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            (reads,) = COUNT.unpack(os.pread(memory.fileno(), COUNT.size, counter))
        return {**seen, "means": PRELOAD, "reads": reads}
    except (OSError, ValueError, struct.error) as error:
        return {**seen, "why": f"{process} cannot be inspected: {error}"}


def evidence(members: Members, by: Means, paused: bool = False, wait_s: float = WAIT_S) -> Json:
    """Return the evidence: `affected` when the clock reaches all `members` of the service, and at least one of them asks for the time while we look; else
    `why` not.

    `paused`: it is enough that one asked earlier, or reads a changed vDSO. `uncounted`: why it is unknown whether a process asks its vDSO; a changed vDSO
    is enough then.
    """
    misses = _Misses(members, by, min(SETTLE_S, wait_s))
    began_s = time.monotonic()
    with _Asking(paused) as asking:
        while True:
            seen = misses.look()
            asked, age_s = asking.seen(seen), time.monotonic() - began_s
            if misses.lasting or (asked and (not misses.any or age_s >= SETTLE_S)) or age_s >= wait_s:
                break
            time.sleep(POLL_S)
        uncounted = {"uncounted": asking.uncounted} if asking.uncounted else {}
    why = misses.lasting
    if not asked and not why:
        why = [f"none of {len(seen)} processes of the service asked for the wall clock within {wait_s:g} s"]
    means = sorted({each["means"] for each in seen if "means" in each})
    return {"affected": asked and not why, "why": why[:3], "means": means, "processes": len(seen), **uncounted}


def missed(members: Members, by: Means) -> list[str]:
    """Return why the clock does not reach some of these; empty when it reaches all."""
    misses = _Misses(members, by, SETTLE_S)
    misses.look()
    while misses.any and not misses.lasting and misses.age_s < WAIT_S:
        time.sleep(POLL_S)
        misses.look()
    return misses.lasting[:3]


class _Misses:
    """Processes that the clock does not reach, and for how long that was seen: one that has just begun loads its libraries, or will be moved."""

    def __init__(self, members: Members, by: Means, settle_s: float) -> None:
        self._members, self._by, self._settle_s = members, by, settle_s
        self._since_s: dict[int, float] = {}
        self._why: dict[int, str] = {}
        self._began_s = self._now_s = time.monotonic()

    def look(self) -> list[Json]:
        """Look at all processes that live: one that ended meanwhile is no evidence."""
        seen = [each for each in (look(pid, self._by) for pid in self._members()) if processes.alive(each["pid"])]
        self._now_s = time.monotonic()
        self._why = {each["pid"]: each["why"] for each in seen if "why" in each}
        self._since_s = {pid: self._since_s.get(pid, self._now_s) for pid in self._why}
        return seen

    @property
    def any(self) -> bool:
        return bool(self._why)

    @property
    def age_s(self) -> float:
        return self._now_s - self._began_s

    @property
    def lasting(self) -> list[str]:
        return [self._why[pid] for pid, at_s in self._since_s.items() if self._now_s - at_s >= self._settle_s]


class _Asking:
    """Record of whether any process asks for the wall clock, from its first look on."""

    def __init__(self, paused: bool) -> None:
        self._paused = paused
        self._first: dict[int, int] = {}
        self._counters = counting.Counters()
        self._asked = False

    def seen(self, found: Sequence[Json]) -> bool:
        for each in found:
            if "reads" in each:
                # A forked process begins with its parent's count.
                self._asked |= each["reads"] > (
                    0 if self._paused else self._first.setdefault(each["pid"], each["reads"])
                )
            elif "each_move_at" in each:
                self._counters.watch(each["pid"], each["each_move_at"])
                self._asked |= self._paused
        self._asked |= self._counters.any() or self.uncounted is not None
        return self._asked

    @property
    def uncounted(self) -> str | None:
        return self._counters.refused

    def __enter__(self) -> _Asking:
        return self

    def __exit__(self, *_: object) -> None:
        self._counters.close()


def flag_at(pid: int, library: str) -> int:
    """Return the address of the flag that informs the preloaded library of a clock moved below it; 0 without such a library."""
    return _address(pid, library, FLAG) or 0


def _never_asks(pid: int) -> str | None:
    program = elf.of_file(f"/proc/{pid}/exe")
    if program.is_go:
        return "is a Go program: its runtime reads the vDSO, not the preloaded clock"
    if program.static:
        return "is a static program: no clock can be preloaded into it"
    return None


def _address(pid: int, library: str, symbol: str) -> int | None:
    """Return the address of a symbol of the library in the process's memory; None if the library is not mapped, or has no such symbol."""
    if not library:
        return None
    with open(f"/proc/{pid}/maps", errors="surrogateescape") as file:
        for line in file:
            if line.rstrip().endswith(f" {library}") and line.split()[2] == "00000000":
                at = elf.of_file(library).symbols.get(symbol)
                return None if at is None else int(line.partition("-")[0], 16) + at
    return None


def _content(file: str) -> bytes | None:
    try:
        with open(file, "rb") as opened:
            return opened.read(SETTING_BYTES)
    except OSError:
        return None
