"""Verdicts for continuous integration: JUnit XML, annotations of GitHub, and which verdicts fail a job. Doubt never passes unless it was asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.checkers import Anomaly, CheckResult, Verdict
from tribulation.harness.cli.ci import github, junit
from tribulation.harness.cli.ci.cases import Case, cases_of
from tribulation.harness.cli.ci.reporting import Reporting, reporting
from tribulation.harness.cli.main import main
from tribulation.harness.errors import HostError
from tribulation.harness.run.outcome.verdict import ENDED_BY_USER, Judgement, judge

WRITE = [
    {"index": 0, "time": 0, "process": 0, "type": "invoke", "f": "write", "key": "k", "value": 1},
    {"index": 1, "time": 1, "process": 0, "type": "ok", "f": "write", "key": "k", "value": 1},
]
STALE = [
    *WRITE,
    {"index": 2, "time": 2, "process": 1, "type": "invoke", "f": "read", "key": "k", "value": None},
    {"index": 3, "time": 3, "process": 1, "type": "ok", "f": "read", "key": "k", "value": None},
]
FRESH = [*STALE[:3], {**STALE[3], "value": 1}]


def _history(folder: Path, events: list[dict[str, Any]]) -> Path:
    path = folder / "history.jsonl"
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return path


@pytest.fixture
def valid(tmp_path: Path) -> Judgement:
    judged = judge(_history(tmp_path, FRESH), ["linearizable"])
    assert judged.exit_code == 0
    return judged


def _changed(
    judged: Judgement, verdict: Verdict, code: int, results: Mapping[str, CheckResult], **found: Any
) -> Judgement:
    return replace(
        judged,
        verdict=verdict,
        exit_code=code,
        results=results,
        document={**judged.document, "verdict": verdict.value, **found},
    )


def _unknown(judged: Judgement) -> Judgement:
    """One checker found its part valid, another one gave up."""
    results = {**judged.results, "slow": CheckResult("slow", Verdict.UNKNOWN, reason="out of time")}
    return _changed(judged, Verdict.UNKNOWN, 3, results)


def _tags(path: Path) -> dict[str, str]:
    """Test case → the element in it, or passed."""
    return {str(case.get("name")): case[0].tag if len(case) else "passed" for case in ET.parse(path).iter("testcase")}


def _tri(capsys: Any, *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def test_each_checker_is_a_test_case(tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "junit.xml"
    history = _history(tmp_path, STALE)
    code, _, _ = _tri(capsys, "check", str(history), "--checker", "linearizable", "--junit", str(file))
    assert code == 1 and _tags(file) == {"linearizable": "failure", "evidence": "passed"}
    (failure,) = ET.parse(file).iter("failure")
    assert failure.get("type") in ("stale-read", "lost-write") and failure.get("message")
    suite = ET.parse(file).getroot()[0]
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["2", "1", "0", "0"]


@pytest.mark.parametrize(("fail_on", "code", "tag"), [("unknown", 3, "error"), ("invalid", 0, "skipped")])
def test_what_is_unknown_passes_only_if_it_was_asked_for(
    valid: Judgement, tmp_path: Path, capsys: Any, fail_on: str, code: int, tag: str
) -> None:
    file = tmp_path / "junit.xml"
    with reporting(file, fail_on) as report:
        assert report.print(_unknown(valid), False) == code
    said = capsys.readouterr()
    assert _tags(file) == {"linearizable": "passed", "slow": tag, "evidence": "passed"}
    assert "unknown" in said.out and ("unknown, not valid" in said.err) is (code == 0)


def test_a_verdict_that_rests_on_nothing_never_passes(valid: Judgement, capsys: Any) -> None:
    nothing = _changed(valid, Verdict.UNKNOWN, 3, {})
    gave_up = _changed(valid, Verdict.UNKNOWN, 3, {"slow": CheckResult("slow", Verdict.UNKNOWN)})
    ended = replace(_unknown(valid), facts=replace(valid.facts, errors=[ENDED_BY_USER]))
    assert [Reporting(None, "invalid").print(one, True) for one in (nothing, gave_up, ended)] == [3, 3, 3]
    assert "not valid" not in capsys.readouterr().err


@pytest.mark.parametrize("code", [1, 4, 70])
def test_only_unknown_verdicts_may_pass(valid: Judgement, code: int) -> None:
    assert Reporting(None, "invalid").print(replace(valid, exit_code=code), True) == code


@given(
    verdicts=st.lists(st.sampled_from(list(Verdict)), max_size=4),
    doubts=st.lists(st.text(max_size=5), max_size=2),
    errors=st.lists(st.text(max_size=5), max_size=1),
)
def test_cases_are_all_passed_only_for_a_valid_verdict(
    verdicts: list[Verdict], doubts: list[str], errors: list[str]
) -> None:
    results = {str(i): CheckResult(str(i), verdict, (), {}, None) for i, verdict in enumerate(verdicts)}
    worst = next((v for v in (Verdict.INVALID, Verdict.UNKNOWN) if v in verdicts), None)
    verdict = worst or (Verdict.VALID if verdicts and not doubts and not errors else Verdict.UNKNOWN)
    document = {"doubts": doubts, "errors": errors, "bugs": []}
    judged = Judgement(verdict, 0, results, document, None, None)  # type: ignore[arg-type]
    assert all(case.outcome == "passed" for case in cases_of(judged)) is (verdict is Verdict.VALID)


@given(st.text(), st.text(), st.text())
def test_any_text_is_well_formed_xml(name: str, message: str, text: str) -> None:
    written = junit.document(name, [Case(name, "failed", name, message, text)], {"seed": message})
    assert ET.fromstring(written.encode())[0][1].get("name") is not None


def test_many_anomalies_are_counted(valid: Judgement) -> None:
    found = tuple(Anomaly("stale-read", (i,), f"read {i}") for i in range(100))
    judged = _changed(valid, Verdict.INVALID, 1, {"many": CheckResult("many", Verdict.INVALID, found)})
    case = cases_of(judged)[0]
    assert case.message == "read 0" and "read 19 (operations 19)" in case.text and "80 more" in case.text


def test_a_command_that_raises_leaves_an_error_in_the_file(tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "junit.xml"
    file.write_text("<testsuites/>")
    with pytest.raises(HostError), reporting(file, "unknown"):
        assert _tags(file) == {"run": "error"}, "an older file may not stand for a command under way"
        raise HostError("n1 does not answer", "is it up?")
    (error,) = ET.parse(file).iter("error")
    assert error.get("message") == "n1 does not answer" and "is it up?" in str(error.text)


def test_a_file_that_cannot_be_written_is_refused_at_the_start(tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "missing" / "junit.xml"
    code, reported, said = _tri(capsys, "check", str(_history(tmp_path, FRESH)), "--junit", str(file))
    assert code == 2 and not reported and f"--junit: cannot write {file}" in said and "hint:" in said


def test_github_shows_what_did_not_pass(
    valid: Judgement, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    history = _history(tmp_path, STALE)
    _, reported, said = _tri(capsys, "check", str(history), "--checker", "linearizable", "--json")
    assert json.loads(reported)["verdict"] == "invalid"
    assert [line.split("::")[1] for line in said.splitlines()] == ["error title=tri%3A linearizable"]
    Reporting(None, "unknown").print(_unknown(valid), True)
    assert "::warning title=tri%3A slow::out of time" in capsys.readouterr().err
    monkeypatch.delenv("GITHUB_ACTIONS")
    assert "::" not in _tri(capsys, "check", str(history), "--checker", "linearizable")[2]


def test_an_annotation_is_one_line() -> None:
    line = github.line("error", "a:b,c%\n", "50% of\r\n::error::x, y: z")
    assert line == "::error title=a%3Ab%2Cc%25%0A::50%25 of%0D%0A::error::x, y: z"
