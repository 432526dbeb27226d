"""The harness is killed with SIGKILL in the middle of each network and clock fault: how long until an inventory's hosts are whole again?

    python -P benchmarks/hostile/heals_after_kill.py INVENTORY [--only cut clock] [--json]

For each fault a campaign of that fault alone is run with `tri run` until the ledger says that it was seen in force; then the process is killed, and
the hosts are looked at with other eyes than the agent's: their firewall tables, queueing disciplines and clocks, and what they say is in force. Exit
code 1 when a host was not whole within the lease and 5 s, 0 when all were; faults that these hosts cannot do are named. Removes what it left at the
end.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

# ruff: noqa: E402
from tribulation.harness.hosts.parallel import on_all
from tribulation.harness.hosts.ssh.provider import SshProvider
from tribulation.harness.hosts.ssh.remote import RemoteHost
from tribulation.harness.nemesis.agent_client.heal import heal_each
from tribulation.harness.nemesis.agent_client.shipping import agent_directory, remove
from tribulation.harness.nemesis.inject.injector import LEASE_S
from tribulation.harness.systems.reference.system import ReferenceService

SLACK_S = 5.0
IN_FORCE_S = 600.0
LOOK_S = 0.2
CLOCK_S = 2.0
"""By how much a clock may be off and still be called right: looking takes its time."""

FAULTS: Mapping[str, Mapping[str, Any]] = {
    "cut": {"partition": {"shape": "every-link"}},
    "delay": {"link": {"shape": "every-link", "delay": "50ms"}},
    "loss": {"link": {"shape": "every-link", "loss": "20%"}},
    "duplicate": {"link": {"shape": "every-link", "duplicate": "20%"}},
    "rate": {"link": {"shape": "every-link", "rate": "1mbit"}},
    "clog": {"clog": {"shape": "isolate-one"}},
    "flap": {"flap": {"shape": "isolate-one"}},
    "reset": {"reset": {"shape": "isolate-one"}},
    "clock": {"clock": {"target": "all", "offset": "1h"}},
    "clock-drift": {"clock": {"target": "all", "drift_ppm": 100000, "monotonic": False}},
    "clock-strobe": {"clock": {"target": "all", "strobe": "10s"}},
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inventory", type=Path)
    parser.add_argument("--only", nargs="+", choices=list(FAULTS), default=list(FAULTS))
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    provider = SshProvider.from_file(asked.inventory)
    hosts = provider.up()
    try:
        whole = {host.name: look(host) for host in hosts}
        rows = [{"fault": name, **_kill_in(name, asked.inventory, hosts, whole, not asked.json)} for name in asked.only]
    finally:
        for host, error in on_all(hosts, tidy).errors.items():
            print(f"{host} is not tidy: {error}", file=sys.stderr)
        provider.close()
    if asked.json:
        print(json.dumps(rows, indent=1))
    return 0 if all(row["ok"] for row in rows) else 1


def _kill_in(
    name: str, inventory: Path, hosts: Sequence[RemoteHost], whole: Mapping[str, dict[str, Any]], verbose: bool
) -> dict[str, Any]:
    # The claim of the run that was killed last is not renewed, and no one should have to wait until that shows.
    on_all(hosts, lambda host: host.run(["rm", "-f", f"{host.directory}/claim.json"])).require("freeing the hosts")
    with tempfile.TemporaryDirectory(prefix="tribulation-kill-") as folder:
        run = start(name, inventory.resolve(), Path(folder))
        try:
            seen = await_in_force(run, Path(folder))
            if seen is not None:
                return _reported(name, {"ok": True, "not_here": seen}, verbose)
            # The look must be able to fail: some host is not whole while the fault is on.
            noticed = any(not is_whole(look(host), whole[host.name]) for host in hosts)
            run.send_signal(signal.SIGKILL)
            killed_s = time.monotonic()
            took_s = await_whole(hosts, whole, killed_s)
        finally:
            run.kill()
            run.wait()
    ok = noticed and all(took is not None and took <= LEASE_S + SLACK_S for took in took_s.values())
    return _reported(name, {"ok": ok, "noticed": noticed, "healed_s": took_s}, verbose)


def _reported(name: str, row: dict[str, Any], verbose: bool) -> dict[str, Any]:
    if verbose:
        slowest = max((took for took in row.get("healed_s", {}).values() if took is not None), default=None)
        what = f"not here: {row['not_here']}" if "not_here" in row else f"{slowest} s until healed, {row['healed_s']}"
        print(f"{name:<14}{'ok' if row['ok'] else 'FAILED':<8}{what}", flush=True)
    return row


def start(name: str, inventory: Path, folder: Path) -> subprocess.Popen[bytes]:
    (kind, fields) = next(iter(FAULTS[name].items()))
    campaign = {
        "name": f"killed-in-{name}",
        "duration": "300s",
        "workloads": [{"register": {"keys": 2, "clients": 2, "rate": "10/s"}}],
        "faults": [{kind: {**fields, "after": "1s", "for": "280s"}}],
    }
    (folder / "campaign.yaml").write_text(json.dumps(campaign))
    words = ["run", str(folder / "campaign.yaml"), "--hosts", str(inventory), "--runs", str(folder / "runs")]
    with open(folder / "said", "wb") as said:
        command = [sys.executable, "-m", "tribulation.harness.cli", *words]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(command, stdout=said, stderr=said, env=environment, start_new_session=True)


def await_in_force(run: subprocess.Popen[bytes], folder: Path) -> str | None:
    """Wait until the fault is seen in force, and return None; else return why it is not possible here."""

    def phases() -> list[str]:
        files = sorted(folder.glob("runs/**/ledger.jsonl"))
        return [json.loads(line)["phase"] for line in files[0].read_text().splitlines()[:9]] if files else []

    deadline_s = time.monotonic() + IN_FORCE_S
    while "verified" not in phases():
        said = (folder / "said").read_text(errors="replace")
        if run.poll() is not None and "cannot do" in said:
            return " ".join(said.partition("error: ")[2].split())
        if run.poll() is not None or time.monotonic() > deadline_s:
            raise SystemExit(f"no fault was in force within {IN_FORCE_S:g} s:\n{said}")
        time.sleep(LOOK_S)
    return None


def await_whole(
    hosts: Sequence[RemoteHost], whole: Mapping[str, dict[str, Any]], killed_s: float
) -> dict[str, float | None]:
    """Return by host after how many seconds it was whole; None: not within three times what it may take."""
    took_s: dict[str, float | None] = dict.fromkeys((host.name for host in hosts), None)
    while None in took_s.values() and time.monotonic() < killed_s + 3 * (LEASE_S + SLACK_S):
        left = [host for host in hosts if took_s[host.name] is None]
        for name, seen in on_all(left, look).require("looking").items():
            if is_whole(seen, whole[name]):
                took_s[name] = round(time.monotonic() - killed_s, 1)
        time.sleep(LOOK_S)
    return took_s


def look(host: RemoteHost) -> dict[str, Any]:
    """Firewall tables and queueing disciplines by name, what is said to be in force, and how far its clock is from ours."""
    sudo = " ".join(host.sudo)
    script = (
        f"{sudo} nft list tables | sort; echo ==; tc qdisc show 2>/dev/null | cut -d' ' -f2-5 | sort; echo ==; "
        f"cat '{agent_directory(host.directory)}/force.json' 2>/dev/null; echo; echo ==; date +%s.%N"
    )
    before_s = time.time()
    tables, disciplines, force, clock = host.run(script).stdout.split("==\n")
    offset_s = float(clock) - (before_s + time.time()) / 2
    return {"tables": tables, "qdisc": disciplines, "force": force.strip() in ("", "{}"), "offset_s": offset_s}


def is_whole(seen: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    same = all(seen[name] == before[name] for name in ("tables", "qdisc"))
    return same and bool(seen["force"]) and abs(seen["offset_s"] - before["offset_s"]) < CLOCK_S


def tidy(host: RemoteHost) -> None:
    heal_each([host]).require("healing")
    ReferenceService().uninstall(host)
    remove(host)
    host.run([*host.sudo, "rm", "-rf", "--", agent_directory(host.directory), f"{host.directory}/claim.json"])


if __name__ == "__main__":
    sys.exit(main())
