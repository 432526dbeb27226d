"""Attacks on a cluster that must go on: kills, damaged files, hostile connections; as root.

    python -P benchmarks/hostile/hostile.py kills [--count 200]            kill -9 under load: no acknowledged write is lost
    python -P benchmarks/hostile/hostile.py damages [--count 100]          so many damages to every file of one node of three
    python -P benchmarks/hostile/hostile.py connections [--count 2000]     of five kinds, during a campaign on local hosts that stays valid

Each prints one JSON document, and ends with 1 when something did not hold.

`kills` and `connections` are runs of `tri run`, judged by its checkers. `damages` runs three node processes: one is killed, one of its files is
damaged, it is started again. Right is that it refuses with an exit code of its own and a hint in its words, or serves, and comes to the state of the
others; either way the others have everything that was acknowledged.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

# ruff: noqa: E402
from benchmarks.soak.processes import Process, watched
from tests.node.fuzz.processes import NODES, Processes
from tests.node.runtime.one_node import wait_for
from tribulation.node.config.cluster import MembershipConfig
from tribulation.node.core import core as _core  # noqa: F401 - loaded before the forks
from tribulation.node.runtime.loop import loop as _loop  # noqa: F401
from tribulation.node.runtime.process import boot
from tribulation.node.wire import FrameError

Json = dict[str, Any]
RUN_S = 3600.0
REFUSALS = (2, 3, 4)
WORKLOADS = """\
workloads:
  - register: {keys: 8, clients: 6, rate: 80/s}
  - set: {clients: 2, rate: 20/s}
"""
HEAD = """\
name: hostile
hosts: {{provider: local, nodes: {nodes}}}
system: {{name: reference, timing: fast, snapshot_threshold: 500, membership: {{}}}}
duration: {load_s}s
settle: 5s
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["kills", "damages", "connections"])
    parser.add_argument("--count", type=int)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    asked = parser.parse_args()
    play, count = {"kills": (kills, 200), "damages": (damages, 100), "connections": (connections, 2000)}[asked.what]
    with tempfile.TemporaryDirectory(prefix="tri-hostile-", dir="/var/tmp") as place:
        found = play(Path(place), asked.count or count, asked.seed)
    print(json.dumps({"what": asked.what, "seed": asked.seed, **found}, indent=1))
    return 1 if found["wrong"] else 0


def kills(place: Path, count: int, seed: int) -> Json:
    """Half of them of the leader, half of a node that is up."""
    every_s, half = 3, count // 2
    lanes = "".join(
        f"  - kill: {{target: {target}, after: {after}, every: {every_s}s, restart_after: 900ms, times: {half}, name: {name}, overlap: true}}\n"
        for target, after, name in (("leader", "3s", "leaders"), ("one", "4500ms", "others"))
    )
    campaign = HEAD.format(nodes=5, load_s=every_s * half + 10) + WORKLOADS + "faults:\n" + lanes
    with _run(place, campaign, seed) as run:
        code = run.wait(RUN_S)
    return _judged(place, code)


