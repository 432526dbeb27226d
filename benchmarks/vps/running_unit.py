"""etcd as a unit of systemd that runs already, on emulated machines: a campaign attaches to it with `RunningUnit`, and leaves it as it was.

    make unit-test            (or: .venv/bin/python -P benchmarks/vps/running_unit.py [--nodes 3])

As root; ten minutes, and more on a busy machine. Debian's package brings the unit. Looked at on the machines themselves, before and after: the unit and
how often systemd started it, its drop-in, and the files of the run. Then the harness is killed during a kill: the unit must come back without it, and
the next run removes the drop-in. The exit code says whether all of it was as it should be.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

# ruff: noqa: E402
from benchmarks.ending import ended_with, lab_of
from benchmarks.machines import check, failed, timed
from benchmarks.vps.newcomer import kill
from tribulation.harness.hosts.parallel import on_all
from tribulation.harness.hosts.qemu import QemuProvider
from tribulation.harness.hosts.ssh.remote import RemoteHost
from tribulation.harness.nemesis.inject.injector import LEASE_S

LAB = "unit-check"
UNIT = "etcd.service"
DROP_IN = f"/run/systemd/system/{UNIT}.d"
PACKAGES = ("etcd-server", "adduser")
ADAPTER = """\
from etcd import EtcdClient as client

from tribulation.testing import RunningUnit


class Etcd(RunningUnit):
    unit, port = "etcd.service", 2379


service = Etcd
"""
HOLDS = """\
name: unit-holds
hosts: {provider: qemu, nodes: NODES, lab: LAB}
system: {file: running.py}
duration: 80s
settle: 8s
final: 60s
operation_timeout: 5s
workloads:
  - register: {keys: 3, clients: 3, rate: 6/s}
faults:
  - kill: {target: [n1], after: 5s, restart_after: 8s, name: killed}
  - pause: {target: [n2], after: 25s, for: 5s, name: paused}
  - partition: {shape: isolate-one, after: 40s, for: 8s, name: cut}
  - kill: {target: [n3], after: 60s, restart_after: 4s, name: killed-too}
"""
KILLED = """\
name: unit-killed
hosts: {provider: qemu, nodes: NODES, lab: LAB}
system: {file: running.py}
duration: 300s
operation_timeout: 5s
workloads:
  - register: {keys: 3, clients: 2, rate: 4/s}
faults:
  - kill: {target: [n2], after: 1s, restart_after: 280s}
"""
CALM = """\
name: unit-calm
hosts: {provider: qemu, nodes: NODES, lab: LAB}
system: {file: running.py}
duration: 5s
operation_timeout: 5s
workloads:
  - register: {keys: 3, clients: 2, rate: 4/s}
"""
RUN_S, DOWN_S, BACK_S = 1200.0, 180.0, 120.0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=3, choices=(3, 4, 5))
    asked = parser.parse_args(arguments)
    lab = QemuProvider(asked.nodes, LAB)
    with (
        tempfile.TemporaryDirectory(prefix="tribulation-unit-") as folder,
        lab_of(lab, lambda lab: timed("down", lab.down)),
    ):
        hosts: list[RemoteHost] = list(timed("up (with the image, if it was not built)", lab.up))
        timed("etcd installed and started", lambda: install(hosts, Path(folder)))
        for name, text in (("holds", HOLDS), ("killed", KILLED), ("calm", CALM)):
            campaign = text.replace("NODES", str(asked.nodes)).replace("LAB", LAB)
            (Path(folder) / f"{name}.yaml").write_text(campaign, encoding="utf-8")
        (Path(folder) / "running.py").write_text(ADAPTER, encoding="utf-8")
        (Path(folder) / "etcd.py").write_bytes((ROOT / "systems/etcd.py").read_bytes())
        attached(hosts, Path(folder))
        harness_killed(hosts, Path(folder))
    print(f"failed: {failed}" if failed else "all of it was as it should be")
    return 1 if failed else 0


def install(hosts: Sequence[RemoteHost], folder: Path) -> None:
    """Install Debian's etcd on each machine, as members of one cluster."""
    subprocess.run(["apt-get", "-q", "download", *PACKAGES], cwd=folder, check=True, capture_output=True, timeout=300)
    cluster = ",".join(f"{host.name}=http://{host.address}:2380" for host in hosts)

    def on(host: RemoteHost) -> None:
        options = {
            "NAME": host.name,
            "LISTEN_CLIENT_URLS": "http://0.0.0.0:2379",
            "ADVERTISE_CLIENT_URLS": f"http://{host.address}:2379",
            "LISTEN_PEER_URLS": f"http://{host.address}:2380",
            "INITIAL_ADVERTISE_PEER_URLS": f"http://{host.address}:2380",
            "INITIAL_CLUSTER": cluster,
            "HEARTBEAT_INTERVAL": "500",
            "ELECTION_TIMEOUT": "5000",
        }
        host.put("".join(f'ETCD_{name}="{value}"\n' for name, value in options.items()).encode(), "/etc/default/etcd")
        for path in folder.glob("*.deb"):
            host.put(path.read_bytes(), f"/root/{path.name}", timeout_s=300)
        # The members wait for each other, so that a start that is waited for would not end on the first one.
        host.run("systemctl mask --runtime etcd.service && dpkg --force-confold -i /root/*.deb", timeout_s=600)
        host.run("systemctl unmask --runtime etcd.service && systemctl start --no-block etcd.service", timeout_s=120)

    on_all(hosts, on).require("installing etcd")
    deadline_s = time.monotonic() + BACK_S
    while not all(runs(host) for host in hosts) and time.monotonic() < deadline_s:
        time.sleep(1.0)


