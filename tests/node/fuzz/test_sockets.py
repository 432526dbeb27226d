"""A real node, and whatever bytes may come: it goes on, no handler of its raises, and an honest client is served."""

from __future__ import annotations

import gc
import os
import socket
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.node.runtime.one_node import FrameClient, OneNode, wait_for

from . import frames

FUZZ = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "60")), deadline=None, suppress_health_check=list(HealthCheck)
)
PARTS = {"membership": {"broadcast": False}, "agents": {}, "memory": {}}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneNode]:
    with OneNode(tmp_path_factory.mktemp("node"), workers=2, **PARTS) as node:
        with node.client() as client:
            wait_for(lambda: client.ask({"id": 0, "admin": "status"})["lifecycle"] == "ACTIVE", "the member")
        assert node.runtime._network is not None
        node.runtime._network.meet("n2", "127.0.0.1", 1)
        yield node


def unharmed(node: OneNode, before: dict[str, int]) -> None:
    assert not node.ended and node.broken == before, (node.broken, before)
    node.serves()
    assert node.core.counters()["commands_failed"] == 0


@FUZZ
@given(st.sampled_from(["client", "client", "node", None]), frames.CONNECTIONS, st.booleans())
def test_connections(node: OneNode, role: str | None, sent: list[frames.Lazy], cut: bool) -> None:
    before = dict(node.broken)
    with FrameClient(node.address, role=role) as hostile:
        for number, data in enumerate([made() for made in sent], 1):
            hostile.send(data[: len(data) // 2] if cut and number == len(sent) else data)
        hostile.hear_all()
    unharmed(node, before)


@FUZZ
@given(st.lists(frames.PAYLOADS | frames.lazily(bytes, st.binary(max_size=1500)), min_size=1, max_size=8))
def test_datagrams(node: OneNode, sent: list[frames.Lazy]) -> None:
    """With a checksum that is right, so that what is behind it is reached."""
    from zlib import crc32

    from tribulation.node.core.interface.datagrams import MAGIC, VERSION

    before = dict(node.broken)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for data in sent:
            body = data()[:1390]
            sock.sendto(MAGIC + bytes([VERSION]) + crc32(body).to_bytes(4, "big") + body, node.udp)
            sock.sendto(body, node.udp)
    unharmed(node, before)


KEPT_BYTES = 300_000
"""Of an example. A tenth is usual; a connection that is kept whole is 4 MB."""


def test_a_fuzzer_keeps_little_of_each_example() -> None:
    """What it keeps is multiplied by thousands of examples, and would be taken for a leak of the node."""
    first, last = 10, 30
    held: list[int] = []

    @settings(FUZZ, max_examples=last, derandomize=True, database=None)
    @given(st.lists(frames.CONNECTIONS, min_size=1, max_size=5), st.lists(frames.PAYLOADS, max_size=8))
    def explore(connections: list[list[frames.Lazy]], bodies: list[frames.Lazy]) -> None:
        assert all(type(made()) is bytes for made in (*bodies, *(made for sent in connections for made in sent)))
        if len(held) + 1 in (first, last):
            gc.collect()
        held.append(tracemalloc.get_traced_memory()[0])

    tracemalloc.start()
    try:
        explore()
    finally:
        tracemalloc.stop()
    assert (held[last - 1] - held[first - 1]) / (last - first) < KEPT_BYTES


def test_what_hypothesis_shows_is_short() -> None:
    """It keeps how strategies and steps look, of every step of a stateful run."""
    assert len(repr(st.lists(frames.CONNECTIONS | frames.PAYLOADS))) < 1_000_000
    whole = frames.Lazy(frames._encoded, frames.Long("i" * 10_000), "utf-8")
    assert len(repr(whole)) < 100 and len(repr(frames.Lazy(frames._encoded, "i" * 10_000, "utf-8"))) < 400
    assert whole() == b"i" * 10_000
