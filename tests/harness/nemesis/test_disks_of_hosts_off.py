"""Faults of several disks while one of the hosts has no power: nothing is learnt of its disk, so the fault is not verified, in effect or in its end."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tribulation.harness.nemesis.catalog.catalog import kind_of
from tribulation.harness.nemesis.faults.disk_effects import Device
from tribulation.harness.nemesis.faults.fault import Intent, Observation, Resolved
from tribulation.harness.nemesis.faults.force import Force
from tribulation.harness.nemesis.kinds.disks import disk, wipe

NODES = ["n1", "n2"]
FULL, WELL = Device("ENOSPC write", 1, True), Device(None, 1, True)


def fault(effect: str) -> Resolved:
    return Resolved(Intent("f1", "disk", {}, 0, None, "f1"), {"nodes": NODES, "effect": effect})


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that looks at `fault` where these nodes have power, and each of their disks answers so."""
    seen: dict[str, Any] = {"device": WELL, "answer": {}}

    def answers(ground: Any, nodes: Any, **_: Any) -> dict[str, Any]:
        return {node: seen["answer"] for node in nodes}

    states = Observation(True, {"states": {}})
    for module in (disk, wipe):
        monkeypatch.setattr(module, "look_at", answers)
        monkeypatch.setattr(module, "alive", lambda *_: states)
    monkeypatch.setattr(disk, "devices", lambda ground, nodes: {node: seen["device"] for node in nodes})
    monkeypatch.setattr(wipe, "states", lambda *_: states)

    def look(package: Any, of: Resolved, powered: list[str], on: bool, **how: Any) -> Observation:
        seen.update(how)
        ground: Any = SimpleNamespace(force=Force(), notes={}, on=powered)
        found: Observation = package.look(of, ground, on)
        return found

    return look


CASES: list[tuple[str, bool, dict[str, Any]]] = [
    ("full", True, {"device": FULL}),
    ("full", False, {"device": WELL}),
    ("lost-writes", True, {"answer": {"results": {"f1": {"changed": True}}, "damage": []}}),
    ("lost-writes", False, {"answer": {"results": {"f1": {"changed": True}}, "damage": []}}),
    ("old-files", True, {"answer": {"results": {"f1": {"backed_up_files": 1}}}}),
    ("old-files", False, {"answer": {"results": {"f1": {"restored_files": 1, "changed": True}}}}),
]


@pytest.mark.parametrize(("effect", "on", "how"), CASES)
def test_a_disk_fault_is_verified_where_every_host_has_power_and_only_there(
    looked_at: Any, effect: str, on: bool, how: dict[str, Any]
) -> None:
    package, kind = disk.OnHosts(), kind_of("disk")
    assert kind is not None
    assert looked_at(package, fault(effect), NODES, on, **how).verified
    without = looked_at(package, fault(effect), ["n1"], on, **how)
    assert not without.verified
    missing = kind.unseen if on else kind.unheard
    assert missing(fault(effect).what, without.observed) == ["n2"], "a loss of power may stand before it"
    assert not looked_at(package, fault(effect), [], on, **how).verified


@pytest.mark.parametrize("on", [True, False])
def test_a_wipe_of_a_disk_without_power_is_not_verified(looked_at: Any, on: bool) -> None:
    package, kind = wipe.OnHosts(), kind_of("wipe")
    assert kind is not None
    how = {"answer": {"files": []}}
    assert looked_at(package, fault("wipe"), NODES, on, **how).verified
    without = looked_at(package, fault("wipe"), ["n1"], on, **how)
    assert not without.verified and (on or kind.unheard(fault("wipe").what, without.observed) == ["n2"])


def test_a_disk_that_is_not_well_is_not_excused_by_another_without_power(looked_at: Any) -> None:
    kind = kind_of("disk")
    seen = looked_at(disk.OnHosts(), fault("full"), ["n1"], False, device=FULL)
    assert kind is not None and not seen.verified and kind.unheard(fault("full").what, seen.observed) == []
