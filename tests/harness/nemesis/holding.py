"""What every harness of its own that a test kills has in common: it takes a lab, puts faults on it, says whether each was seen, and waits.

python PROCESS.py LAB DIRECTORY LEASE_S LEDGER
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tribulation.harness.hosts.local import LocalProvider
from tribulation.harness.nemesis.faults.fault import Resolved
from tribulation.harness.nemesis.faults.ledger import Ledger
from tribulation.harness.nemesis.inject.injector import HostInjector


def put_on(service: Any, faults: Sequence[Resolved]) -> tuple[LocalProvider, HostInjector]:
    """Prints, as JSON, for each fault whether it was verified."""
    lab, directory, lease_s, ledger = sys.argv[1:]
    provider = LocalProvider.find(lab, directory)
    hosts, clock = list(provider.up()), time.monotonic_ns
    injector = HostInjector(hosts, provider, service, Ledger(Path(ledger)), clock, seed=0, lease_s=float(lease_s))
    injector.start()
    print(json.dumps([injector.inject(fault).verified for fault in faults]), flush=True)
    return provider, injector


def hold(service: Any, faults: Sequence[Resolved]) -> None:
    """Until it is killed."""
    put_on(service, faults)
    time.sleep(600)
