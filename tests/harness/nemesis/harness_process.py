"""A harness of its own, to be killed or frozen by a test: puts every kind of fault on a lab and says so, then heals when asked.

python harness_process.py LAB DIRECTORY LEASE_S LEDGER
"""

from __future__ import annotations

import json
import sys

from tests.harness.nemesis.holding import put_on
from tests.harness.nemesis.plain_service import Supervised
from tribulation.harness.nemesis.faults.fault import Intent, Resolved

WHAT = {
    "cut": {"edges": [["n1", "n2"], ["n2", "n1"], ["n1", "clients"]]},
    "kill": {"nodes": ["n1"]},
    "pause": {"nodes": ["n2"]},
    "clock": {"offsets_ns": {"n3": 3600 * 10**9}},
}
FAULTS = [Resolved(Intent(kind, kind, {}, 0, None, kind), what) for kind, what in WHAT.items()]


def main() -> None:
    provider, injector = put_on(Supervised(), FAULTS)
    for _ in sys.stdin:
        print(json.dumps([dict(injector.heal(fault).observed) for fault in FAULTS]), flush=True)
    injector.stop()
    provider.close()


if __name__ == "__main__":
    main()
