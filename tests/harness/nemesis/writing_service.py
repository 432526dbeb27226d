"""A system of one process a host that does nothing but write: what faults of disks are tried on.

It appends numbers to two files twenty times a second: `synced`, with an fsync each, and `unsynced`, with none. When its disk fails it ends, and its
supervisor starts it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.hosts.base import Host
from tests.harness.nemesis.plain_service import Supervised

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
        text = host.run(["cat", f"{self.data_directory(host)}/{name}"]).stdout
        return [int(line) for line in text.splitlines()]

    def start(self, host: Host, environment: Mapping[str, str]) -> None:
        super().start(host, environment)
