"""A harness of its own, to be killed by a test: disks full, stalled and damaged, and a backup made.

python disk_process.py LAB DIRECTORY LEASE_S LEDGER
"""

from __future__ import annotations

from tests.harness.nemesis.holding import hold
from tests.harness.nemesis.lab_tools import fault
from tests.harness.nemesis.writing_service import Writing

FAULTS = (
    fault("disk", nodes=["n1"], effect="old-files", calibration=True),
    fault("disk", nodes=["n2"], effect="bit-rot"),
    fault("disk", nodes=["n1"], effect="full"),
    fault("disk", nodes=["n3"], effect="stall"),
)

if __name__ == "__main__":
    hold(Writing(), FAULTS)
