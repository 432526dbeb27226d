"""Kill nodes again and again under load; no acknowledged write may be lost.

    python -m tests.harness.systems.kill_loop 200 [SEED]

Each writer appends numbers to a list of its own, so that a lost write and one that took effect twice both show in one final read.
"""

from __future__ import annotations

import random
import sys
import tempfile
import threading
import time
from pathlib import Path

from tribulation.harness.systems.reference.client import ReferenceClient

from .cluster import Cluster, Op

WRITERS = 6


class Writer(threading.Thread):
    """Appends until asked to stop; remembers what was acknowledged and what is in doubt."""

    def __init__(self, cluster: Cluster, number: int, stopping: threading.Event) -> None:
        super().__init__(daemon=True)
        self.key = f"list-{number}"
        self.acknowledged: list[int] = []
        self.doubtful: set[int] = set()
        self._cluster = cluster
        self._stopping = stopping
        self._random = random.Random(number)

    def run(self) -> None:
        value = 0
        client: ReferenceClient | None = None
        while not self._stopping.is_set():
            if client is None:
                client = ReferenceClient("test")
                try:
                    client.open(self._random.choice(self._cluster.hosts).name, self._cluster.dial, 1.0)
                except OSError:
                    client = None
                    time.sleep(0.01)
                    continue
            value += 1
            outcome = client.invoke(Op("append", self.key, value), 2.0)
            if outcome.type == "ok":
                self.acknowledged.append(value)
                continue
            if outcome.type == "info":
                self.doubtful.add(value)
            client.close()
            client = None

    def judge(self, final: list[int]) -> None:
        assert len(set(final)) == len(final), f"{self.key}: a write took effect twice"
        lost = [value for value in self.acknowledged if value not in set(final)]
        assert not lost, f"{self.key}: acknowledged writes are lost: {lost[:10]}"
        extra = set(final) - set(self.acknowledged) - self.doubtful
        assert not extra, f"{self.key}: refused writes took effect: {sorted(extra)[:10]}"
        assert final == sorted(final), f"{self.key}: writes of one client changed their order"


def kill_under_load(cluster: Cluster, kills: int, seed: int) -> list[Writer]:
    random_ = random.Random(seed)
    stopping = threading.Event()
    writers = [Writer(cluster, number, stopping) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    names = [host.name for host in cluster.hosts]
    done = 0
    while done < kills:
        # Mostly one, now and then a majority or everybody at once.
        victims = random_.sample(names, random_.choices([1, 2, 3], [6, 2, 1])[0])
        cluster.kill(*victims)
        time.sleep(random_.uniform(0, 0.3))
        cluster.restart(*victims)
        time.sleep(random_.uniform(0, 0.8))
        done += len(victims)
    stopping.set()
    for writer in writers:
        writer.join(10)
    for writer in writers:
        writer.judge(cluster.until_ok(Op("read", writer.key, workload="set"), lambda: random_.choice(names)).value)
    return writers


def main() -> None:
    kills = int(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(2**32)
    print(f"seed {seed}; repeat with: python -m tests.harness.systems.kill_loop {kills} {seed}", flush=True)
    started_s = time.monotonic()
    with tempfile.TemporaryDirectory() as directory, Cluster(Path(directory), 3) as cluster:
        writers = kill_under_load(cluster, kills, seed)
    acknowledged = sum(len(writer.acknowledged) for writer in writers)
    doubtful = sum(len(writer.doubtful) for writer in writers)
    print(
        f"{kills} kills in {time.monotonic() - started_s:.0f} s: {acknowledged} writes acknowledged, none lost; {doubtful} in doubt"
    )


if __name__ == "__main__":
    main()
