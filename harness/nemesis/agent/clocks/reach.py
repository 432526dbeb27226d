"""Which processes of the service a wrong clock reaches. That a library is mapped is no evidence: the process must have asked it for the time."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .. import clock, proc, processes
from . import counting, elf, vdso

Json = dict[str, Any]
READS, FLAG, COUNT = "tribulation_clock_reads", "tribulation_clock_moved_below", struct.Struct("=Q")
SETTING_BYTES = clock.SIZE
WAIT_S = 3.0
SETTLE_S = 1.0
"""A process that has just begun may be loading its libraries still, or wait for its vDSO to be changed."""
POLL_S = 0.02
PRELOAD, VDSO = "preload", "vdso"


@dataclass(frozen=True, slots=True)
class Means:
    """What moves clocks on this host: the library that is preloaded, and the file that says how."""

    library: str
    file: str


def look(pid: int, by: Means) -> Json:
    """What is known of one process: `means` by which a wrong clock reaches it, `reads` that the library counted, or `why` it does not reach it."""
    known = proc.read(pid)
    seen: Json = {"pid": pid}
    told = f"{known.name if known else 'a process'} (pid {pid})"
    try:
        image = vdso.image_of(pid)
        if image is not None and image.led_away and image.setting == _content(by.file):
            return {**seen, "means": VDSO, "each_move_at": image.each_move_at}
        if why := _never_asks(pid):
            return {**seen, "why": f"{told} {why}"}
        counter = _address(pid, by.library, READS)
        if counter is None:
            return {**seen, "why": f"{told} runs without a clock library that counts who asks it"}
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            (reads,) = COUNT.unpack(os.pread(memory.fileno(), COUNT.size, counter))
        return {**seen, "means": PRELOAD, "reads": reads}
    except (OSError, ValueError, struct.error) as error:
        return {**seen, "why": f"{told} cannot be looked into: {error}"}


def evidence(members: Callable[[], Sequence[int]], by: Means, paused: bool = False, wait_s: float = WAIT_S) -> Json:
    """`affected` when the clock reaches every process of the service, its `members`, and one at least asks for the time while we look; else `why` not.

    Of one that is `paused` it is enough that it could. `uncounted`: why nobody knows whether a process asks its vDSO; that it would be moved is enough then.
    """
    since: dict[int, float] = {}
    began_s = time.monotonic()
    with _Asking(paused) as asking:
        while True:
            # What ended meanwhile is no evidence.
            seen = [each for each in (look(pid, by) for pid in members()) if processes.alive(each["pid"])]
            now_s = time.monotonic()
            missed = {each["pid"]: each["why"] for each in seen if "why" in each}
            since = {pid: since.get(pid, now_s) for pid in missed}
            why = [missed[pid] for pid, at_s in since.items() if now_s - at_s >= min(SETTLE_S, wait_s)]
            asked = asking.seen(seen)
            if why or (asked and (not missed or now_s - began_s >= SETTLE_S)) or now_s - began_s >= wait_s:
                break
            time.sleep(POLL_S)
        uncounted = {"uncounted": asking.uncounted} if asking.uncounted else {}
    if not asked and not why:
        why = [f"none of {len(seen)} processes of the service asked for the wall clock within {wait_s:g} s"]
    means = sorted({each["means"] for each in seen if "means" in each})
    return {"affected": asked and not why, "why": why[:3], "means": means, "processes": len(seen), **uncounted}


class _Asking:
    """Whether any process asks for the wall clock from its first look on."""

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
    """Where the preloaded library of this process learns that its clock is moved below it; 0 without such a library."""
    return _address(pid, library, FLAG) or 0


def _never_asks(pid: int) -> str | None:
    program = elf.of_file(f"/proc/{pid}/exe")
    if program.is_go:
        return "is a Go program: its runtime reads the vDSO, not the preloaded clock"
    if program.static:
        return "is a static program: no clock can be preloaded into it"
    return None


def _address(pid: int, library: str, symbol: str) -> int | None:
    """Of a symbol of the library in the process's memory; None where that is not mapped, or has no such symbol."""
    if not library:
        return None
    with open(f"/proc/{pid}/maps") as file:
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
