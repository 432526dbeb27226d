"""Hosts that lose power begin a new monotonic clock: each boot's offset places the lines of that boot, on the run's time, for the checkers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tribulation.checkers.traces.traces import read_traces
from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.run.outcome.run_folder import load_record, read_facts
from tribulation.harness.run.plan.build import make_plan
from tribulation.harness.run.simulated import simulate

CAMPAIGN = """
name: booted
hosts: {provider: sim, nodes: 3}
system: {name: reference, timing: fast}
seed: 4
duration: 12s
settle: 1s
workloads: [{register: {clients: 3, rate: 30/s, keys: 2}}]
faults:
  - power-loss: {target: one, after: 2s, for: 1s}
  - power-loss: {target: one, after: 6s, for: 1s, name: again}
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    path = tmp_path_factory.mktemp("booted") / "booted.yaml"
    path.write_text(CAMPAIGN)
    return simulate(make_plan(load_campaign(path, hosts="sim"), Path()))


def test_every_line_of_a_rebooted_node_has_its_place_in_the_run(done):
    booted = done.record.boot_offsets_ns
    assert booted and not set(booted) & set(done.record.clock_offsets_ns)
    traces, end_ns = read_traces(done.record), done.record.phases["end"]
    for node in booted:
        last_ns = -(2**62)
        for incarnation in traces.incarnations[node]:
            for line in incarnation.lines:
                placed = traces.place(line)
                assert placed.high_ns - placed.low_ns < 10**9
                assert placed.high_ns >= last_ns and placed.low_ns <= end_ns + 10**10
                last_ns = placed.low_ns


def test_a_new_life_begins_when_the_ledger_says_that_power_came_back(done):
    traces = read_traces(done.record)
    for fault in done.record.faults:
        (node,) = fault.intended["nodes"]
        starts = [traces.place(one.lines[0]) for one in traces.incarnations[node]]
        assert any(start.low_ns <= fault.healed_ns and start.high_ns >= fault.heal_ns for start in starts)


def test_they_are_in_the_folder(done, tmp_path):
    done.write(tmp_path)
    assert read_facts(tmp_path).boot_offsets_ns == done.record.boot_offsets_ns
    assert load_record(tmp_path).boot_offsets_ns == done.record.boot_offsets_ns