def attached(hosts: Sequence[RemoteHost], folder: Path) -> None:
    """Run a campaign on the units, and check that its kills lasted and that it left no trace."""
    before = {host.name: shown(host, "MainPID") for host in hosts}
    check("the unit runs on each machine", all(runs(host) for host in hosts))
    code, run = tri(folder, "holds.yaml")
    verdict = read(run / "verdict.json")
    check(
        f"the campaign is valid, and it exits with 0 (it exits with {code})",
        (code, verdict.get("verdict")) == (0, "valid"),
    )
    kept = [path for path in run.rglob("journal.log") if b"etcd" in path.read_bytes()]
    check(f"the journals of {len(kept)} units are in the run's folder", len(kept) == len(hosts))
    for host in hosts:
        killed = host.name in ("n1", "n3")
        same = shown(host, "MainPID") == before[host.name]
        check(
            f"{host.name}: the unit runs, {'as another process' if killed else 'as the same process'}",
            runs(host) and same != killed,
        )
    untouched(hosts)


def harness_killed(hosts: Sequence[RemoteHost], folder: Path) -> None:
    """Kill the harness while a unit is kept down: the watchdog ends the fault, and the next run removes the drop-in."""
    words = [sys.executable, "-m", "tribulation.harness.cli", "run", "killed.yaml"]
    victim = next(host for host in hosts if host.name == "n2")
    began_s = time.monotonic()
    with (folder / "killed.log").open("wb") as said:
        process = subprocess.Popen(words, cwd=folder, stdout=said, stderr=said, start_new_session=True)
    try:
        while runs(victim) and process.poll() is None and time.monotonic() < began_s + RUN_S:
            time.sleep(0.5)
        time.sleep(5.0)
        check("a kill lasts, although systemd starts the unit again", not runs(victim) and process.poll() is None)
    finally:
        kill(process)
    killed_s = time.monotonic()
    while not runs(victim) and time.monotonic() < killed_s + DOWN_S:
        time.sleep(0.5)
    check(
        f"without the harness the unit runs again after {time.monotonic() - killed_s:.0f} s (lease {LEASE_S:g} s)",
        runs(victim),
    )
    code, _ = tri(folder, "calm.yaml")
    check(f"the next run is valid (it exits with {code})", code == 0)
    untouched(hosts)


def untouched(hosts: Sequence[RemoteHost]) -> None:
    for host in hosts:
        left = host.run(f"ls -d {DROP_IN} /var/tmp/tribulation 2>/dev/null; nft list tables; true").stdout.split()
        check(f"{host.name}: no drop-in, folder or rule is left {left or ''}", not left)
        check(f"{host.name}: systemd has the unit's own settings", shown(host, "Restart") != "always")


def runs(host: RemoteHost) -> bool:
    return shown(host, "ActiveState") == "active"


def shown(host: RemoteHost, name: str) -> str:
    return host.run(["systemctl", "show", "--property", name, "--value", UNIT], timeout_s=60).stdout.strip()


def tri(folder: Path, campaign: str) -> tuple[int, Path]:
    """Run a campaign in `folder`; return the exit code and the run's folder."""
    words = [sys.executable, "-m", "tribulation.harness.cli", "run", campaign]
    print(f"$ tri run {campaign}", flush=True)
    code = ended_with(subprocess.Popen(words, cwd=folder), RUN_S)
    return code, folder / "runs" / f"unit-{campaign.removesuffix('.yaml')}" / "latest"


def read(path: Path) -> Mapping[str, object]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


if __name__ == "__main__":
    sys.exit(main())
