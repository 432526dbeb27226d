"""A cluster in a network of its own, and everything that crosses its port: `captured.py DIRECTORY tls|plain` prints, as JSON, what of the known values is found in it.

Run it in a new network namespace: it brings up loopback there and listens to it.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

from tests.harness.systems.cluster import Cluster
from tribulation.harness.systems.base import Op

KEY, VALUE, CLUSTER = "a-key-that-is-known-3c", "a-value-that-is-known-8d", '"test"'
_ALL_PROTOCOLS = 3
_TCP = 6
_ETHERNET_BYTES = 14


class Capture:
    """All TCP segments from or to `port` on loopback."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_PROTOCOLS))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
        self._socket.bind(("lo", 0))
        self._socket.settimeout(0.2)
        self._packets: list[bytes] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def of(self, port: int) -> bytes:
        """End it; what there is of this port."""
        self._ended.set()
        self._thread.join()
        self._socket.close()
        mark = port.to_bytes(2, "big")
        return b"".join(packet for packet in self._packets if mark in (_ports(packet)))

    def _read(self) -> None:
        while not self._ended.is_set():
            try:
                self._packets.append(self._socket.recv(65536))
            except TimeoutError:
                continue


def _ports(packet: bytes) -> tuple[bytes, bytes]:
    ip = packet[_ETHERNET_BYTES:]
    if len(ip) < 20 or ip[0] >> 4 != 4 or ip[9] != _TCP:
        return b"", b""
    tcp = ip[4 * (ip[0] & 15) :]
    return tcp[:2], tcp[2:4]


def main(directory: str, tls: bool) -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    capture = Capture()
    port = 0
    try:
        with Cluster(Path(directory), 3, tls=tls) as cluster:
            port = cluster.service.port
            cluster.until_ok(Op("write", KEY, VALUE), cluster.leader, 60.0)
            outcome = cluster.until_ok(Op("read", KEY), cluster.leader, 60.0)
            assert outcome.value == VALUE
    finally:
        seen = capture.of(port)
    found = [known for known in (KEY, VALUE, CLUSTER) if known.encode() in seen]
    print(json.dumps({"bytes": len(seen), "found": found}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] == "tls")
