"""A harness of its own, to be killed by a test: n1 without power and with faults that outlive a boot, n2 frozen.

python outage_process.py LAB DIRECTORY LEASE_S LEDGER
"""

from __future__ import annotations

from tests.harness.nemesis.holding import hold
from tests.harness.nemesis.lab_tools import fault
from tests.harness.nemesis.plain_service import Supervised

FAULTS = (
    fault("cut", edges=[["n2", "n1"], ["n1", "n3"]]),
    fault("kill", nodes=["n1"]),
    fault("power", nodes=["n1"]),
    fault("pause", nodes=["n2"], whole="host"),
)

if __name__ == "__main__":
    hold(Supervised(), FAULTS)
