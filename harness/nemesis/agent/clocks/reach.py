"""Which processes of the service a wrong clock reaches. That a library is mapped is no evidence: the process must have asked it for the time."""

from __future__ import annotations

import os
import struct
import time
from typing import Any

from .. import processes
from . import elf

Json = dict[str, Any]
READS, COUNT = "tribulation_clock_reads", struct.Struct("=Q")
WAIT_S = 3.0
POLL_S = 0.02


def family(pid: int) -> list[int]:
    """The process and all its descendants that live."""
    parents: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (parent := _parent(int(entry))) is not None:
            parents.setdefault(parent, []).append(int(entry))
    found = [pid]
    for each in found:
        found += parents.get(each, ())
    return [each for each in found if processes.alive(each)]


def look(pid: int, library: str) -> Json:
    """What is known of one process: `means` by which the clock library reaches it, `reads` that the library counted, or `why` it does not reach it."""
    seen: Json = {"pid": pid, "name": _name(pid)}
    told = f"{seen['name']} (pid {pid})"
    try:
        program = elf.of_file(f"/proc/{pid}/exe")
        base = _base(pid, library)
        if program.is_go:
            return {**seen, "why": f"{told} is a Go program: its runtime reads the vDSO, not the preloaded clock"}
        if program.static:
            return {**seen, "why": f"{told} is a static program: no clock can be preloaded into it"}
        if base is None:
            return {**seen, "why": f"{told} runs without the clock library"}
        counter = elf.of_file(library).symbols.get(READS)
        if counter is None:
            return {**seen, "why": f"{told} runs under {os.path.basename(library)}, which does not count who asks it"}
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            (reads,) = COUNT.unpack(os.pread(memory.fileno(), COUNT.size, base + counter))
        return {**seen, "means": "preload", "reads": reads}
    except (OSError, ValueError, struct.error) as error:
        return {**seen, "why": f"{told} cannot be looked into: {error}"}


def evidence(pid: int, library: str, paused: bool = False, wait_s: float = WAIT_S) -> Json:
    """`affected` when the clock reaches every process of the service and one at least asks for the time while we look; else `why` not.

    Of one that is `paused` it is enough that it had asked before.
    """
    first: dict[int, int] = {}
    deadline_s = time.monotonic() + wait_s
    while True:
        seen = [look(one, library) for one in family(pid)]
        # What ended meanwhile is no evidence; what began shows itself at the next look.
        seen = [each for each in seen if processes.alive(each["pid"])]
        why = [each["why"] for each in seen if "why" in each]
        # A forked process begins with its parent's count.
        asked = any(
            each["reads"] > (0 if paused else first.setdefault(each["pid"], each["reads"]))
            for each in seen
            if "reads" in each
        )
        if why or asked or time.monotonic() > deadline_s:
            break
        time.sleep(POLL_S)
    if not asked and not why:
        why = [f"none of {len(seen)} processes of the service asked for the wall clock within {wait_s:g} s"]
    means = sorted({each["means"] for each in seen if "means" in each})
    return {"affected": asked and not why, "why": why[:3], "means": means, "processes": len(seen)}


def _base(pid: int, library: str) -> int | None:
    """Where the library lies in the process's memory."""
    with open(f"/proc/{pid}/maps") as file:
        for line in file:
            if line.rstrip().endswith(f" {library}") and line.split()[2] == "00000000":
                return int(line.partition("-")[0], 16)
    return None


def _parent(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return None


def _name(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip()
    except OSError:
        return "?"
