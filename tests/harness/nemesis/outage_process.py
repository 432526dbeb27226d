"""A harness of its own, to be killed by a test: n1 without power and with faults that outlive a boot, n2 frozen.

python outage_process.py LAB DIRECTORY LEASE_S LEDGER
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from harness.hosts.local import LocalProvider
from harness.nemesis.injector import HostInjector
from harness.nemesis.ledger import Ledger
from tests.harness.nemesis.lab_tools import fault
from tests.harness.nemesis.plain_service import Supervised


def main() -> None:
    lab, directory, lease_s, ledger = sys.argv[1:]
    provider = LocalProvider.find(lab, directory)
    hosts = list(provider.up())
    injector = HostInjector(
        hosts, provider, Supervised(), Ledger(Path(ledger)), time.monotonic_ns, lease_s=float(lease_s)
    )
    injector.start()
    faults = [
        fault("cut", edges=[["n2", "n1"], ["n1", "n3"]]),
        fault("kill", nodes=["n1"]),
        fault("power", nodes=["n1"]),
        fault("pause", nodes=["n2"], whole="host"),
    ]
    print(json.dumps([injector.inject(each).verified for each in faults]), flush=True)
    time.sleep(600)


if __name__ == "__main__":
    main()
