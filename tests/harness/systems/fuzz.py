"""Garbage for the RPC port: random bytes, damaged, truncated and oversized frames, in every role.

python -m tests.harness.systems.fuzz 10000 [SEED]      # against a cluster of its own; prints the seed first
"""

from __future__ import annotations

import json
import random
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tribulation.node.wire import HEADER, Kind

from .cluster import Cluster, Op

HELLOS = [
    {"cluster": "test", "role": "client", "name": "fuzz"},
    {"cluster": "test", "role": "node", "name": "n2", "incarnation": 1},
    {"cluster": "other", "role": "client", "name": "fuzz"},
    {"cluster": "test", "role": "king", "name": 7},
    {},
]
BODIES = [
    {"id": 1, "ops": [["r", "k"]]},
    {"id": 1, "open": True},
    {"id": [], "ops": {}, "session": -1, "seq": "x", "deadline_ms": -5},
    {"id": 1, "ops": [["w", None, {}], ["cas"], []], "session": 1, "seq": 1},
    {"id": 1, "admin": "voters", "voters": {"n1": -1}},
    {"id": 1, "admin": "transfer", "to": ["n9"]},
    {"ops": [["r", "x" * 5000]], "level": "psychic", "seen": 1e300},
    ["raft.vote", 10**30, -1, "x", None],
    ["raft.append", 1, 0, 0, [[1, 1, "{"], [3, 1, "x"]], 0],
    ["raft.heartbeat", 0, 0],
    ["clients.forward", 0, 0, 0, 0, {}],
    [],
]


def garbage(random_: random.Random) -> bytes:
    """What one connection sends."""
    hello = frame_like(random_, Kind.HELLO, HELLOS[0] if random_.random() < 0.6 else random_.choice(HELLOS))
    body = random_.choice(BODIES)
    kind = Kind.MESSAGE if isinstance(body, list) else Kind.REQUEST
    shape = random_.randrange(6)
    if shape == 0:
        return random_.randbytes(random_.randrange(1, 300))
    if shape == 1:
        return hello + random_.randbytes(random_.randrange(1, 300))
    frames = hello + frame_like(random_, random_.choice([kind, random_.randrange(256)]), body)
    if shape == 2:
        return frames[: random_.randrange(1, len(frames))]
    if shape == 3:
        at = random_.randrange(len(frames))
        return frames[:at] + random_.randbytes(random_.randrange(1, 9)) + frames[at + 1 :]
    if shape == 4:
        length = random_.choice([1_048_577, 2**31, 2**32 - 1])
        return hello + HEADER.pack(b"TR", 1, kind, length) + random_.randbytes(100)
    return frames


def frame_like(random_: random.Random, kind: int, body: object) -> bytes:
    payload = json.dumps(body).encode()
    return HEADER.pack(b"TR", 1, int(kind), len(payload)) + payload


def attack(dial: Callable[[str, float], socket.socket], nodes: list[str], frames: int, seed: int) -> None:
    """Send that many pieces of garbage, each over a connection of its own, some closed politely, some reset, some left to the node."""
    random_ = random.Random(seed)
    left_open: list[socket.socket] = []
    for _ in range(frames):
        sock = dial(random_.choice(nodes), 5.0)
        try:
            sock.sendall(garbage(random_))
            if random_.random() < 0.3:
                sock.settimeout(0.02)
                sock.recv(4096)
        except OSError:
            pass  # Refused while it was still sending, or slow to answer: both are fine.
        left_open.append(sock)
        while len(left_open) > 50:
            left_open.pop(random_.randrange(len(left_open))).close()
    for sock in left_open:
        sock.close()


def main() -> None:
    frames = int(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(2**32)
    print(f"seed {seed}; repeat with: python -m tests.harness.systems.fuzz {frames} {seed}", flush=True)
    with tempfile.TemporaryDirectory() as directory, Cluster(Path(directory), 3) as cluster:
        pids = {host.name: cluster.service.pid(host) for host in cluster.hosts}
        started_s = time.monotonic()
        attack(cluster.dial, list(pids), frames, seed)
        print(f"{frames} pieces of garbage in {time.monotonic() - started_s:.1f} s")
        for name in pids:
            print(name, cluster.until_ok(Op("write", "k", name), lambda name=name: name))
        assert {host.name: cluster.service.pid(host) for host in cluster.hosts} == pids, "a node was restarted"
        print("all nodes alive and serving")


if __name__ == "__main__":
    main()
