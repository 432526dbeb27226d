"""`check` and `merge`: any source, one result a checker, and no checker's failure hides another's answer."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from tribulation.checkers import CHECKERS, Budget, CheckResult, RunRecord, Verdict, check, checker, merge, registry
from tribulation.histories import Event, History, HistoryError, Type, parse, write_history

V, X, U = Verdict.VALID, Verdict.INVALID, Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("verdicts", "merged"), [([V, V], V), ([V, U], U), ([U, X, V], X), ([X], X), ([], U), ([V], V)]
)
def test_invalid_outranks_unknown_outranks_valid(verdicts, merged):
    assert merge(verdicts) is merged


def test_every_registered_checker_is_there_under_its_name():
    for name in CHECKERS:
        assert checker(name).name == name


def test_any_source(tmp_path):
    """A path, a folder, a History, a record, dictionaries: the same answer."""
    history = parse("p0 w1 p1 r_")
    write_history(tmp_path / "history.jsonl", history)
    dictionaries = [
        {"process": 0, "type": "invoke", "f": "write", "value": 1},
        {"process": 0, "type": "ok", "f": "write", "value": 1},
        {"process": 1, "type": "invoke", "f": "read"},
        {"process": 1, "type": "ok", "f": "read", "value": None},
    ]
    sources = [
        tmp_path,
        str(tmp_path / "history.jsonl"),
        history,
        RunRecord(history=history),
        history.events,
        dictionaries,
    ]
    for source in sources:
        (result,) = check(source, ["linearizable"]).values()
        assert [(anomaly.kind, anomaly.ops) for anomaly in result.anomalies] == [("lost-write", (0, 2))]


def test_auto_takes_the_checkers_that_find_what_they_need():
    assert set(check(parse("p0 w1 p1 r1"))) == {"linearizable", "vacuity"}
    assert {"linearizable", "set"} <= set(check(parse("p0 a1 p1 s1")))


@pytest.mark.parametrize(("workload", "due"), [("set", "set"), ("mine", "kafka"), ("other", None)])
def test_auto_leaves_out_no_checker_that_a_workload_of_a_run_is_made_for(workload, due):
    """Also where no answer of the system is one that it could judge."""
    types = (Type.INVOKE, Type.INFO)
    events = [Event(at, at, 0, kind, "write", 1, "k", workload) for at, kind in enumerate(types)]
    record = RunRecord(History(events), is_run=True, judged_by={"mine": ["kafka"]})
    results = check(record)
    assert {"set", "kafka"} & set(results) == ({due} if due else set())
    assert all(result.verdict is U for result in results.values())
    assert not {"set", "kafka"} & set(check(replace(record, is_run=False)))


def test_a_certificate_is_given_to_those_who_ask_for_it():
    history = parse("p0 w1 p1 r1")
    assert check(history, ["linearizable"])["linearizable"].certificate is None
    assert check(history, ["linearizable"], certificate=True)["linearizable"].certificate == {"null": [0, 2]}


def test_a_checker_asked_for_by_name_that_cannot_say_anything_is_unknown():
    (result,) = check(parse("p0 w1"), ["set"]).values()
    assert (result.verdict, result.reason) == (U, "the record lacks what this checker needs; its operations: write")


def test_where_no_operation_ended_ok_the_reason_says_so():
    asked = {"process": 0, "f": "write", "key": "k", "value": 1}
    events = [{**asked, "type": "invoke", "index": 0, "time": 0}, {**asked, "type": "info", "index": 1, "time": 1}]
    (result,) = check(events, ["set"]).values()
    assert (result.verdict, result.reason) == (U, "no operation ended ok (write)")


def test_an_unknown_name_is_refused_with_those_that_there_are():
    with pytest.raises(KeyError, match="no checker 'linear'; there are linearizable, set"):
        check(parse("p0 w1"), ["linear"])


def test_a_history_that_makes_no_sense_is_never_judged(tmp_path):
    (tmp_path / "history.jsonl").write_text('{"index":0,"time":0,"process":0,"type":"ok","f":"read","value":1}\n')
    results = check(tmp_path)
    assert all(result.verdict is U for result in results.values())
    assert all(
        "is inconsistent" in str(result.reason) and "never invoked" in str(result.reason) for result in results.values()
    )
    (tmp_path / "history.jsonl").write_text("nonsense\n\n")
    with pytest.raises(HistoryError, match=r"history\.jsonl:1: "):
        check(tmp_path)


class Broken:
    name = "broken"

    def applies(self, record: RunRecord) -> bool:
        return True

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        raise ZeroDivisionError("a bug")


def test_a_checker_that_raises_is_unknown_and_the_others_answer(monkeypatch):
    monkeypatch.setitem(registry.CHECKERS, "broken", ("broken", "Broken"))
    monkeypatch.setitem(sys.modules, "tribulation.checkers.broken", sys.modules[__name__])
    results = check(parse("p0 w1 p1 r1"), ["broken", "linearizable"])
    assert results["broken"].verdict is U
    assert results["broken"].reason is not None
    assert results["broken"].reason.startswith("the checker failed: ZeroDivisionError: a bug (test_run_all.py:")
    assert results["linearizable"].verdict is V


def test_a_checker_whose_module_is_missing_is_unknown(monkeypatch):
    monkeypatch.setitem(registry.CHECKERS, "absent", ("no_such_module", "Nothing"))
    (result,) = check(parse("p0 w1"), ["absent"]).values()
    assert result.verdict is U
    assert result.reason is not None and "no_such_module" in result.reason
