"""The page of flaws shows what was measured and recorded, and what was recorded fits the flaws that there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from tribulation.harness.search.zoo.ablate import again
from tribulation.harness.search.zoo.state import State, open_state
from tribulation.harness.search.zoo.table import BEGIN, END, markdown
from tribulation.harness.search.zoo.zoo import document
from tribulation.harness.simulator.soak.run import run_plan
from tribulation.node.flaws.switch import HUNTED

ROOT = Path(__file__).resolve().parents[3]
QUICKEST = (
    "ack-before-majority",
    "truncate-on-stale-append",
    "snapshot-torn-install",
    "weights-from-parity",
    "lease-survives-transfer",
)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> State:
    copy = tmp_path_factory.mktemp("zoo") / "zoo.jsonl"
    copy.write_bytes((ROOT / "benchmarks/zoo.jsonl").read_bytes())
    return open_state(copy)


def test_every_flaw_was_found_and_the_correct_node_raised_no_alarm(recorded: State):
    result = document(recorded, list(HUNTED))
    assert [flaw["name"] for flaw in result["flaws"] if not flaw["found"]] == []
    assert result["false_alarms"] == 0 and result["correct_seeds"] > 0


def test_the_page_has_the_tables_of_the_recorded_run(recorded: State):
    names = list(HUNTED)
    page = (ROOT / "docs/reference/flaws.md").read_text(encoding="utf-8")
    shown = page.partition(BEGIN)[2].partition(END)[0].strip()
    assert shown == markdown(recorded, names, document(recorded, names)).strip()


@pytest.mark.parametrize("name", QUICKEST)
def test_the_smallest_plans_still_fail(recorded: State, name: str):
    """A change of the core or the simulator may move others; these need little."""
    result = run_plan(again(recorded.caught[name]))
    assert result.failure is not None and result.command == recorded.caught[name].command
