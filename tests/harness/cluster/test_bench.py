"""The acceptance run's pure parts: which scenarios, in which order, and what is said of their results."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.harness.cluster import bench
from tribulation.harness.cluster.scenario import Result
from tribulation.harness.cluster.scenarios import SCENARIOS
from tribulation.harness.cluster.setup import Setup
from tribulation.harness.cluster.table import summary
from tribulation.harness.errors import CampaignError


def ran(number: int, passed: bool | None) -> Result:
    return Result(SCENARIOS[number], "something", passed)


def test_all_24_are_there() -> None:
    assert list(SCENARIOS) == list(range(1, 25))


def test_no_two_setups_have_one_name() -> None:
    setups = [scenario.setup for scenario in SCENARIOS.values()]
    assert all(one == other for one in setups for other in setups if one.name == other.name)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("7", [7]), ("1,4", [1, 4]), ("12-15", [12, 13, 14, 15]), (" 5 , 1-2, 2", [1, 2, 5]), (None, list(range(1, 25)))],
)
def test_scenarios_are_chosen_by_number(text: str | None, numbers: list[int]) -> None:
    assert [scenario.number for scenario in bench.chosen(text, SCENARIOS)] == numbers


@pytest.mark.parametrize("text", ["", "x", "0", "25", "1,,2", "20-30", "-3", "3-", "5-4"])
def test_what_is_no_number_of_a_scenario_is_refused_by_name(text: str) -> None:
    with pytest.raises(CampaignError, match=r"--only") as refused:
        bench.chosen(text, SCENARIOS)
    assert repr(text) in str(refused.value) and refused.value.hint


@given(st.lists(st.sampled_from(sorted(SCENARIOS)), unique=True))
def test_groups_hold_each_scenario_once_smallest_cluster_first(numbers: list[int]) -> None:
    wanted = [SCENARIOS[number] for number in numbers]
    groups = bench.grouped(wanted)
    held = sorted(scenario.number for _, members in groups for scenario in members)
    assert held == sorted(numbers)
    assert [setup.hosts for setup, _ in groups] == sorted(setup.hosts for setup, _ in groups)
    assert all(scenario.setup == setup for setup, members in groups for scenario in members)
    assert bench.hosts_needed(wanted) == max((setup.hosts for setup, _ in groups), default=0)


def test_who_needs_a_fresh_cluster_is_the_first_on_it() -> None:
    groups = {
        setup.name: [scenario.number for scenario in members] for setup, members in bench.grouped(SCENARIOS.values())
    }
    assert groups["three nodes and one that joins"] == [2, 3]
    assert groups["ten nodes"] == [19]


def test_a_failure_is_reported_before_what_could_not_be_measured() -> None:
    assert bench.exit_code([ran(1, True), ran(8, True)]) == 0
    assert bench.exit_code([ran(1, True), ran(2, None)]) == 4
    assert bench.exit_code([ran(1, False), ran(2, None)]) == 1


def test_the_document_has_every_field_in_the_order_of_numbers_and_what_was_not_measured_has_not_passed() -> None:
    document = bench.document([ran(8, None), ran(2, False), ran(1, True)])
    rows = document["scenarios"]
    assert [(row["number"], row["passed"]) for row in rows] == [(1, True), (2, False), (8, None)]
    assert set(rows[0]) == {"number", "name", "category", "promised", "measured", "passed"}


def test_the_summary_counts_what_was_not_measured_by_itself() -> None:
    results = [ran(1, True), ran(2, True), ran(3, False), ran(4, None)]
    assert summary(results) == "2 passed · 1 failed · 1 not measured"


def test_a_setup_takes_voters_first_and_reports_each_node_of_itself_alone() -> None:
    options = Setup("s", voters=2, learners=1, late=1, agents={"balance_ns": 0}).options(["n1", "n2", "n3"])
    assert options.voters == {"n1": 1, "n2": 1}
    assert list(options.learners) == ["n3"]
    assert options.peer_discovery and options.membership == {} and options.agents == {"balance_ns": 0}
