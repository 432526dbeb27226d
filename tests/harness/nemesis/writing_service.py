"""A system of one process a host that does nothing but write: what faults of disks are tried on.

It appends numbers to two files twenty times a second: `synced`, with an fsync each, and `unsynced`, with none. When its disk fails it ends, and its
supervisor starts it again.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from tests.harness.nemesis.lab_tools import state
from tests.harness.nemesis.plain_service import Supervised
from tribulation.harness.hosts.base import Host
from tribulation.harness.hosts.local import LocalProvider
from tribulation.harness.nemesis.cluster import fault_disk

PROGRAM = """
import os, time
def opened(name):
    return os.open(os.path.join("data", name), os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
os.makedirs("data", exist_ok=True)
synced, unsynced = opened("synced"), opened("unsynced")
folder = os.open("data", os.O_RDONLY)
os.fsync(folder)
number = sum(1 for line in open("data/synced"))
while True:
    number += 1
    os.write(unsynced, b"%d\\n" % number)
    os.write(synced, b"%d\\n" % number)
    os.fsync(synced)
    time.sleep(0.05)
"""


class Writing(Supervised):
    name = "writing"
    capabilities = frozenset({"disk"})

    def install(self, host: Host, cluster: Any) -> None:
        host.put(PROGRAM.encode(), f"{host.directory}/plain/program.py")

    def data_directory(self, host: Host) -> str:
        return f"{host.directory}/plain/data"

    def numbers(self, host: Host, name: str) -> list[int]:
        text = host.run(["cat", f"{self.data_directory(host)}/{name}"], check=False).stdout.replace("\0", "")
        return [int(line) for line in text.splitlines()]

    def begin_anew(self, host: Host) -> None:
        """On an empty disk: what an earlier fault lost leaves holes."""
        host.run(
            f"cd {host.directory}/plain && touch stopped && kill -9 $(cat pid); rm -f data/*; sync data; rm -f stopped"
        )
        host.run(f"cd {host.directory}/plain/data && for i in $(seq 200); do [ -s synced ] && exit 0; sleep 0.02; done")


@contextlib.contextmanager
def on_fault_disks(lab: LocalProvider, model: str = "strict") -> Iterator[Writing]:
    service = Writing()
    for host in lab.hosts:
        service.install(host, lab.hosts)
        fault_disk.mount(host, service, model)
        service.start(host, {})
        service.wait_ready(host, 5)
    yield service
    for host in lab.hosts:
        fault_disk.remove(host, service, service.stop)


def complaint(host: Host, service: Writing) -> str:
    """What a shell says that writes in the data directory; empty when it can."""
    write = f"cd {service.data_directory(host)} && echo x >trial && sync trial && rm -f trial"
    return host.run(write, check=False).stderr


def mounts(host: Host) -> list[str]:
    """Without their numbers, which change when a disk is mounted again."""
    lines = host.run("cat /proc/self/mountinfo").stdout.splitlines()
    return sorted(" ".join(line.split()[3:6]) for line in lines)


def alive(host: Host, service: Writing) -> bool:
    """It runs, and writes."""
    before = service.numbers(host, "synced")
    time.sleep(0.2)
    return state(host, service) is not None and service.numbers(host, "synced")[-1:] > before[-1:]
