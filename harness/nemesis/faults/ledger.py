"""The ledger: every fault is recorded before it is injected, and each later step too, as one JSON line each, fsynced.

    {"schema_version": 2}
    {"time": 8000123, "phase": "intended", "id": "cut-halves-7d4474.1", "kind": "cut", "what": {"edges": […]}, "parameters": {…}, …}
    {"time": 8021000, "phase": "injected", "id": "cut-halves-7d4474.1"}
    {"time": 8190000, "phase": "verified", "id": …, "verified": true, "observed": {…}}
    {"time": 12000456, "phase": "healing", "id": …}
    {"time": 12150000, "phase": "healed", "id": …, "verified": true, "observed": {…}}

`time` is in ns since the run began. `failed` replaces a step that raised, with its `error`. A crash leaves at most a torn last line. A fault without
a `healed` line may still be active, or a watchdog has undone it.
"""

from __future__ import annotations

import json
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict, get_args

from tribulation.checkers.base.result import Fault
from tribulation.histories import HistoryError
from tribulation.histories.files.codec import decode_once
from tribulation.histories.files.opening import read_bytes
from tribulation.histories.model.bounds import problem, refuse

from ...errors import CampaignError, FaultError
from ...user_files.renamed import SCHEMA, Words, current, written
from .fault import Observation, Resolved

HEAD = written({})
"""The first line. A ledger without it is of version 0.1, whose lines are the same."""

Phase = Literal["intended", "injected", "verified", "healing", "healed", "failed"]
PHASES: tuple[Phase, ...] = get_args(Phase)

LedgerLine = TypedDict(
    "LedgerLine",
    {
        "time": int,
        "phase": Phase,
        "id": str,
        "kind": NotRequired[str],
        "what": NotRequired[dict[str, Any]],
        "parameters": NotRequired[dict[str, Any]],
        "key": NotRequired[str],
        "at": NotRequired[int],
        "for": NotRequired[int | None],
        "drawn": NotRequired[bool],
        "verified": NotRequired[bool],
        "observed": NotRequired[dict[str, Any]],
        "error": NotRequired[str],
    },
)
"""A line after the first. Those from `kind` to `drawn` are of `intended` alone."""


class LedgerSink(ABC):
    """The steps of faults as lines; the subclass decides what happens to them."""

    def intended(self, fault: Resolved, time_ns: int) -> None:
        """Record a fault before anything is done: its effect and its target."""
        intent = fault.intent
        rest = {"parameters": dict(intent.parameters), "key": intent.key, "at": intent.at_ns, "for": intent.for_ns}
        rest |= {"drawn": True} if intent.drawn else {}
        self._write(time_ns, "intended", intent.id, kind=intent.kind, what=dict(fault.what), **rest)

    def step(self, phase: str, fault: Resolved, time_ns: int) -> None:
        self._write(time_ns, phase, fault.intent.id)

    def observed(self, phase: str, fault: Resolved, time_ns: int, observation: Observation) -> None:
        self._write(time_ns, phase, fault.intent.id, verified=observation.verified, observed=dict(observation.observed))

    def failed(self, fault: Resolved, time_ns: int, error: str) -> None:
        self._write(time_ns, "failed", fault.intent.id, error=error)

    def _write(self, time_ns: int, phase: str, fault_id: str, **more: Any) -> None:
        self._add({"time": time_ns, "phase": phase, "id": fault_id, **more})

    @abstractmethod
    def _add(self, line: dict[str, Any]) -> None: ...


