"""Histories of any operations, one line each, for literal stories: event number i happens at i ms."""

from __future__ import annotations

from typing import Any

from tribulation.checkers import Budget, CheckResult, RunRecord, Verdict, checker
from tribulation.histories import Event, History, Type

MS = 1_000_000
SAME = object()


class Story:
    """Whole operations with `ok`, `fail`, `info`; overlapping ones with `begin` and `end`."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.open: dict[int, tuple[str, Any, Any]] = {}

    def ok(self, process: int, f: str, argument: Any = None, result: Any = SAME, key: Any = None, **more: Any) -> Story:
        return self.begin(process, f, argument, key, **more).end(process, result, **more)

    def fail(self, process: int, f: str, argument: Any = None, error: str = "refused", key: Any = None) -> Story:
        self.begin(process, f, argument, key)
        f, argument, key = self.open.pop(process)
        return self._event(process, Type.FAIL, f, argument, key, error=error)

    def info(self, process: int, f: str, argument: Any = None, key: Any = None) -> Story:
        self.begin(process, f, argument, key)
        f, argument, key = self.open.pop(process)
        return self._event(process, Type.INFO, f, argument, key, error="timeout")

    def begin(self, process: int, f: str, argument: Any = None, key: Any = None, **more: Any) -> Story:
        self.open[process] = (f, argument, key)
        return self._event(process, Type.INVOKE, f, argument, key, level=more.get("level"))

    def end(self, process: int, result: Any = SAME, **more: Any) -> Story:
        f, argument, key = self.open.pop(process)
        value = argument if result is SAME else result
        level = more.pop("level", None)
        return self._event(process, Type.OK, f, value, key, level=level, extra=more)

    def _event(self, process: int, kind: Type, f: str, value: Any, key: Any, **more: Any) -> Story:
        number = len(self.events)
        self.events.append(Event(number, number * MS, process, kind, f, value, key=key, **more))
        return self

    def judge(self, name: str, **record: Any) -> CheckResult:
        found = checker(name)
        whole = RunRecord(history=History(self.events), **record)
        return (
            found.check(whole, Budget())
            if found.applies(whole)
            else CheckResult(name, Verdict.UNKNOWN, reason="does not apply")
        )


def kinds(result: CheckResult) -> list[str]:
    return [anomaly.kind for anomaly in result.anomalies]


def only(result: CheckResult, kind: str, ops: tuple[int, ...]) -> Any:
    """The one anomaly there is, which must be of this kind and have these operations; and must be reported as a sentence."""
    assert result.verdict is Verdict.INVALID, result
    (anomaly,) = result.anomalies
    assert (anomaly.kind, anomaly.ops) == (kind, ops), anomaly
    first = anomaly.explanation.split(" ")[0]
    assert not first.islower() or first[-1].isdigit(), anomaly.explanation
    assert anomaly.explanation.endswith("."), anomaly.explanation
    return anomaly


def valid(result: CheckResult) -> dict[str, Any]:
    assert (result.verdict, result.anomalies, result.reason) == (Verdict.VALID, (), None), result
    return dict(result.stats)


def unknown(result: CheckResult, because: str) -> None:
    assert (result.verdict, result.anomalies) == (Verdict.UNKNOWN, ()), result
    assert result.reason is not None and because in result.reason, result.reason
