"""A system of one's own that fails in some runs only, with real runs: `--repeat` finds the failure, `replay` counts it, `shrink` leaves out the faults that it does not need."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tribulation.harness.failures.rates import Rate, chance_of_none

CAMPAIGN = "tests/systems/forgetful-server.yaml"
TRIES = 32


def kinds(run: str) -> list[str]:
    plan = json.loads((Path(run) / "plan.json").read_text())
    return [intent["kind"] for intent in plan["intents"]]


@pytest.mark.full
@pytest.mark.timeout(2400)
def test_a_failure_is_found_counted_and_made_small(tri: Any, tmp_path: Path) -> None:
    ended = tri("run", CAMPAIGN, "--repeat", "10", "--until", "invalid", "--seed", "5", "--json", timeout_s=900)
    assert ended.exit_code == 1, ended.stderr
    found = ended.document
    *before, last = found["runs"]
    assert last["outcome"] == "invalid" and "invalid" not in {one["outcome"] for one in before}
    assert [one["seed"] for one in found["runs"]] == list(range(5, 5 + len(found["runs"])))
    assert found["failures"][last["failures"][0]]["runs"] == len(found["runs"])
    run = last["run"]
    assert sorted(kinds(run)) == ["cut", "cut", "pause"]

    further = ("--failure", last["failures"][0], "--json", "--trust-plugins", "--runs", str(tmp_path / "again"))
    ended = tri("replay", run, "--repeat", "3", *further, timeout_s=600)
    alike = ended.document["alike"]
    assert alike["runs"] == 3 and len(ended.document["runs"]) == 3
    assert ended.exit_code == (0 if alike["count"] else 3), ended.stderr

    ended = tri("shrink", run, "--repeat", "4", "--tries", str(TRIES), "--time", "20m", *further, timeout_s=1500)
    assert ended.exit_code == 0, ended.stderr
    small = ended.document
    assert small["after"]["faults"] < small["before"]["faults"] == 3 and "pause" in kinds(small["run"])
    rate = Rate(small["rate"]["count"], small["rate"]["runs"])
    assert rate.runs == 4 and small["rate"]["low"] == pytest.approx(rate.low)
    assert small["unneeded"] == pytest.approx(chance_of_none(rate, 4))
    assert json.loads((Path(small["run"]) / "shrink.json").read_text())["rate"]["count"] == rate.count


def test_repeated_runs_test_the_adapter_as_it_is_now(tri: Any, tmp_path: Path, namespaces: None) -> None:
    """The adapter's module changes itself when it is loaded: the second run has what the first one left."""
    (tmp_path / "c.yaml").write_text(
        "name: c\nsystem: {file: own.py}\nhosts: {provider: local, nodes: 1}\nworkloads: [{register: {}}]\n"
    )
    (tmp_path / "own.py").write_text(
        "from pathlib import Path\n"
        "from tribulation.testing import Daemon, DeployError\n"
        "import beside\n\n"
        "class Own(Daemon):\n"
        "    port = 1\n"
        "    def command(self, host, cluster): return ['true']\n"
        "    def install(self, host, cluster):\n"
        "        Path(beside.__file__).write_text(f'NUMBER = {beside.NUMBER + 1}\\n')\n"
        "        raise DeployError(f'this is number {beside.NUMBER}')\n\n"
        "class Client:\n"
        "    def open(self, node, dial, timeout_s): pass\n"
        "    def invoke(self, op, timeout_s): pass\n"
        "    def close(self): pass\n\n"
        "service, client = Own, lambda options: Client()\n"
    )
    (tmp_path / "beside.py").write_text("NUMBER = 1\n")
    ended = tri("run", str(tmp_path / "c.yaml"), "--repeat", "2", "--json")
    assert ended.exit_code == 4, ended.stderr
    assert [f"this is number {number}" in one["why"] for number, one in enumerate(ended.document["runs"], 1)] == [
        True
    ] * 2
