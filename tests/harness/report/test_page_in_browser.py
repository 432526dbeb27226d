"""The page in Chromium: zoom, filter, from a witness to the node's line of that moment, accessibility, hostile values.

`make page` runs these; they need Chromium and the extra `browser`.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tribulation.harness.report import write_report

from .folders import MS, NODES, S, write_run

playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra `browser`: make page")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]
IN_VIEW = "[view.from, view.until]"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


def _with_traces(folder: Path) -> Path:
    """n1 leads term 1 until 7 s, n3 term 2 from 4.5 s; n1 answers every 100 ms."""
    offset_ns = 1000 * S
    (folder / "trace").mkdir()
    for node, term, at_s in (("n1", 1, 0.1), ("n3", 2, 4.5)):
        events = [
            {
                "mono_ns": int(at_s * S) + offset_ns,
                "event": "leader",
                "term": term,
                "votes": [node],
                "voters": dict.fromkeys(NODES, term),
                "last_index": 3,
            }
        ]
        events += [
            {"mono_ns": at * 20 * MS + offset_ns, "event": "ack", "kind": "read", "index": at, "term": term}
            for at in range(1000)
        ]
        lines = [{"node": node, "incarnation": 1, "seq": seq, **event} for seq, event in enumerate(events)]
        (folder / "trace" / f"{node}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    offsets = {node: [offset_ns, 0] for node in NODES}
    (folder / "run.json").write_text(json.dumps({"nodes": list(NODES), "clock_offsets_ns": offsets}))
    return folder


def _with_a_cycle(folder: Path) -> Path:
    verdict = json.loads((folder / "verdict.json").read_text())
    anomaly = {
        **_cycle_of("T1", "T2", "T3"),
        "details": {**_cycle_of("T1", "T2", "T3")["details"], "more": {"a": [{"b": {"c": {}}}]}},
    }
    verdict["checkers"]["list-append"] = {
        "verdict": "invalid",
        "anomalies": [anomaly],
        "stats": {"by": {"a": [{"b": 1}]}},
    }
    (folder / "verdict.json").write_text(json.dumps(verdict))
    return folder


def _with_messages(folder: Path) -> Path:
    """A heartbeat each millisecond, every third one lost."""
    lines = [
        {
            "sent_ns": at * MS,
            "arrived_ns": None if at % 3 == 0 else at * MS + MS // 2,
            "from": "n1",
            "to": "n2",
            "kind": "heartbeat",
            "about": "term 1",
        }
        for at in range(4500, 6500)
    ]
    (folder / "messages.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def _open(browser: Any, folder: Path, width: int = 1240, scheme: str = "light") -> Any:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("request", lambda request: page.problems.append(request.url) if "report.html" not in request.url else None)
    page.on("dialog", lambda dialog: page.problems.append(dialog.message))
    page.goto(write_report(folder).as_uri())
    page.wait_for_selector("html[data-drawn=yes]")
    return page


def _until(page: Any, condition: str) -> None:
    """Wait until the script `condition` holds. Playwright's own wait evaluates text inside the page, which the page's policy forbids."""
    deadline_s = time.monotonic() + 20
    while not page.evaluate(condition):
        assert time.monotonic() < deadline_s, condition
        page.wait_for_timeout(20)


def _painted(page: Any) -> int:
    """Pixels of the canvas that are not empty."""
    script = """() => { const c = document.getElementById('canvas'), d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        let n = 0; for (let i = 3; i < d.length; i += 4) if (d[i]) n++; return n; }"""
    return int(page.evaluate(script))


def test_from_a_witness_to_its_moment_and_to_the_line_of_its_node(browser: Any, tmp_path: Path) -> None:
    page = _open(browser, _with_traces(write_run(tmp_path / "run")))
    button = page.locator("tr.operation.proof button.at").first
    at = float(button.get_attribute("data-at"))
    node = page.locator("tr.operation.proof td").nth(1).inner_text()
    button.click()
    _until(page, "view.op >= 0")
    assert page.evaluate("view.cursor") == pytest.approx(at)
    assert page.evaluate("view.until - view.from") < 10
    assert "part of a witness" in page.locator("#moment").inner_text()
    assert "partition n1 n2 | n3 n4 n5" in page.locator("#moment").inner_text()
    assert (
        "n1 (term 1)" in page.locator("#moment").inner_text() and "n3 (term 2)" in page.locator("#moment").inner_text()
    )
    assert "voters\nn1 ×2, n2 ×2, n3 ×2, n4 ×2, n5 ×2" in page.locator("#moment").inner_text()
    nearest = page.locator("#log li.nearest")
    assert nearest.is_visible()
    assert node not in ("n1", "n3") or node in nearest.inner_text()
    assert page.problems == []


def test_drag_keys_and_buttons_zoom_and_move(browser: Any, tmp_path: Path) -> None:
    page = _open(browser, write_run(tmp_path / "run"))
    page.locator("#timeline").scroll_into_view_if_needed()
    box = page.locator("#canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 120)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 120, steps=4)
    page.mouse.up()
    low, high = page.evaluate(IN_VIEW)
    assert 4 < low < 9 and 9 < high < 13
    page.locator("#timeline").focus()
    page.keyboard.press("0")
    assert page.evaluate(IN_VIEW) == [0, 20]
    page.keyboard.press("n")
    first = page.evaluate("view.op")
    page.keyboard.press("n")
    assert page.evaluate("ops.proof[view.op]") == 1 and page.evaluate("view.op") > first
    page.keyboard.press("+")
    low, high = page.evaluate(IN_VIEW)
    assert high - low == pytest.approx(10)
    assert low <= page.evaluate("view.cursor") <= high
    _until(page, "document.getElementById('timeline').getAttribute('aria-valuetext').includes('process')")
    page.locator("#whole").click()
    assert page.evaluate(IN_VIEW) == [0, 20]
    assert page.problems == []


def test_the_filter_leaves_what_was_asked_for(browser: Any, tmp_path: Path) -> None:
    page = _open(browser, write_run(tmp_path / "run"))
    everything = _painted(page)
    page.locator("#ops > summary").click()
    page.locator("#filter-text").fill("write k3")
    page.locator("#show-ok").uncheck()
    _until(page, "passes.reduce((a, b) => a + b) < 50")
    rows = page.locator("#ops-rows tr")
    assert rows.count() > 0
    assert all("write k3" in text and "\tok\t" not in text for text in rows.all_inner_texts())
    assert _painted(page) < everything
    page.locator("#filter-text").fill("")
    page.locator("#show-ok").check()
    page.locator("#only-proof").check()
    _until(page, "passes.reduce((a, b) => a + b) === 3")


def _cycle_of(*names: str) -> dict[str, Any]:
    steps = [
        {"from": one, "to": two, "kind": "rw", "key": "x", "why": f"{one} missed {two}"}
        for one, two in zip(names, [*names[1:], names[0]], strict=True)
    ]
    transactions = [{"txn": name, "process": 1, "outcome": "ok", "ops": [["append", "x", 1]]} for name in names]
    return {
        "kind": "G2-item",
        "ops": [0],
        "explanation": "a cycle",
        "details": {"steps": steps, "transactions": transactions},
    }


def test_a_cycle_is_drawn_and_said_in_words(browser: Any, tmp_path: Path) -> None:
    found = [_cycle_of("T1", "T2"), _cycle_of("T1", "T2", "T3")]
    page = _open(
        browser, write_run(tmp_path / "run", 200, checkers={"list-append": {"verdict": "invalid", "anomalies": found}})
    )
    drawn = page.locator("svg.cycle").first
    assert drawn.is_visible() and "T2 before T1 by rw on x" in drawn.get_attribute("aria-label")
    assert page.locator("ol.steps").first.locator("li").all_inner_texts()[0].startswith("T1 comes before T2")
    page.locator("details.witness summary").first.click()
    assert page.locator("svg.cycle").nth(1).locator("rect").count() == 3
    assert page.problems == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1240, 390])
def test_axe_finds_no_violation_and_nothing_overflows(browser: Any, tmp_path: Path, scheme: str, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs the extra `browser`: make page")
    page = _open(browser, _with_messages(_with_traces(_with_a_cycle(write_run(tmp_path / "run")))), width, scheme)
    assert page.locator("svg.spacetime .lost").count() > 0
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    page.wait_for_timeout(200)
    # axe's script is ours to run here: the page's own policy forbids it.
    result = axe.Axe().run(page).response
    assert len(result["passes"]) > 20
    found = result["violations"]
    assert [(one["id"], one["help"], [node["html"][:120] for node in one["nodes"][:3]]) for one in found] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.problems == []


def test_hostile_values_run_no_script(browser: Any, tmp_path: Path) -> None:
    evil = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"
    checkers = {evil: {"verdict": "invalid", "anomalies": [{"kind": evil, "ops": [0, 3], "explanation": evil}]}}
    folder = _with_traces(write_run(tmp_path / "run", 200, text=evil, campaign=evil, errors=[evil], checkers=checkers))
    line = {"node": "n1", "incarnation": 1, "mono_ns": 1000 * S, "event": "halt", "reason": evil}
    with (folder / "trace" / "n1.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    (folder / "logs" / "n2").mkdir(parents=True)
    (folder / "logs" / "n2" / "x.log").write_text(f"error {evil}\n")
    page = _open(browser, folder)
    page.locator("#ops > summary").click()
    page.locator("#log-level").select_option("2")
    _until(page, "document.querySelectorAll('#log li').length === 2")
    page.keyboard.press("n")
    page.wait_for_timeout(300)
    assert page.locator("img").count() == 0
    assert page.problems == []


def test_a_hundred_thousand_operations_are_painted_in_two_seconds(browser: Any, tmp_path: Path) -> None:
    page = _open(browser, write_run(tmp_path / "run", 100_000))
    painted_ms = page.evaluate(
        "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? performance.now()"
    )
    assert painted_ms < 2000
    redraw_ms = page.evaluate("() => { const begun = performance.now(); draw(); return performance.now() - begun; }")
    assert redraw_ms < 1000
