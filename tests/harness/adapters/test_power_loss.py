"""What the step says of the run that it makes. Runs with real disks are in tests/databases."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tribulation.checkers import Anomaly, CheckResult, Verdict
from tribulation.harness.adapters.power_loss import applies, load, power_loss, seen
from tribulation.harness.adapters.steps import Wrong
from tribulation.testing import Daemon


def judged(**document: Any) -> Any:
    results = document.pop("results", {"linearizable": CheckResult("linearizable", Verdict.VALID)})
    return SimpleNamespace(results=results, document={"errors": [], "doubts": [], "faults": [], **document})


def test_what_was_lost_unsynced_is_counted() -> None:
    faults = [
        {"observed": {"lost_bytes": {"n1": 5, "n2": 6}}},
        {"observed": {"lost_bytes": {"n1": 1}}},
        {"observed": {}},
    ]
    assert seen(judged(faults=faults)) == (
        "all data is there; 12 bytes that were not synced were lost, in 2 losses of power"
    )


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (
            {"errors": ["n1: redis ended while it started"], "doubts": ["x"]},
            "and then: n1: redis ended while it started",
        ),
        ({"doubts": ["fault power-1 was not seen undone"]}, "and then: fault power-1 was not seen undone"),
        (
            {"results": {"final-reads": CheckResult("final-reads", Verdict.UNKNOWN, reason="n1 did not come back")}},
            "and then: n1 did not come back",
        ),
        (
            {"results": {"set": CheckResult("set", Verdict.INVALID, [Anomaly("lost", [1], "1 is missing", {})])}},
            "set finds lost: 1 is missing",
        ),
    ],
)
def test_what_keeps_the_run_from_being_valid_is_said(document: dict[str, Any], said: str) -> None:
    with pytest.raises(Wrong, match=said) as wrong:
        seen(judged(**document))
    assert wrong.value.hint


def test_it_is_for_systems_with_data_whose_client_has_a_workload(tmp_path: Any) -> None:
    class Without(Daemon):
        port, data = 1, None

    class With(Daemon):
        port = 1

    powered = SimpleNamespace(**dict.fromkeys(("power_off", "boot", "freeze", "thaw", "renew_outages"), print))
    system: Any = SimpleNamespace(service=With(), make_client=None)
    assert applies(system, powered) and not applies(system, SimpleNamespace())
    assert not applies(SimpleNamespace(service=Without()), powered)  # type: ignore[arg-type]
    assert "not tried" in power_loss(tmp_path, {}, system, powered, 1, ["mutex"], 0.0).seen


def test_a_system_that_starts_slowly_has_time_to_recover() -> None:
    assert load("set", 0.2)["settle"] == "3s" and load("set", 20.0)["settle"] == "43s"


def test_power_is_lost_several_times_because_one_loss_may_leave_everything() -> None:
    """A Redis without syncs passed a trial with one power loss, in which its file was left whole."""
    made = load("set", 2.0)
    (fault,) = made["faults"]
    every_s, load_s = int(fault["power-loss"]["every"][:-1]), int(made["duration"][:-1])
    assert fault["power-loss"]["times"] == 4 and 3 + 3 * every_s + 1 < load_s


def test_a_queue_may_deliver_again_after_a_power_loss() -> None:
    assert load("queue", 1.0)["checker_options"] == {"total-queue": {"at_least_once": True}}
    assert load("set", 1.0)["checker_options"] == {}
