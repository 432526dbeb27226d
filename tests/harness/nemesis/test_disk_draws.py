"""Where a disk is damaged is drawn from the run's seed, the fault and the node: another seed damages it elsewhere, and the same one there again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from tribulation.harness.nemesis.faults.fault import Intent, Resolved
from tribulation.harness.nemesis.kinds.base import Ground
from tribulation.harness.nemesis.kinds.disks.disk import OnHosts as Disk


def draws(seed: int, key: str) -> dict[str, int]:
    intent = Intent("rot.1", "disk", {}, 0, None, key)
    fault = Resolved(intent, {"nodes": ["n1", "n2"], "effect": "bit-rot"})
    ground = cast(Ground, SimpleNamespace(seed=seed, notes={}))
    wants = cast("list[tuple[str, str, Any]]", list(Disk().wants(fault, ground)))
    return {node: value["damage"][0]["draw"] for node, _, value in wants}


@given(st.integers(0, 2**31), st.integers(0, 2**31))
def test_each_seed_fault_and_node_has_a_draw_of_its_own(seed: int, other: int) -> None:
    found = draws(seed, "rot.1")
    assert found == draws(seed, "rot.1") and found["n1"] != found["n2"]
    assert found != draws(seed, "rot.2")
    assert (found == draws(other, "rot.1")) == (seed == other)
