"""What faults cost, from histories that are written here."""

from __future__ import annotations

from pathlib import Path

from tribulation.checkers.base.result import Fault
from tribulation.harness.report import write_report
from tribulation.harness.report.costs import Cost, cost_rows, costs
from tribulation.histories import Operation, Type

from .folders import write_run

S = 1_000_000_000
REGIONS = {"n1": "eu", "n2": "us"}


def operation(
    at_s: float, node: str, type_: Type = Type.OK, took_s: float = 0.1, error: str | None = None
) -> Operation:
    return Operation(
        process=0,
        f="write",
        key="k",
        argument=1,
        result=1,
        type=type_,
        invoke_ns=int(at_s * S),
        complete_ns=int((at_s + took_s) * S),
        invoke_index=0,
        complete_index=1,
        node=node,
        error=error,
    )


def fault(name: str, start_s: float, heal_s: float | None, healed_s: float | None) -> Fault:
    ns = [None if at is None else int(at * S) for at in (heal_s, healed_s)]
    return Fault(name, "cut", {"edges": []}, None, True, int(start_s * S), int(start_s * S), *ns)


def by_place(found: list[Cost], name: str) -> dict[str, Cost]:
    return {cost.place: cost for cost in found if cost.fault.id == name}


def test_a_region_that_is_cut_off_pays_alone_and_for_as_long_as_it_was() -> None:
    """A write a second in each region for 60 s; from 20 s on, for 10 s, those of eu are refused, and those of us take four times as long."""
    there = [operation(at, "n1", Type.FAIL if 20 <= at < 30 else Type.OK) for at in range(60)]
    here = [operation(at, "n2", took_s=0.4 if 20 <= at < 30 else 0.1) for at in range(60)]
    found = by_place(costs([*there, *here], [fault("f", 20, 29, 30)], REGIONS, 60 * S), "f")
    assert list(found) == ["all", "eu", "us"]
    eu, us = found["eu"], found["us"]
    assert eu.before and eu.during and eu.after and us.during and us.before
    assert [span.ok_per_s for span in (eu.before, eu.during, eu.after)] == [1, 0, 1]
    assert (eu.during.fail_per_s, eu.during.p50_ns) == (1, None)
    assert (us.during.ok_per_s, us.during.p50_ns, us.before.p50_ns) == (1, 0.4 * S, 0.1 * S)
    assert eu.silent_ns == 11 * S and us.silent_ns == 1.3 * S
    row = cost_rows([*there, *here], [fault("f", 20, 29, 30)], REGIONS, 60 * S)[1]
    assert (row.place, row.silent, list(row.spans[1])) == ("eu", "11.00 s", ["0.0", "0.0", "1.0", "–", "–"])


def test_before_and_after_reach_into_no_other_fault_nor_beyond_the_load() -> None:
    operations = [operation(at, "n1") for at in range(40)]
    faults = [fault("first", 10, 14, 15), fault("second", 18, 27, 28), fault("third", 28, 38, 39)]
    found = costs(operations, faults, {}, 40 * S)
    assert [cost.place for cost in found] == ["all"] * 3
    first, second, third = found
    assert first.after is not None and second.before is not None and third.after is not None
    assert second.after is None and third.before is None
    assert {span.ok_per_s for span in (first.after, second.before, third.after)} == {1}


def test_a_fault_that_was_never_healed_was_on_until_the_loads_end() -> None:
    (cost,) = costs([operation(1, "n1")], [fault("f", 2, None, None)], {}, 10 * S)
    assert cost.after is None and cost.during is not None and cost.silent_ns == 8.9 * S


def test_a_cas_that_did_not_match_was_answered() -> None:
    (cost,) = costs([operation(5, "n1", Type.FAIL, error="mismatch")], [fault("f", 4, 8, 8)], {}, 10 * S)
    assert cost.during is not None and (cost.during.ok_per_s, cost.during.fail_per_s) == (0.25, 0)


def test_the_page_has_a_row_for_the_clients_of_each_region(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    (folder / "campaign.yaml").write_text("name: invented\nhosts: {provider: local, regions: {eu: 2, us: 3}}\n")
    page = write_report(folder).read_text(encoding="utf-8")
    section = page[page.index("What each fault cost") : page.index("<h2>Checkers</h2>")]
    counted = [section.count(f"<td>{place}</td>") for place in ("all", "eu", "us")]
    assert counted[0] > 0 and set(counted) == {counted[0]}
