"""The fields of verdict.json and shrink.json that the report reads, each with its type: anyone may have changed the files."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired, TypedDict

from msgspec import Meta

_TimeNs = Annotated[int, Meta(ge=-(1 << 62), le=1 << 62)]
_Count = Annotated[int, Meta(ge=0, le=1 << 62)]
_Hits = tuple[_Count, _Count]


class _Anomaly(TypedDict, total=False):
    kind: str
    ops: list[int]
    explanation: str
    details: dict[str, Any] | None


class _Result(TypedDict, total=False):
    verdict: str
    anomalies: list[_Anomaly]
    stats: dict[str, Any] | None
    reason: str | None


class _Fault(TypedDict):
    id: str
    kind: str
    intended: dict[str, Any]
    observed: dict[str, Any] | None
    verified: bool
    start_ns: _TimeNs
    injected_ns: NotRequired[_TimeNs | None]
    heal_ns: NotRequired[_TimeNs | None]
    healed_ns: NotRequired[_TimeNs | None]


class VerdictShape(TypedDict, total=False):
    verdict: str
    expected: bool | None
    run: str
    campaign: str
    seed: int | None
    command: str
    errors: list[str]
    doubts: list[str]
    checkers: dict[str, _Result]
    faults: list[_Fault]
    phases: dict[str, _TimeNs | None]
    skipped: list[dict[str, Any]]
    backends: dict[str, dict[str, str]]
    power_model: dict[str, str] | None


class _Stability(TypedDict):
    repeats: _Hits
    neighbours: _Hits
    seeds: _Hits
    without_flaws: bool | None


class _Rate(TypedDict):
    count: _Count
    runs: _Count
    low: Annotated[float, Meta(ge=0, le=1)]
    high: Annotated[float, Meta(ge=0, le=1)]


class ShrinkShape(TypedDict):
    source: str
    runs: _Count
    seconds: Annotated[float, Meta(ge=0, le=1e9)]
    one_minimal: bool
    story: list[list[str]]
    more: _Count
    before: dict[str, int | float]
    after: dict[str, int | float]
    stability: _Stability | None
    repeat: NotRequired[_Count]
    rate: NotRequired[_Rate]
    unneeded: NotRequired[Annotated[float, Meta(ge=0, le=1)]]