def connections(place: Path, count: int, seed: int) -> Json:
    """Judge a run of three nodes, each of which gets a third of `count` hostile connections from its own network."""
    campaign = HEAD.format(nodes=3, load_s=max(20, count // 15)) + WORKLOADS
    with _run(place, campaign, seed) as run:
        wait_for(lambda: len(_nodes(run.pid)) == 3 or run.poll() is not None, "the nodes", 120.0)
        time.sleep(5.0)
        before = {node.pid: node.rss_bytes for node in _nodes(run.pid)}
        attackers = [_attacker(node, count // 3 + 1, seed + number) for number, node in enumerate(_nodes(run.pid))]
        said = Counter[str]()
        for attacker in attackers:
            said.update(json.loads(attacker.communicate(timeout=RUN_S)[0] or "{}"))
        during = {node.pid: node.rss_bytes for node in _nodes(run.pid)}
        code = run.wait(RUN_S)
    found = _judged(place, code)
    grown = {pid: during.get(pid, 0) - rss for pid, rss in before.items()}
    if before.keys() != during.keys():
        found["wrong"].append(f"processes of nodes were {sorted(before)}, and are {sorted(during)}")
    return {
        **found,
        "connections": sum(said.values()),
        "ended": dict(sorted(said.items())),
        "grown_kib": [n >> 10 for n in grown.values()],
    }


def _attacker(node: Process, count: int, seed: int) -> subprocess.Popen[str]:
    address = _address(node.pid)
    arguments = [address, "10000", str(MembershipConfig().udp_port), str(count), str(seed)]
    inside = [
        "nsenter",
        "-t",
        str(node.pid),
        "-n",
        "--",
        sys.executable,
        "-P",
        str(ROOT / "benchmarks/hostile/attacker.py"),
    ]
    return subprocess.Popen([*inside, *arguments], stdout=subprocess.PIPE, text=True)


def _address(pid: int) -> str:
    done = subprocess.run(
        ["nsenter", "-t", str(pid), "-n", "--", "ip", "-j", "-4", "address"], capture_output=True, check=True
    )
    found = [info["local"] for link in json.loads(done.stdout) for info in link["addr_info"]]
    return next(str(address) for address in found if not address.startswith("127."))


def _nodes(harness: int) -> list[Process]:
    return sorted((each for each in watched(harness) if each.role == "node"), key=lambda each: each.host)


def _run(place: Path, campaign: str, seed: int) -> subprocess.Popen[bytes]:
    (place / "hostile.yaml").write_text(campaign)
    command = [
        sys.executable,
        "-m",
        "tribulation.harness.cli",
        "run",
        "hostile.yaml",
        "--seed",
        str(seed),
        "--runs",
        "runs",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TRI_LABS": str(place / "labs")}
    with open(place / "out", "wb") as out:
        return subprocess.Popen(command, cwd=place, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out)


def _judged(place: Path, code: int) -> Json:
    said = (place / "out").read_text(errors="replace")
    wrong = [] if code == 0 else [f"exit code {code}: {said[-3000:]}"]
    folder = next((place / "runs").iterdir(), None) if (place / "runs").exists() else None
    facts = json.loads((folder / "run.json").read_text()) if folder else {}
    lines = [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()] if folder else []
    phases = Counter(f"{line.get('kind')} {line.get('phase')}" for line in lines)
    return {
        "exit_code": code,
        "verdict": said.strip().splitlines()[-12:],
        "ledger": phases,
        "errors": facts.get("errors"),
        "wrong": wrong,
    }


def damages(place: Path, count: int, seed: int) -> Json:
    draws, outcomes, wrong = Random(seed), Counter[str](), list[str]()
    with WithForks(
        place,
        snapshot_threshold=50,
        memory={"delta_every": 10, "sync": "continuous"},
        timing="fast",
        record_inputs=True,
    ) as cluster:
        session = cluster.ask("n1", open=True)["session"]
        for seq in range(1, 200):
            cluster.ask("n1", session=session, seq=seq, ops=[["w", f"k{seq % 20}", seq]])
            if seq % 5 == 0:
                cluster.ask("n2", memory="change", kind="fact", record=f"r{seq}", fields={"concept": f"c{seq}"})
        cluster.agree()
        wait_for(lambda: len({_memory(cluster, name) for name in NODES}) == 1, "one agent memory", 60.0)
        cluster.kill("n2")
        good = place / "good"
        shutil.copytree(place / "n2", good)
        names = sorted(str(path.relative_to(good)) for path in good.rglob("*") if path.is_file())
        for name in names:
            for number in range(count):
                shutil.rmtree(place / "n2")
                shutil.copytree(good, place / "n2")
                what = _damage(place / "n2" / name, draws)
                try:
                    outcome = _start(cluster, place)
                except (AssertionError, OSError, FrameError, KeyError) as error:
                    outcome = f"WRONG: {error}"[:2000]
                if outcome.startswith("WRONG"):
                    wrong.append(f"{name}, {what}: {outcome}")
                outcomes[f"{name}: {outcome[:60] if outcome.startswith('WRONG') else outcome}"] += 1
                cluster.forget("n2")
                if number == 0:
                    cluster.ask("n1", session=session, seq=1000 + len(outcomes), ops=[["w", "further", number]])
            print(
                name,
                {key: value for key, value in outcomes.items() if key.startswith(f"{name}: ")},
                file=sys.stderr,
                flush=True,
            )
        (held,) = cluster.ask("n1", ops=[["r", "k19"]])["results"]
        wrong += [] if held == 199 else [f"k19 is {held}, and 199 was acknowledged"]
    return {"files": len(names), "outcomes": dict(sorted(outcomes.items())), "wrong": wrong}


def _memory(cluster: Processes, name: str) -> str:
    return str(cluster.ask(name, memory="digest")["digest"])


class Forked:
    """A node in a process forked from this one, which has all modules: to load them is most of what a start costs."""

    def __init__(self, home: Path) -> None:
        self._code: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                os.dup2(os.open(home / "out", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644), 1)
                os.dup2(1, 2)
                code = boot.main(["--config", str(home / "config.json")])
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)

    def poll(self) -> int | None:
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self, timeout_s: float) -> None:
        wait_for(lambda: self.poll() is not None, "the process to end", timeout_s)


class WithForks(Processes):
    """Cluster of three nodes, one of which is damaged again and again."""

    def _process(self, name: str) -> Any:
        return Forked(self._directory / name) if name == "n2" else super()._process(name)


def _damage(path: Path, draws: Random) -> str:
    data = bytearray(path.read_bytes())
    what = draws.choice(["flip", "flip", "cut", "zeros", "garbage", "insert", "empty"])
    at, size = draws.randrange(len(data) + 1), draws.randrange(1, 64)
    if what == "flip" and data:
        data[at % len(data)] ^= 1 << draws.randrange(8)
    elif what == "cut":
        del data[at:]
    elif what in ("zeros", "garbage"):
        data[at : at + size] = bytes(size) if what == "zeros" else draws.randbytes(size)
    elif what == "insert":
        data[at:at] = draws.randbytes(size)
    else:
        data.clear()
    path.write_bytes(data)
    return f"{what} at byte {at} of {len(data)}"


def _start(cluster: Processes, place: Path) -> str:
    """Start the damaged node, and return how that ended, in words."""
    (place / "n2" / "ready").unlink(missing_ok=True)
    began = (place / "n2" / "out").stat().st_size if (place / "n2" / "out").exists() else 0
    process = cluster.start_again("n2")
    wait_for(
        lambda: process.poll() is not None or (place / "n2" / "ready").exists(), "the node to serve or to end", 60.0
    )
    code = process.poll()
    if code is None:
        if not cluster.answers("n2"):
            return "serves elsewhere, or as another"
        cluster.agree()
        wait_for(lambda: len({_memory(cluster, name) for name in NODES}) == 1, "one agent memory", 60.0)
        return "serves, in the state of the others"
    log = place / "n2" / "node.log"
    said = (place / "n2" / "out").read_bytes()[began:] + (log.read_bytes()[-3000:] if log.exists() else b"")
    if code not in REFUSALS or b"hint: " not in said or b"Traceback" in said[-3000:]:
        return f"WRONG: exit code {code}: {said[-1500:].decode(errors='replace')}"
    return f"refuses with {code}"


if __name__ == "__main__":
    sys.exit(main())