class MemoryLedger(LedgerSink):
    """Ledger that keeps the lines in memory, for runs without real faults."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def _add(self, line: dict[str, Any]) -> None:
        self.lines.append(line)


class Ledger(LedgerSink):
    """Appends lines to a file. Thread-safe; a line is on disk when the call returns.

    A disk error stays in `failure`, and nothing more is written. Then no fault begins: `intended` raises `FaultError`. Active faults must be undone
    all the same, so their further steps raise nothing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.failure: OSError | None = None
        self._lock = threading.Lock()
        self._file = path.open("ab", buffering=0)
        if self._file.tell() == 0:
            self._add(HEAD)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def _add(self, line: dict[str, Any]) -> None:
        with self._lock:
            if self.failure is None:
                try:
                    self._append(memoryview(json.dumps(line).encode() + b"\n"))
                except OSError as error:
                    self.failure = error
            if self.failure is not None and line.get("phase") == "intended":
                reason = self.failure.strerror or str(self.failure)
                raise FaultError(
                    f"{self.path} cannot be written: {reason}; a fault is injected only after it is in the ledger",
                    hint="free some space there, or choose another folder with --runs",
                )

    def _append(self, text: memoryview) -> None:
        while text:
            text = text[self._file.write(text) or 0 :]
        os.fsync(self._file.fileno())


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return every whole line. A torn last line is dropped; any other that is not a ledger line raises, with its place."""
    lines, wrong = _read(path)
    if wrong is not None:
        raise CampaignError(f"{path}:{wrong}", "the file was changed; restore it")
    return lines


def readable_lines(path: Path) -> tuple[list[dict[str, Any]], str | None]:
    """Return the lines up to the first invalid one, and what is wrong there; also when it is the last that is torn."""
    lines, wrong = _read(path)
    if wrong is not None:
        return lines, f"line {wrong}"
    whole = read_bytes(path)
    return lines, None if not whole or whole.endswith(b"\n") else "its last line is cut"


def _read(path: Path) -> tuple[list[dict[str, Any]], str | None]:
    """Return whole lines, up to the first that is not a ledger line; its number and its error."""
    *lines, torn = read_bytes(path).decode("utf-8", "replace").split("\n")
    del torn
    read: list[dict[str, Any]] = []
    for number, text in enumerate(lines, start=1):
        try:
            line = decode_once(text.encode())
            refuse(problem(line))
            if number == 1 and SCHEMA in line:
                current(line, Words({}))
                continue
            if line["phase"] not in PHASES or not isinstance(line["time"], int) or not isinstance(line["id"], str):
                raise ValueError("unknown phase or time")
        except (ValueError, KeyError, TypeError, HistoryError) as error:
            return read, f"{number}: no ledger line ({error}): {text[:200]}"
        read.append(line)
    return read, None


def read_ledger(path: Path) -> list[Fault]:
    """Return the faults in a ledger file."""
    return faults_of(read_lines(path))


def faults_of(lines: Iterable[dict[str, Any]]) -> list[Fault]:
    """Return the faults in the order in which they were intended, with intent and observation."""
    recorded: dict[str, dict[str, dict[str, Any]]] = {}
    for line in lines:
        phases = recorded.setdefault(line["id"], {})
        first = phases.setdefault(line["phase"], line)
        if line["phase"] == "healed" and not first["verified"]:
            # Its end could not be seen before a host was back (`hidden_by`), and was looked at again.
            phases["healed"] = line
    return [_fault(fault_id, phases) for fault_id, phases in recorded.items() if "intended" in phases]


def _fault(fault_id: str, phases: Mapping[str, Mapping[str, Any]]) -> Fault:
    """Verified means: observed as active, and not observed to have ended before its heal (a heal reports it when the watchdog or someone else came
    first).
    """
    intended, verified, healed = phases["intended"], phases.get("verified"), phases.get("healed")
    lapsed = healed is not None and bool(healed["observed"].get("lapsed"))
    observed = dict(verified["observed"]) if verified is not None else None
    if observed is not None and healed is not None and lapsed:
        observed |= {name: healed["observed"][name] for name in ("lapsed", "not_held") if name in healed["observed"]}
    return Fault(
        id=fault_id,
        kind=intended["kind"],
        intended=intended["what"],
        observed=observed,
        verified=verified is not None and bool(verified["verified"]) and not lapsed,
        start_ns=intended["time"],
        injected_ns=_time(phases, "injected"),
        heal_ns=_time(phases, "healing"),
        healed_ns=_time(phases, "healed"),
        seen_ns=_time(phases, "verified"),
        undone=healed is None or bool(healed["verified"]),
        drawn=intended.get("drawn") is True,
    )


def _time(phases: Mapping[str, Mapping[str, Any]], phase: str) -> int | None:
    return int(phases[phase]["time"]) if phase in phases else None
