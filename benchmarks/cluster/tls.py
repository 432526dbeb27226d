"""Cost of certificates: requests of three real node processes on loopback, with and without TLS.

    python -P benchmarks/cluster/tls.py [--seconds 5] [--clients 8] [--rounds 3]
    python -P benchmarks/cluster/tls.py --bare                                       processor time of a frame and of a handshake, without a node

Rounds of both kinds alternate, so that both meet the same machine. Writes are committed by two of three nodes; reads are stale ones, of which the
connection is nearly all the cost. A connection is opened, greeted and closed. Of each: operations a second, latencies (p50, p99), and the asked
node's processor time for one, which a busy machine does not change.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:] = [
    str(ROOT),
    *(entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).resolve().parent),
]

# ruff: noqa: E402
from tests.harness.systems.cluster import Cluster
from tribulation.harness.systems.base import Op
from tribulation.harness.systems.reference.authority import Authority, write_secret
from tribulation.harness.systems.reference.client import ReferenceClient
from tribulation.node.runtime.network.connection import Connection
from tribulation.node.runtime.options import TlsFiles
from tribulation.node.runtime.security.authentic import Signer, Verifier
from tribulation.node.runtime.security.identity import Identity
from tribulation.node.runtime.security.tls import Credentials, Session, load_credentials
from tribulation.node.wire import Kind, encode

KINDS = ("write", "read", "connect")
WAYS = ("plain", "tls")


@contextmanager
def cluster(tls: bool) -> Iterator[Cluster]:
    with (
        tempfile.TemporaryDirectory(prefix="tls-") as directory,
        Cluster(Path(directory), 3, tls=tls, timing="default", record_inputs=False) as found,
    ):
        yield found


def cpu_s(found: Cluster, node: str) -> float:
    """Processor time of the node so far."""
    fields = Path(f"/proc/{found.service.pid(found.host(node))}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(found: Cluster, kind: str, clients: int, seconds: float) -> tuple[list[float], float]:
    """Latencies in s of what `clients` did, each for itself, in `seconds`; the leader's processor time meanwhile."""
    latencies: list[float] = []
    leader = found.leader()
    before_s = cpu_s(found, leader)
    end_s = time.monotonic() + seconds

    def go_on(number: int) -> None:
        client = ReferenceClient("test", tls=found.service.client_tls)
        client.open(leader, found.dial, 10.0)
        steps: Mapping[str, Callable[[], Any]] = {
            "write": lambda: client.invoke(Op("write", f"k{number}", "x" * 100), 10.0),
            "read": lambda: client.invoke(Op("read", f"k{number}", level="stale"), 10.0),
            "connect": lambda: client.open(leader, found.dial, 10.0),
        }
        while (began_s := time.monotonic()) < end_s:
            steps[kind]()
            latencies.append(time.monotonic() - began_s)
            if kind == "connect":
                time.sleep(0.02 * clients)  # Within what a node lets one address do.
        client.close()

    threads = [threading.Thread(target=go_on, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return latencies, cpu_s(found, leader) - before_s


def figures(latencies: list[float], spent_s: float, seconds: float) -> dict[str, float]:
    cuts = statistics.quantiles(latencies, n=100)
    return {
        "per_s": round(len(latencies) / seconds, 1),
        "p50_ms": round(cuts[49] * 1000, 3),
        "p99_ms": round(cuts[98] * 1000, 3),
        "cpu_us": round(spent_s / len(latencies) * 1e6, 1),
    }


def _credentials() -> Credentials:
    """Return the credentials of one node, from files that are gone afterwards."""
    authority = Authority.new("test")
    with tempfile.TemporaryDirectory() as directory:
        files = TlsFiles(*(Path(directory) / name for name in TlsFiles.__dataclass_fields__))
        issued = authority.node("n1")
        for path, content in (
            (files.ca, authority.certificate),
            (files.certificate, issued.certificate),
            (files.key, issued.key),
        ):
            write_secret(path, content)
        return load_credentials(files, Identity("test", "node", "n1"), in_time=True)


def _pair(selector: selectors.BaseSelector, credentials: Credentials | None) -> tuple[Connection, Connection]:
    """Two connected ends, with their handshake done when there are `credentials`."""
    sessions: list[Session | None] = [None, None]
    if credentials is not None:
        sessions = [
            Session(credentials.dialling, False, lambda _: None),
            Session(credentials.accepting, True, lambda _: None),
        ]
    ends = [
        Connection(sock, selector, None, 1 << 23, 0, session)
        for sock, session in zip(socket.socketpair(), sessions, strict=True)
    ]
    for end in ends:
        end.sock.setblocking(False)
    if credentials is not None:
        ends[0].shake()
        while not all(end.tls is not None and end.tls.established for end in ends):
            for end in reversed(ends):
                end.receive(0)
    return ends[0], ends[1]


def _each_us(count: int, act: Callable[[], object]) -> float:
    began_s = time.process_time()
    for _ in range(count):
        act()
    return round((time.process_time() - began_s) / count * 1e6, 1)


def bare(frames: int = 20_000, handshakes: int = 200) -> dict[str, float]:
    """Processor time in µs: of a frame of 200 bytes from one `Connection` to another, both sides together, alone or 16 at once; of a handshake, and
    of signing and verifying a datagram.
    """
    credentials, selector = _credentials(), selectors.DefaultSelector()
    found: dict[str, float] = {}
    data = encode(Kind.REQUEST, {"id": 1, "ops": [["w", "k", "x" * 150]]})
    for way in WAYS:
        one, other = _pair(selector, credentials if way == "tls" else None)
        for batch in (1, 16):

            def carry(one: Connection = one, other: Connection = other, batch: int = batch) -> None:
                for _ in range(batch):
                    one.queue(data)
                one.flush()
                other.receive(0)
                while other.next_frame(0) is not None:
                    pass

            found[f"{way} frame, {batch} at once"] = round(_each_us(frames // batch, carry) / batch, 1)
        one.close()
        other.close()

    def handshake() -> None:
        for end in _pair(selector, credentials):
            end.close()

    found["handshake"] = _each_us(handshakes, handshake)
    keys, signer, verifier = (b"k" * 32,), Signer("test", "n1", 1), Verifier("test", "n2")
    found["datagram of 1400 bytes signed and verified"] = _each_us(
        frames, lambda: verifier.open(keys, signer.sign(keys, b"x" * 1400))
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bare", action="store_true")
    asked = parser.parse_args()
    if asked.bare:
        print(json.dumps(bare(), indent=1))
        return
    taken: dict[tuple[str, str], list[float]] = {(way, kind): [] for way in WAYS for kind in KINDS}
    spent_s = dict.fromkeys(taken, 0.0)
    for _ in range(asked.rounds):
        for way in WAYS:
            with cluster(way == "tls") as running:
                for kind in KINDS:
                    latencies, cpu = measure(running, kind, asked.clients, asked.seconds)
                    taken[way, kind] += latencies
                    spent_s[way, kind] += cpu
    seconds = asked.rounds * asked.seconds
    print(json.dumps({" ".join(what): figures(taken[what], spent_s[what], seconds) for what in taken}, indent=1))


if __name__ == "__main__":
    main()
