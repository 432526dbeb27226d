"""A harness of its own, to be killed or frozen by a test: puts every kind of fault on a lab and says so, then heals when asked.

python harness_process.py LAB DIRECTORY LEASE_S LEDGER
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from harness.hosts.local import LocalProvider
from harness.nemesis.faults import Intent, Resolved
from harness.nemesis.injector import HostInjector
from harness.nemesis.ledger import Ledger
from tests.harness.nemesis.plain_service import Supervised

FAULTS = {
    "cut": {"edges": [["n1", "n2"], ["n2", "n1"], ["n1", "clients"]]},
    "kill": {"nodes": ["n1"]},
    "pause": {"nodes": ["n2"]},
    "clock": {"offsets_ns": {"n3": 3600 * 10**9}},
}


def main() -> None:
    lab, directory, lease_s, ledger = sys.argv[1:]
    provider = LocalProvider.find(lab, directory)
    hosts = list(provider.up())
    injector = HostInjector(
        hosts, provider, Supervised(), Ledger(Path(ledger)), time.monotonic_ns, lease_s=float(lease_s)
    )
    injector.start()
    faults = [Resolved(Intent(kind, kind, {}, 0, None, kind), what) for kind, what in FAULTS.items()]
    print(json.dumps([injector.inject(fault).verified for fault in faults]), flush=True)
    for _ in sys.stdin:
        print(json.dumps([dict(injector.heal(fault).observed) for fault in faults]), flush=True)
    injector.stop()
    provider.close()


if __name__ == "__main__":
    main()
