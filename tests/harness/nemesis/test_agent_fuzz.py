"""Whatever is sent to the programs on a host, by the harness, by anyone on the network, or by the node under test through its trace: none ends, and the next honest question is answered.

Verbs and the names of their fields come from the agent's own source, so that a new one is fuzzed without being listed.
"""

from __future__ import annotations

import ast
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.node.fuzz.files import DAMAGES
from tests.node.fuzz.frames import ODD
from tests.node.fuzz.values import WIDE_VALUES, spoilt
from tribulation.harness.agent import apply, main
from tribulation.harness.agent.fault_disk import control
from tribulation.harness.agent.network import burst, probes, queue_thread
from tribulation.harness.agent.network.shaping import Links, shape_problem
from tribulation.harness.agent.state import account
from tribulation.harness.agent.state.lines import receive_line
from tribulation.harness.agent.state.store import Store

FUZZ = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "60")), deadline=None, suppress_health_check=list(HealthCheck)
)
SOURCES = Path(main.__file__).parent
STOPS_S = 5.0
LINES = st.one_of(
    WIDE_VALUES.map(json.dumps),
    ODD,
    st.text(max_size=20),
).map(lambda text: text.replace("\n", " ").encode("utf-8", "surrogatepass")) | st.binary(max_size=40).map(
    lambda data: data.replace(b"\n", b" ")
)


@lru_cache(maxsize=1)
def fields_of_requests() -> tuple[str, ...]:
    """Every name that some code of the agent reads from a request."""
    found: dict[str, None] = {}
    for path in sorted(SOURCES.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Subscript):
                of, key = node.value, node.slice
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
                of, key = node.func.value, node.args[0]
            else:
                continue
            if isinstance(of, ast.Name) and of.id == "request" and isinstance(key, ast.Constant):
                found[str(key.value)] = None
    assert {"config", "wanted", "lease_s", "peers"} - {"peers"} <= found.keys()
    return tuple(found)


