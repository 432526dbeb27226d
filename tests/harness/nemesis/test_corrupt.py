"""Bits that flip under right checksums: the kernel hands them to the application, on real hosts over TCP and UDP, and nothing of it is left afterwards."""

from __future__ import annotations

import struct
from pathlib import Path
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tests.harness.nemesis.lab_tools import both_ways, fault, running, six
from tests.harness.nemesis.plain_service import Supervised
from tribulation.harness.agent.network.shaping import TCP, UDP, with_flipped_data
from tribulation.harness.hosts.local import LocalProvider

ECHO = """
import socket
tcp = socket.create_server(("::", 7791), family=socket.AF_INET6, dualstack_ipv6=True); print("ready", flush=True)
while True:
    one, _ = tcp.accept()
    with one:
        while data := one.recv(1 << 16): one.sendall(data)
"""
ASK = """
import socket, sys
one = socket.create_connection((sys.argv[1], 7791), timeout=20); one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
wrong = 0
for n in range(200):
    sent = b"%08d" % n * 8; one.sendall(sent); came = b""
    while len(came) < 64: came += one.recv(64 - len(came))
    wrong += came != sent
print(wrong)
"""


def ones_sum(data: bytes) -> int:
    total = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def pseudo(packet: bytes, at: int, protocol: int) -> bytes:
    addresses = packet[12:20] if packet[0] >> 4 == 4 else packet[8:40]
    return addresses + struct.pack(">HH", protocol, len(packet) - at)


def packet_of(version: int, protocol: int, data: bytes, has_checksum: bool = True) -> tuple[bytes, int]:
    """A whole packet with a right checksum, and where its transport's header begins."""
    header = bytes([0, 80, 1, 2, *bytes(8), 5 << 4, 16, 0, 9, 0, 0, 0, 0]) if protocol == TCP else b""
    header = header or struct.pack(">HHHH", 80, 90, 8 + len(data), 0)
    length = len(header) + len(data)
    if version == 4:
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + length, 7, 0, 64, protocol, 0) + b"\x0a\0\0\1\x0a\0\0\2"
    else:
        head = struct.pack(">IHBB", 6 << 28, length, protocol, 64) + bytes(range(32))
    at, place = len(head), 16 if protocol == TCP else 6
    packet = bytearray(head + header + data)
    if has_checksum:
        check = ~ones_sum(pseudo(bytes(packet), at, protocol) + bytes(packet[at:])) & 0xFFFF
        packet[at + place : at + place + 2] = (check or 0xFFFF).to_bytes(2, "big")
    return bytes(packet), at


@given(st.sampled_from([4, 6]), st.sampled_from([TCP, UDP]), st.binary(min_size=1, max_size=80), st.integers(0, 2**32))
def test_one_bit_of_the_data_flips_and_the_checksum_is_right(
    version: int, protocol: int, data: bytes, seed: int
) -> None:
    packet, at = packet_of(version, protocol, data)
    changed = with_flipped_data(packet, Random(seed))
    start = len(packet) - len(data)
    flipped = [a ^ b for a, b in zip(packet[start:], changed[start:], strict=True)]
    assert sum(each.bit_count() for each in flipped) == 1
    assert ones_sum(pseudo(changed, at, protocol) + changed[at:]) == 0xFFFF
    place = at + (16 if protocol == TCP else 6)
    assert packet[:place] + packet[place + 2 : start] == changed[:place] + changed[place + 2 : start]


@given(st.binary(max_size=120), st.integers(0, 2**32))
def test_whatever_comes_keeps_its_length(packet: bytes, seed: int) -> None:
    assert len(with_flipped_data(packet, Random(seed))) == len(packet)


def test_what_has_no_data_no_checksum_or_is_a_fragment() -> None:
    for protocol in (TCP, UDP):
        empty, _ = packet_of(4, protocol, b"")
        assert with_flipped_data(empty, Random(1)) == empty
    bare, at = packet_of(4, UDP, b"data", has_checksum=False)
    changed = with_flipped_data(bare, Random(1))
    assert changed != bare and changed[at + 6 : at + 8] == b"\0\0", "without a checksum there is none to carry along"
    whole, _ = packet_of(4, UDP, b"data")
    fragment = whole[:6] + b"\x20\0" + whole[8:]
    assert with_flipped_data(fragment, Random(1)) == fragment


def test_applications_on_hosts_get_other_bytes_than_were_sent(
    lab: LocalProvider, service: Supervised, tmp_path: Path
) -> None:
    n1, n2, _ = lab.hosts
    server = n2.start([n2.python, "-c", ECHO])
    try:
        assert server.read_line(10) == "ready"

        def ask(address: str) -> int:
            return int(n1.run([n1.python, "-c", ASK, address]).stdout)

        with running(lab, service, tmp_path / "ledger.jsonl") as injector:
            assert ask(n2.address) == 0
            corrupt = fault("corrupt", edges=both_ways(("n1", "n2")), flip_ppm=200_000)
            seen = injector.inject(corrupt)
            assert seen.verified and seen.observed["edges"] == sorted(both_ways(("n1", "n2"))), seen
            assert seen.observed["damaged"] > 0 and "netem" not in seen.observed["backend"]
            assert ask(n2.address) > 20 and ask(six(n2)) > 20, (
                "of 200 answers over links of which one packet in five changes"
            )
            shaped = injector.inject(link := fault("link", edges=[["n1", "n2"]], delay_ns=5_000_000))
            assert not shaped.verified and shaped.observed["hidden_by"] == [corrupt.intent.id]
            assert injector.heal(link).verified
            cut = fault("cut", edges=[["n1", "n2"]])
            assert injector.inject(cut).verified and injector.heal(cut).verified, "no digit of an epoch was believed"
            healed = injector.heal(corrupt)
            assert healed.verified and healed.observed["edges"] == []
            assert ask(n2.address) == 0
            assert injector.heal_all().verified
    finally:
        server.close()
