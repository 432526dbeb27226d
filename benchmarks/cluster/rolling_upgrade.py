"""A rolling upgrade from an earlier version of the node to this one, on three local hosts under load; as root.

    python -P benchmarks/cluster/rolling_upgrade.py --old REV [--load 10] [--tls] [--json]

REV is a commit of this repository (a clone without history has none: `git fetch --unshallow`). The old nodes are deployed with all parts, clients
write and read registers at every node, and `tribulation.harness.deploy.upgrade` replaces one node after the other, so that old and new ones are one
cluster for a while; then every node is killed with -9 once and started again. Right is: every acknowledged write is read (the history is
linearizable), each node holds the same state at the end, and writes went on. Exit code 1 when that is not so.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

# ruff: noqa: E402
from tests.harness.deploy.register_clients import Clients
from tribulation.checkers import RunRecord, Verdict, check
from tribulation.harness.deploy.cluster import Deployment
from tribulation.harness.deploy.upgrade import Upgrade, why_unsettled
from tribulation.harness.hosts.base import Host
from tribulation.harness.hosts.local import LocalProvider
from tribulation.harness.systems.reference.system import ReferenceService
from tribulation.node.config.node import NodeConfig

OPTIONS = {
    "cluster": "rolling",
    "timing": "fast",
    "keep_data": True,
    "snapshot_threshold": 500,
    "membership": {"broadcast": False},
    "agents": {},
    "memory": {},
}
DEADLINE_S = 120.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--old", required=True, metavar="REV", help="the commit that the cluster is upgraded from")
    parser.add_argument("--load", type=float, default=10.0, help="seconds of load before, between and after")
    parser.add_argument("--tls", action="store_true", help="with certificates and signed datagrams")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tri-rolling-", dir="/var/tmp") as place:
        found = play(Path(place), old_archive(asked.old, Path(place) / "old"), asked.load, asked.tls)
    print(json.dumps(found) if asked.json else "\n".join(f"{name}: {value}" for name, value in found.items()))
    return 1 if found["wrong"] else 0


CONFIGS = ("tribulation.node.config.node", "node.config.node", "node.config")
"""Where commits have the fields of a node's configuration, the newest first."""
BUILDERS = ("tribulation.harness.systems.reference.package", "harness.deploy.package")
"""Where commits have what builds the node's program, the newest first."""


def old_archive(revision: str, folder: Path) -> bytes:
    """The node's program as that commit builds it."""
    done = subprocess.run(["git", "-C", str(ROOT), "archive", revision], capture_output=True)
    if done.returncode != 0:
        sys.exit(f"{revision}: {done.stderr.decode().strip()}\nhint: git fetch --unshallow brings the history")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    for module in BUILDERS:
        code = f"import sys; sys.path.insert(0, sys.argv[1]); from {module} import build_node_archive as build; sys.stdout.buffer.write(build())"
        built = subprocess.run([sys.executable, "-I", "-S", "-c", code, str(folder)], capture_output=True, cwd=folder)
        if built.returncode == 0:
            return built.stdout
    sys.exit(f"{revision}: its program cannot be built\n{built.stderr.decode()}")


def old_fields(folder: Path) -> set[str]:
    """The fields of a configuration that the program of that commit knows."""
    for module in CONFIGS:
        code = f"import sys; sys.path.insert(0, sys.argv[1]); from {module} import NodeConfig; from dataclasses import fields; print(*[f.name for f in fields(NodeConfig)])"
        asked = subprocess.run([sys.executable, "-I", "-S", "-c", code, str(folder)], capture_output=True, cwd=folder)
        if asked.returncode == 0:
            return set(asked.stdout.decode().split())
    sys.exit(f"its configuration has no fields that can be read\n{asked.stderr.decode()}")


class OldService(ReferenceService):
    """Service of the old program. What is newer than it stays out of its configuration, as it would in a cluster that was installed then."""

    known: set[str]

    def config(self, host: Host, cluster: Sequence[Host]) -> Mapping[str, Any]:
        newer = {field.name for field in fields(NodeConfig)} - self.known
        return {name: value for name, value in super().config(host, cluster).items() if name not in newer}


def play(place: Path, archive: bytes, load_s: float, tls: bool) -> dict[str, Any]:
    options = {**OPTIONS, **({"tls": True, "authority": str(place / "ca")} if tls else {})}
    lab = LocalProvider(nodes=3, name="rolling", directory=place / "labs")
    lab.up()
    try:
        service = OldService(options, archive=archive)
        service.known = old_fields(place / "old")
        Deployment(service, lab.hosts).up()
        new = Deployment(ReferenceService(options), lab.hosts)
        try:
            return _upgrade(lab, new, load_s)
        finally:
            new.down()
    finally:
        lab.down()


def _upgrade(lab: LocalProvider, new: Deployment, load_s: float) -> dict[str, Any]:
    service, addresses = new.service, {host.name: host.address for host in lab.hosts}

    def dial(name: str, timeout_s: float) -> Any:
        return lab.dial(addresses[name], service.port, timeout_s=timeout_s)

    said: list[str] = []
    upgrade = Upgrade(new, dial, said.append)
    with Clients(service, lab) as clients:
        _await(lambda: len(clients.acknowledged_s) >= 20, "the first writes")
        time.sleep(load_s)
        began_s = time.monotonic()
        results = upgrade.run()
        took_s = time.monotonic() - began_s
        time.sleep(load_s)
        for host in lab.hosts:
            _kill(service, host)
            _await(lambda: why_unsettled(upgrade.states(), None, 0) is None, f"{host.name} after it was killed")
        time.sleep(load_s)
    _await(lambda: len({json.dumps(_digest(service, host.name, dial)) for host in lab.hosts}) == 1, "one state")
    verdict = check(RunRecord(history=clients.history), ["linearizable"])["linearizable"]
    gaps = [after - before for before, after in zip(clients.acknowledged_s, clients.acknowledged_s[1:], strict=False)]
    wrong = [] if verdict.verdict is Verdict.VALID else [f"linearizable: {verdict}"]
    wrong += [result.detail for result in results if not result.detail.startswith("upgraded")]
    return {
        "writes": len(clients.acknowledged_s),
        "longest_without_one_ms": round(max(gaps) * 1000),
        "upgrade_s": round(took_s, 1),
        "steps": said,
        "linearizable": verdict.verdict.value,
        "wrong": wrong,
    }


def _kill(service: ReferenceService, host: Any) -> None:
    """Kill the node and wait until its supervisor, or the watchdog, has started it again."""
    pid = service.pid(host)
    host.run(["kill", "-9", str(pid)])
    _await(lambda: service.pid(host) not in (None, pid), f"{host.name} to be started again")


def _digest(service: ReferenceService, name: str, dial: Any) -> Any:
    answer = service.ask(name, dial, {"admin": "digest"}, 2.0) or {}
    return answer.get("index"), answer.get("digest")


def _await(condition: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"waited {DEADLINE_S:g} s for {what}")
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
