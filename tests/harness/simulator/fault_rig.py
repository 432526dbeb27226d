"""Faults of a simulated cluster, by hand."""

from __future__ import annotations

from typing import Any

from tribulation.harness.nemesis.faults.fault import Intent, Resolved
from tribulation.harness.simulator.options import SECOND

FIVE = ("n1", "n2", "n3", "n4", "n5")


def fault(kind: str, ident: str = "f1", **what: Any) -> Resolved:
    return Resolved(Intent(ident, kind, {}, 0, None, ident), what)


def settle(cluster, for_ns: int = 2 * SECOND) -> None:
    cluster.run_until(cluster.now_ns + for_ns)
