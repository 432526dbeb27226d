"""How long clients are without a leader after `kill -9` of the leader: three real nodes on this machine, timing `fast`.

    python -P benchmarks/cluster/failover.py [--kills 20] [--json]

A client writes to a node that does not lead, one write after the other; the leader's process is killed; what counts is the time from the kill to the first
acknowledged write that began after it. The killed node is started again, and has caught up before the next kill. Wall time on a machine that others may use: read
the median, and compare runs made in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:] = [
    str(ROOT),
    *(entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).resolve().parent),
]

# ruff: noqa: E402
from tests.node.fuzz.processes import NODES, Processes
from tests.node.runtime.one_node import FrameClient


def measure(kills: int) -> list[float]:
    with tempfile.TemporaryDirectory() as folder, Processes(Path(folder), timing="fast") as cluster:
        return [_one(cluster, number) for number in range(kills)]


def _one(cluster: Processes, number: int) -> float:
    leader = _settled(cluster)
    asked = next(name for name in NODES if name != leader)
    with FrameClient(("127.0.0.1", cluster.ports[asked])) as client:
        session = client.ask({"id": 0, "open": True})["session"]
        assert _write(client, session, 1)
        os.kill(cluster.pid(leader), signal.SIGKILL)
        killed_s = time.monotonic()
        seq = 1
        while True:
            seq += 1
            if _write(client, session, seq):
                took_s = time.monotonic() - killed_s
                break
            time.sleep(0.002)
            assert time.monotonic() - killed_s < 20, "no leader within 20 s"
    cluster.kill(leader)
    cluster.start_again(leader)
    return took_s


def _write(client: FrameClient, session: int, seq: int) -> bool:
    body = {"id": seq, "session": session, "seq": seq, "deadline_ms": 5000, "ops": [["w", "k", seq]]}
    return bool(client.ask(body).get("status") == "ok")


def _settled(cluster: Processes) -> str:
    """The leader, once all three nodes follow it and have applied the same."""
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        found = [_status(cluster, name) for name in NODES]
        leaders = {status.get("leader") for status in found}
        if len(leaders) == 1 and None not in leaders and len({status["applied"] for status in found}) == 1:
            time.sleep(0.5)
            return str(found[0]["leader"])
        time.sleep(0.1)
    raise SystemExit("the nodes did not settle within 60 s")


def _status(cluster: Processes, name: str) -> dict[str, Any]:
    try:
        with FrameClient(("127.0.0.1", cluster.ports[name])) as client:
            return client.ask({"id": 1, "admin": "status"})
    except OSError:
        return {}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    took = sorted(measure(options.kills))
    found = {"kills": len(took), "p50_s": round(statistics.median(took), 3), "max_s": round(took[-1], 3)}
    print(json.dumps({**found, "all_s": [round(one, 3) for one in took]}) if options.json else found)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