def requests(verbs: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    good = st.fixed_dictionaries(
        {
            "do": st.sampled_from(verbs),
            "name": st.just("n1"),
            "port": st.just(0),
            "any_port": st.just(True),
            "address": st.just(""),
            "lease_s": st.just(1.0),
            "wanted": st.just({}),
            "config": st.just({"peers": {"n2": ["127.0.0.1", 9]}, "name": "n1"}),
        }
    )
    return spoilt(good, [name for name in fields_of_requests() if name != "do"], WIDE_VALUES)


class QuietProbes:
    """No packet leaves this machine by what a fuzzer makes of addresses."""

    port, period_s = 1, 0.1

    def __init__(self, name: str, port: int, any_port: bool) -> None:
        self._arrivals, self._lock, self._peers, self._sending = burst.Arrivals(), threading.Lock(), {}, set[int]()
        self.epoch, self._wake, self._heard = 0, threading.Event(), dict[str, list[int]]()

    def send_burst(self, number: int, sizes: dict[str, int], count: int, every_ns: int) -> None:
        dict(sizes)

    configure = probes.Probes.configure
    raise_epoch = probes.Probes.raise_epoch
    heard = probes.Probes.heard
    arrived = probes.Probes.arrived
    arrived_count = probes.Probes.arrived_count
    is_sending = probes.Probes.is_sending


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[main.Agent]:
    """With no part: nothing is done to this host."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(main.watchdog, "ensure", lambda store, program: None)
        patch.setattr(main, "PARTS", ())
        patch.setattr(apply, "PARTS", ())
        patch.setattr(main, "Probes", QuietProbes)
        yield main.Agent(Store(str(tmp_path_factory.mktemp("agent"))), "agent.pyz")


def answer(agent: main.Agent, line: bytes) -> dict[str, Any]:
    found = json.loads(main.answered(line, agent.answer))
    assert type(found["ok"]) is bool and (found["ok"] or len(found["error"]) <= main.ERROR_CHARACTERS)
    return found


VERBS = list(main.Agent(None, "").verbs())  # type: ignore[arg-type]


@FUZZ
@given(st.lists(st.one_of(requests(VERBS).map(lambda body: json.dumps(body).encode()), LINES), min_size=1, max_size=8))
def test_requests_to_the_agent(agent: main.Agent, lines: list[bytes]) -> None:
    for line in lines:
        answer(agent, line)
    assert answer(agent, b'{"do": "time"}')["ok"]
    hello = {"do": "hello", "name": "n1", "port": 0, "any_port": True, "address": ""}
    assert answer(agent, json.dumps(hello).encode())["ok"]


@FUZZ
@given(st.lists(DAMAGES, min_size=1, max_size=3), st.sampled_from(["journal.jsonl", "ledger.jsonl", "lease"]))
def test_files_on_a_host_that_were_damaged(damages: list[Callable[[bytes], bytes]], name: str) -> None:
    """A power loss may tear what was appended. What the agent does next is written and read all the same."""
    with TemporaryDirectory() as directory:
        store = Store(directory)
        store.renew(5.0)
        store.write_journal({"who": "agent", "undone": ["a cut"]})
        account.begin(store, [{"id": "cut-1", "kind": "cut"}], {}, 1)
        path = Path(store.path(name))
        data = path.read_bytes()
        for damage in damages:
            data = damage(data)
        path.write_bytes(data)
        account.still_on(store), store.lease_left_s()
        store.write_journal({"who": "heal", "undone": ["a kill"]})
        account.begin(store, [{"id": "cut-2", "kind": "cut"}], {}, 2)
        assert store.read_journal()[-1]["who"] == "heal"
        assert account.still_on(store)[-1]["id"] == "cut-2"


PACKETS = st.one_of(
    LINES.map(lambda line: burst.sealed(probes.MAGIC, line[:2000])),
    st.tuples(st.sampled_from(["n2", "n3"]), WIDE_VALUES, WIDE_VALUES).map(
        lambda row: burst.sealed(probes.MAGIC, json.dumps(row).encode()[:2000])
    ),
    st.binary(max_size=60).map(lambda data: burst.MAGIC + data),
    st.binary(max_size=60).map(lambda data: burst.sealed(burst.MAGIC, data)),
    st.binary(max_size=20),
    st.sampled_from([b"[" * 1900, b'["n2",Infinity,1]', b'["n2",1e999,1]', b"[" * 900]).map(
        lambda body: burst.sealed(probes.MAGIC, body)
    ),
)


@pytest.fixture(scope="module")
def prober() -> probes.Probes:
    made = probes.Probes("n1", 0, True)
    made.configure({"n2": ["127.0.0.1", 9]})
    return made


@FUZZ
@given(st.lists(PACKETS, max_size=8))
def test_packets_to_the_prober(prober: probes.Probes, packets: list[bytes]) -> None:
    """A prober that is deaf would be evidence of a cut that there is not."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for packet in packets:
            sock.sendto(packet, ("127.0.0.1", prober.port))
        heard = prober.heard().get("n2", [0, 0, 0, 0])[2]
        deadline_s = time.monotonic() + STOPS_S
        while prober.heard().get("n2", [0, 0, 0, 0])[2] <= heard:
            sock.sendto(probes.written_packet("n2", 1, 1), ("127.0.0.1", prober.port))
            time.sleep(0.001)
            assert time.monotonic() < deadline_s, "it hears no more"
    json.dumps(prober.heard())


def test_bursts_of_those_that_are_not_known_are_not_kept() -> None:
    arrivals = burst.Arrivals()
    body = burst.HEAD.pack(7, 1, 1)
    with pytest.raises(ValueError):
        arrivals.note(burst.sealed(burst.MAGIC, body + b"n9\n"), 1, {"n2": 0})
    arrivals.note(burst.sealed(burst.MAGIC, body + b"n2\n"), 1, {"n2": 0})
    assert arrivals.count(7) == 1


@given(st.integers(0, 200), st.integers(0, 7))
def test_a_packet_that_changed_on_its_way_counts_for_nothing(place: int, bit: int) -> None:
    """A flipped digit must not pass for a newer epoch, and a flipped number for another packet of the burst."""
    probe, shot = probes.written_packet("n2", 3, 7), burst.sealed(burst.MAGIC, burst.HEAD.pack(7, 1, 1) + b"n2\n")
    arrivals = burst.Arrivals()
    with pytest.raises(ValueError):
        probes.read_packet(_flipped(probe, len(probes.MAGIC), place, bit))
    with pytest.raises(ValueError):
        arrivals.note(_flipped(shot, len(burst.MAGIC), place, bit), 1, {"n2": 0})
    assert arrivals.count(7) == 0


def test_another_user_of_a_host_cannot_pass_for_a_prober(monkeypatch: pytest.MonkeyPatch) -> None:
    """If n2 is heard, the harness believes that a link is up, or that a fault is over."""
    forged, shot = probes.written_packet("n2", 3, 7), burst.sealed(burst.MAGIC, burst.HEAD.pack(7, 1, 1) + b"n2\n")
    monkeypatch.setattr(burst, "_key", b"")
    burst.use_key(bytes.fromhex("00112233445566778899aabbccddeeff"))
    with pytest.raises(ValueError):
        probes.read_packet(forged)
    with pytest.raises(ValueError):
        burst.Arrivals().note(shot, 1, {"n2": 0})
    assert probes.read_packet(probes.written_packet("n2", 3, 7)) == ("n2", 3, 7)


def _flipped(packet: bytes, first: int, place: int, bit: int) -> bytes:
    changed = bytearray(packet)
    changed[first + place % (len(packet) - first)] ^= 1 << bit
    return bytes(changed)


SHAPES = spoilt(
    st.just({"addresses": ["127.0.0.1"], "delay_ns": 5, "flaps_ns": [10]}),
    ["loss_ppm", "corrupt_ppm", "reorder_ppm", "delay_ns", "jitter_ns", "rate_bps", "clogged", "flaps_ns", "addresses"],
    WIDE_VALUES,
)


@FUZZ
@given(SHAPES, st.integers(0, 1 << 63), st.integers(0, 1 << 16))
def test_a_shape_without_a_problem_gives_each_packet_a_fate(shape: dict[str, Any], now_ns: int, length: int) -> None:
    from random import Random

    if shape_problem(shape) is None:
        links = Links(Random(1))
        links.change({"n2": shape})
        link = links.of(b"\x7f\0\0\1")
        if link is not None:
            links.fate(link, length, now_ns, now_ns)


@pytest.mark.parametrize("addresses", [[], ["127.0.0.1"], ["no address"], [7]])
def test_resets_that_cannot_be_made_do_not_end_the_helper_of_links(link_helper: str, addresses: list[Any]) -> None:
    """The packets of this host wait there."""
    request = {"do": "set", "links": {}, "resets": {"n2": {"period_ns": 1, "addresses": addresses}}, "control": []}
    _say(link_helper, json.dumps(request).encode())
    for _ in range(3):
        assert queue_thread.send(link_helper, {"do": "ask"})["error"] is None


@pytest.fixture(scope="module")
def link_helper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The real one, without a queue: what opens one is refused here."""
    path = str(tmp_path_factory.mktemp("wire") / queue_thread.SOCKET)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queue_thread, "Queue", _no_queue)
        patch.setattr(queue_thread.connections, "start_breaking", _no_queue)
        helper = queue_thread.Wire(path)
        thread = threading.Thread(target=helper.run, daemon=True)
        thread.start()
        yield path
        assert thread.is_alive()
        queue_thread.send(path, {"do": "quit"})
        thread.join(STOPS_S)
        assert not thread.is_alive()


def _no_queue(*_: object) -> Any:
    raise OSError("none in this test")


SETTINGS = spoilt(
    st.fixed_dictionaries(
        {
            "do": st.just("set"),
            "links": st.dictionaries(st.just("n2"), SHAPES, max_size=1),
            "resets": st.dictionaries(st.just("n2"), WIDE_VALUES | st.just({"period_ns": 1, "addresses": []})),
            "control": st.just(["127.0.0.1", 1]),
        }
    ),
    ["links", "resets", "control"],
    WIDE_VALUES,
)


def _say(path: str, data: bytes) -> None:
    with queue_thread._connect(path, STOPS_S) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        receive_line(connection, STOPS_S)


@FUZZ
@given(st.one_of(SETTINGS.map(lambda body: json.dumps(body).encode()), LINES))
def test_requests_to_the_helper_of_links(link_helper: str, line: bytes) -> None:
    _say(link_helper, line)
    assert queue_thread.send(link_helper, {"do": "ask"})["error"] is None


@FUZZ
@given(st.one_of(LINES, requests(["status", "trouble"]).map(lambda body: json.dumps(body).encode())), st.booleans())
def test_questions_to_the_fault_disk(line: bytes, raises: bool) -> None:
    """Whatever the disk makes of a request."""

    def respond(request: dict[str, Any]) -> dict[str, Any]:
        if raises:
            raise ZeroDivisionError(request["do"])
        return {"said": request["do"]}

    with TemporaryDirectory() as directory, control.listen(directory) as listener:
        asked = threading.Thread(target=_ask_disk, args=(directory, line))
        asked.start()
        control.answer_one(listener, respond)
        asked.join()


def _ask_disk(directory: str, line: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as sock, control._reachable(directory) as path:
        sock.connect(path)
        sock.sendall(line + b"\n")
        assert type(json.loads(receive_line(sock, STOPS_S))["ok"]) is bool


def test_a_client_that_does_not_speak_holds_no_other_up(link_helper: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte now and then is not speaking: the whole line has to come within the time."""
    monkeypatch.setattr(queue_thread, "ANSWER_S", 0.3)
    stopped = threading.Event()
    with queue_thread._connect(link_helper, STOPS_S) as slow:

        def drip() -> None:
            while not stopped.wait(0.05):
                try:
                    slow.send(b" ")
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            assert queue_thread.send(link_helper, {"do": "ask"}, STOPS_S)["error"] is None
        finally:
            stopped.set()
            thread.join()
