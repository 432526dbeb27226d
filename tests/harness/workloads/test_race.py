"""Races: nothing without rivals, then writes at the new leader and reads at the former one, within their limits; and what was tried can be pinned."""

from __future__ import annotations

from pathlib import Path

from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.run.plan.build import make_plan
from tribulation.harness.run.plan.plan import Plan
from tribulation.harness.run.simulated import Simulated, simulate
from tribulation.harness.workloads.generators import WAIT, Context, Generator, Rivals
from tribulation.harness.workloads.race import Race, RaceSpec

SPEC = RaceSpec(clients=10, each=3, most=5)
TWO = Rivals("n2", "n1", 70)


def tried(client: int, node: str, rivals: list[Rivals | None]) -> list[tuple[str, int]]:
    generator: Generator = Race("race", SPEC).load()
    found = []
    for count, known in enumerate(rivals):
        emit, generator = generator.next(Context(3, "race", client, 10, count, 100, node, known))
        if emit is not None and emit is not WAIT:
            found.append((emit.op.f, emit.at_ns))
    return found


def test_nothing_is_tried_without_rivals_nor_at_other_nodes() -> None:
    assert tried(0, "n2", [None] * 5) == [] and tried(2, "n3", [TWO] * 5) == []


def test_the_first_half_writes_at_the_new_leader_and_reads_at_the_former_one_at_once() -> None:
    assert [f for f, _ in tried(1, "n2", [TWO] * 3)] == ["write"] * 3
    assert [f for f, _ in tried(0, "n1", [TWO] * 3)] == ["read"] * 3
    assert tried(1, "n2", [TWO])[0] == ("write", 100), "no gap before the first"


def test_the_second_half_reads_at_the_new_leader_and_sometimes_writes_at_the_former_one() -> None:
    assert [f for f, _ in tried(6, "n2", [TWO] * 3)] == ["read"] * 3
    at_the_former = [f for client in range(5, 10) for f, _ in tried(client, "n1", [TWO] * 3)]
    assert set(at_the_former) == {"read", "write"}


def test_a_change_of_leaders_is_worth_so_much_and_all_of_them_so_much() -> None:
    again = Rivals("n2", "n1", 900)
    assert len(tried(1, "n2", [TWO] * 9)) == 3
    assert len(tried(1, "n2", [TWO] * 9 + [again] * 9)) == 5


CAMPAIGN = """
name: race
hosts: {provider: sim, nodes: 3}
seed: 5
duration: 4s
workloads: [{register: {rate: 10/s}}, {race: {}}]
faults: [{partition: {shape: [leader-minority], every: 1s, for: 600ms}}]
"""


def ran(folder: Path) -> Simulated:
    (folder / "race.yaml").write_text(CAMPAIGN, encoding="utf-8")
    return simulate(make_plan(load_campaign(folder / "race.yaml"), folder))


def test_a_run_is_repeated_and_so_is_the_plan_with_what_it_tried_pinned(tmp_path: Path) -> None:
    done = ran(tmp_path)
    races = [op for op in done.record.history.operations() if op.workload == "race"]
    assert {"read", "write"} == {op.f for op in races} and any(op.type.value == "ok" for op in races)
    assert ran(tmp_path).digest == done.digest
    data = {**done.plan.to_json(), "pinned": [[p.slot, p.at_ns, list(_fields(p.op))] for p in done.issued]}
    pinned = simulate(Plan.from_json(data))
    assert len([op for op in pinned.record.history.operations() if op.workload == "race"]) == len(races)
    assert pinned.digest == done.digest


def _fields(op: object) -> tuple[object, ...]:
    return tuple(getattr(op, name) for name in ("f", "key", "value", "level", "workload"))
