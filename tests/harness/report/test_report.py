"""The page as a whole: complete, escaped, self-contained, and honest about what is missing."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tribulation.harness.errors import CampaignError
from tribulation.harness.report import write_report
from tribulation.histories import HistoryError
from tribulation.histories.printable import printable

from .folders import write_run


def _page(folder: Path) -> str:
    return write_report(folder).read_text(encoding="utf-8")


def _without_script(page: str) -> str:
    """Everything but the longest script, which is ours."""
    longest = max(re.findall(r"<script>.*?</script>", page, re.S), key=len)
    return page.replace(longest, "")


def _data(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found is not None
    data: dict[str, Any] = json.loads(found.group(1))
    return data


def test_the_verdict_and_its_witness_come_first(tmp_path: Path) -> None:
    page = _without_script(_page(write_run(tmp_path / "run")))
    order = [
        page.index(text)
        for text in (
            "Process 4 read 17",
            "tri run campaigns/invented.yaml --seed 7",
            "<h2>What went wrong</h2>",
            "<h2>Timeline</h2>",
            "<h2>Faults</h2>",
        )
    ]
    assert order == sorted(order)
    for text in ("n1 n2 | n3 n4 n5", "not verified", "no final read of the set", "name: invented"):
        assert text in page


def test_the_page_asks_nothing_of_a_network(tmp_path: Path) -> None:
    page = _page(write_run(tmp_path / "run"))
    assert "default-src 'none'" in page and "unsafe-eval" not in page
    assert not re.findall(r"(?:src|href|url)\s*[=(]\s*[\"']?(?:https?:)?//", _without_script(page))


def test_only_the_script_of_the_page_may_run(tmp_path: Path) -> None:
    """The policy names the one script by its digest; the data is not a script."""
    page = _page(write_run(tmp_path / "run"))
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in page
    assert not re.findall(r"<[^>]*\son[a-z]+=", _without_script(page))


def test_what_clients_wrote_is_text_and_never_markup(tmp_path: Path) -> None:
    evil = '</script><img src=x onerror="alert(1)">\u2028'
    verdict = {
        "campaign": evil,
        "command": evil,
        "checkers": {evil: {"verdict": "unknown", "reason": evil, "stats": {evil: evil}}},
    }
    page = _page(write_run(tmp_path / "run", 100, text=evil, **verdict))
    assert "<img" not in _without_script(page)
    assert "\u2028" not in re.findall(r'id="data">(.*?)</script>', page, re.S)[0]
    assert any(evil.replace("\u2028", "\\u2028") in text for text in _data(page)["ops"]["heads"])


def test_control_characters_neither_hide_nor_turn_what_the_page_says(tmp_path: Path) -> None:
    evil = "\x1b[2J\x00\x07\u202egnorw\x9b\u200b</script><!--"
    verdict = {"campaign": evil, "errors": [evil], "checkers": {evil: {"verdict": "unknown", "reason": evil}}}
    page = _without_script(_page(write_run(tmp_path / "run", 100, text=evil, **verdict)))
    assert printable(page) == page and "\\u202egnorw" in page and "<!--" not in page
    assert any("\\u202egnorw" in text for text in _data(page)["ops"]["heads"])


def test_every_operation_is_in_the_charts(tmp_path: Path) -> None:
    data = _data(_page(write_run(tmp_path / "run", 500)))
    columns = ("index", "at", "took", "lane", "process", "outcome", "head", "rest", "node", "error", "workload")
    assert {len(data["ops"][name]) for name in columns} == {500}
    assert len(data["ops"]["proof"]) == 3
    assert len(data["lanes"]) == 10
    assert [fault["kind"] for fault in data["faults"]] == ["partition", "kill", "clock"]
    assert data["clocks"]["n1"]["offset_ms"] == [1.0, 2.0, 3.0]


def test_a_page_of_a_hundred_thousand_operations_has_at_most_six_megabytes(tmp_path: Path) -> None:
    page = write_report(write_run(tmp_path / "run", 100_000))
    assert page.stat().st_size < 6_000_000
    assert len(_data(page.read_text())["ops"]["index"]) == 100_000


def test_a_run_that_was_killed_still_has_a_report_which_says_so(tmp_path: Path) -> None:
    """No verdict.json, a torn last line, a ledger that ends in the middle of a fault."""
    folder = write_run(tmp_path / "run", 100)
    (folder / "verdict.json").unlink()
    with (folder / "history.jsonl").open("a") as file:
        file.write('{"index": 99999, "ti')
    intended = {"time": 4_000_000_000, "phase": "intended", "id": "kill.1", "kind": "kill", "what": {"nodes": ["n3"]}}
    (folder / "ledger.jsonl").write_text(json.dumps(intended) + "\n")
    page = _without_script(_page(folder))
    assert "There is no verdict.json" in page
    assert "is torn" in page
    assert "Nothing was checked." in page
    assert _data(page)["faults"][0]["healed"] == _data(page)["end_s"]


def test_a_run_whose_history_was_damaged_has_a_report_that_names_it(tmp_path: Path) -> None:
    """Its verdict is known, and unknown by that gap; a page that fails to be written would make it a bug of ours (exit code 70)."""
    folder = write_run(tmp_path / "run", 100)
    with (folder / "history.jsonl").open("r+b") as file:
        file.seek(200)
        file.write(b"\0" * 500)
    page = _without_script(_page(folder))
    assert "history.jsonl cannot be read, so no operation is shown" in page
    (folder / "verdict.json").unlink()
    with pytest.raises(HistoryError):
        _page(folder)


def test_what_went_wrong_on_the_way_is_reported(tmp_path: Path) -> None:
    errors = ["inject cut.1: n3: no route to host"]
    page = _page(
        write_run(tmp_path / "run", 10, verdict="unknown", checkers={"set": {"verdict": "valid"}}, errors=errors)
    )
    assert "inject cut.1: n3: no route to host" in _without_script(page)


@pytest.mark.parametrize(
    ("doubts", "headline"),
    [
        (["evidence is missing: trace of n1"], "In doubt: evidence is missing: trace of n1."),
        (
            ["fault a was not seen undone", "fault b was not seen undone"],
            "In doubt: fault a was not seen undone (and 1 more; see below).",
        ),
    ],
)
def test_the_headline_of_a_run_in_doubt_names_the_doubt(tmp_path: Path, doubts: list[str], headline: str) -> None:
    checkers = {"set": {"verdict": "valid"}}
    page = _page(write_run(tmp_path / "run", 10, verdict="unknown", checkers=checkers, doubts=doubts))
    assert headline in _without_script(page)


def test_the_headline_of_a_run_with_a_bug_of_the_harness_names_the_file(tmp_path: Path) -> None:
    checkers = {"set": {"verdict": "valid"}}
    page = _page(write_run(tmp_path / "run", 10, verdict="unknown", checkers=checkers, bugs=["KeyError: 1"]))
    assert "A part of Tribulation failed; see harness-errors.txt." in _without_script(page)


def test_an_empty_history_makes_a_page(tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").write_text("")
    assert _data(_page(tmp_path))["ops"]["index"] == []


def test_a_folder_that_is_no_run_is_refused_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(CampaignError) as caught:
        write_report(tmp_path)
    assert str(tmp_path) in caught.value.message
    assert caught.value.hint is not None


def test_a_broken_verdict_is_refused_with_its_place(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", 10)
    (folder / "verdict.json").write_text("{")
    with pytest.raises(CampaignError, match=r"verdict\.json:1: not JSON"):
        write_report(folder)


def test_a_workload_may_have_a_number_for_a_name(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", operations=40)
    lines = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    for line in lines[:2]:
        line["workload"] = 7
    (run / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert "<td>7</td>" in _page(run)
