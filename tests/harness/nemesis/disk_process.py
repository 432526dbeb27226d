"""A harness of its own, to be killed by a test: disks full, stalled and damaged, and a backup made.

python disk_process.py LAB DIRECTORY LEASE_S LEDGER
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
from tests.harness.nemesis.writing_service import Writing


def main() -> None:
    lab, directory, lease_s, ledger = sys.argv[1:]
    provider = LocalProvider.find(lab, directory)
    hosts = list(provider.up())
    injector = HostInjector(hosts, provider, Writing(), Ledger(Path(ledger)), time.monotonic_ns, lease_s=float(lease_s))
    injector.start()
    faults = [
        fault("disk", nodes=["n1"], effect="old-files", calibration=True),
        fault("disk", nodes=["n2"], effect="bit-rot"),
        fault("disk", nodes=["n1"], effect="full"),
        fault("disk", nodes=["n3"], effect="stall"),
    ]
    print(json.dumps([injector.inject(each).verified for each in faults]), flush=True)
    time.sleep(600)


if __name__ == "__main__":
    main()
