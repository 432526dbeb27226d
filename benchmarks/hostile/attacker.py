"""Hostile connections to one node, of five kinds, one after the other from several threads; `hostile.py` runs it in a host's network.

    python -P benchmarks/hostile/attacker.py HOST PORT UDP_PORT COUNT SEED

    garbage    random bytes, other protocols
    slow       a hello, and then a byte now and then
    half       a header that promises more than comes, and silence
    extremes   a client's requests at and past every bound
    idle       a hello, and nothing more

With each go three datagrams: garbage, and JSON under a right checksum. Prints what became of them as JSON.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from random import Random
from zlib import crc32

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tribulation.node.core.interface.datagrams import MAGIC as DATAGRAM
from tribulation.node.core.interface.datagrams import VERSION as DATAGRAM_VERSION
from tribulation.node.wire import HEADER, MAGIC, MAX_PAYLOAD, VERSION, Kind, encode

KINDS = ("garbage", "slow", "half", "extremes", "idle")
HOLD_S = 4.0
THREADS = 40
HELLO = encode(Kind.HELLO, {"cluster": "reference", "role": "client", "name": "x", "incarnation": 1})
_BIG = "9" * 19
EXTREMES = [
    b'{"id":"' + b"i" * (MAX_PAYLOAD - 9) + b'"}',
    b'{"id":"' + "é".encode() * 500_000 + b'"}',
    b"[" * 100_000,
    b'{"id":1,"ops":' + b"[" * 62 + b"]" * 62 + b"}",
    b'{"id":1,"ops":' + b"[" * 978 + b"]" * 978 + b"}",
    b'{"id":1,"ops":[["w","k",' + b"9" * 4300 + b"]]}",
    b'{"id":1,"ops":[["w","k",1e308]],"session":%s,"seq":%s}' % (_BIG.encode(), _BIG.encode()),
    b'{"id":1,"admin":"status"}' * 3,
    b'{"id":1,"admin":"voters","voters":{"n1":-1,"n2":1e9}}',
    b'{"id":1,"ops":[["r","\\ud800"]],"level":"stale"}',
    b'{"id":null,"open":true}',
    b"\xff\xfe{\x00}\x00",
    b'{"id":1,"deadline_ms":%s,"ops":[["r","k"]]}' % _BIG.encode(),
]


def attack(address: tuple[str, int], kind: str, random: Random) -> str:
    """One connection; returns how it ended."""
    try:
        with socket.create_connection(address, timeout=5.0) as sock:
            if kind == "garbage":
                sock.sendall(
                    random.choice(
                        [os.urandom(random.randrange(1, 4000)), b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01" * 99]
                    )
                )
            elif kind == "slow":
                until_s = time.monotonic() + HOLD_S
                for byte in HELLO + HEADER.pack(MAGIC, VERSION, Kind.REQUEST, 400) + b" " * 400:
                    sock.sendall(bytes([byte]))
                    time.sleep(0.03)
                    if time.monotonic() > until_s:
                        break
            elif kind == "half":
                sock.sendall(HELLO + HEADER.pack(MAGIC, VERSION, Kind.REQUEST, MAX_PAYLOAD) + bytes(1000))
                time.sleep(HOLD_S)
            elif kind == "extremes":
                sock.sendall(HELLO)
                for _ in range(4):
                    body = random.choice(EXTREMES)
                    sock.sendall(struct.pack(">2sBBI", MAGIC, VERSION, Kind.REQUEST, len(body)) + body)
            else:
                sock.sendall(HELLO)
                time.sleep(HOLD_S)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(1 << 16):
                pass
        return "closed"
    except OSError as error:
        return type(error).__name__


def datagrams(address: tuple[str, int], random: Random) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        bodies = [
            b"[" * 1300,
            b'["reference","n2",%s,"swim.ping",[1,2,[]]]' % _BIG.encode(),
            os.urandom(random.randrange(1, 1400)),
        ]
        for body in bodies:
            try:
                sock.sendto(struct.pack(">4sBI", DATAGRAM, DATAGRAM_VERSION, crc32(body)) + body, address)
            except OSError:
                continue


def main() -> None:
    host, (port, udp_port, count, seed) = sys.argv[1], map(int, sys.argv[2:6])
    random, lock, ended = Random(seed), threading.Lock(), Counter[str]()
    left = [KINDS[number % len(KINDS)] for number in range(count)]

    def work(own: Random) -> None:
        while True:
            with lock:
                if not left:
                    return
                kind = left.pop()
            how = attack((host, port), kind, own)
            datagrams((host, udp_port), own)
            with lock:
                ended[f"{kind}: {how}"] += 1

    threads = [threading.Thread(target=work, args=(Random(random.random()),)) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(dict(sorted(ended.items()))))


if __name__ == "__main__":
    main()
