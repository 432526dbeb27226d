"""A harness of its own, to be killed by a test, that has moved the clock of a program that reads its vDSO.

python clock_harness.py LAB DIRECTORY LEASE_S LEDGER
"""

from __future__ import annotations

from tests.harness.nemesis.clock_services import Compiled
from tests.harness.nemesis.holding import hold
from tribulation.harness.nemesis.faults.fault import Intent, Resolved

JUMP = Resolved(Intent("clock", "clock", {}, 0, None, "clock"), {"offsets_ns": {"n1": 60 * 10**9}})

if __name__ == "__main__":
    hold(Compiled(b""), [JUMP])
