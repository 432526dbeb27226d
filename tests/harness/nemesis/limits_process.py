"""A harness of its own, to be killed by a test: n1 starved, n2 with little memory, n3 with all three limits.

python limits_process.py LAB DIRECTORY LEASE_S LEDGER
"""

from __future__ import annotations

from tests.harness.nemesis.holding import hold
from tests.harness.nemesis.lab_tools import fault
from tests.harness.nemesis.plain_service import Supervised

FAULTS = (
    fault("cpu", nodes=["n1", "n3"], share_ppm=200_000),
    fault("memory", nodes=["n2"], limit_bytes=64 << 20),
    fault("descriptors", nodes=["n3"], limit=20),
)

if __name__ == "__main__":
    hold(Supervised(), FAULTS)
