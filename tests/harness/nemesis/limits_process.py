"""A harness of its own, to be killed by a test: n1 starved, n2 with little memory, n3 with all three limits.

python limits_process.py LAB DIRECTORY LEDGER
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
    lab, directory, ledger = sys.argv[1:]
    provider = LocalProvider.find(lab, directory)
    hosts = list(provider.up())
    injector = HostInjector(hosts, provider, Supervised(), Ledger(Path(ledger)), time.monotonic_ns, lease_s=8.0)
    injector.start()
    faults = [
        fault("cpu", nodes=["n1", "n3"], share_ppm=200_000),
        fault("memory", nodes=["n2"], limit_bytes=64 << 20),
        fault("descriptors", nodes=["n3"], limit=20),
    ]
    print(json.dumps([injector.inject(each).verified for each in faults]), flush=True)
    time.sleep(600)


if __name__ == "__main__":
    main()
