"""Real node processes with certificates: a stranger joins nothing and learns nothing, and known clients are served meanwhile.

Each test has another test's opposite in it where it could pass by accident: a plaintext cluster in which the known value is found, a beacon of a key holder that is answered.
"""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.harness.systems.cluster import Cluster
from tests.harness.systems.loopback import free_port, make_hosts, wait_for
from tests.integration.rogues import Impostor, attempt, kinds, status
from tribulation.harness.systems.base import Op
from tribulation.harness.systems.reference.authority import MARGIN, Authority, client_context, write_secret
from tribulation.harness.systems.reference.system import ReferenceService
from tribulation.node.core.interface.datagrams import Note, encode_datagram
from tribulation.node.runtime.security.authentic import Signer
from tribulation.node.runtime.security.identity import Identity
from tribulation.node.wire import Kind

KNOWN = "a-value-that-nobody-else-may-see-51b7"
READ = {"id": 1, "level": "stale", "ops": [["r", "k"]], "deadline_ms": 2000}
ENDED = -MARGIN - timedelta(hours=1)
STRANGE = Authority.new("test")
DEADLINE_S = 60.0


class Guarded:
    """One node with certificates, which has the known value and reports by HTTP which it refused. `hears`: where its beacons go."""

    def __init__(self, directory: Path) -> None:
        self.metrics = f"127.0.0.1:{free_port()}"
        self.hears = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.hears.bind(("127.0.0.9", 0))
        self.hears.settimeout(2.0)
        self.udp_port = free_port()
        members = {"udp_port": self.udp_port, "broadcast": False, "seeds": [list(self.hears.getsockname())]}
        self.cluster = Cluster(directory, 1, tls=True, metrics=self.metrics, membership=members)

    def __enter__(self) -> Guarded:
        self.cluster.__enter__()
        assert self.cluster.until_ok(Op("write", "k", KNOWN), lambda: "n1", DEADLINE_S).type == "ok"
        assert self.authority is not None
        return self

    def __exit__(self, *_: object) -> None:
        self.cluster.__exit__()
        self.hears.close()

    @property
    def authority(self) -> Authority:
        assert self.cluster.service.authority is not None
        return self.cluster.service.authority

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", self.cluster.service.port)

    def refused(self, reason: str) -> int:
        return int(status(self.metrics)["refused"].get(reason, 0))

    def members(self) -> list[str]:
        client = self.cluster.client("n1")
        answer = client.request({"view": "members", "level": "stale"}, 10.0)
        client.close()
        return sorted(answer["results"][0])

    def log(self, **wanted: object) -> list[dict[str, object]]:
        lines = map(json.loads, self.cluster.file("n1", "node.log").read_text().splitlines())
        return [line for line in lines if all(line.get(name) == value for name, value in wanted.items())]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with Guarded(tmp_path_factory.mktemp("guarded")) as found:
        yield found


def shows(
    found: Authority, identity: Identity, life: timedelta = timedelta(days=1)
) -> Callable[[Guarded], ssl.SSLContext]:
    """A certificate of `found`, and trust in the cluster's authority."""
    return lambda guarded: client_context(
        guarded.authority.certificate, (found if found is STRANGE else guarded.authority).issue(identity, life)
    )


OURS = Authority.new("stands for the cluster's own")
NODE = {"cluster": "test", "role": "node", "incarnation": 1}
CLIENT = {"cluster": "test", "role": "client", "name": "rogue"}
ROGUES = [
    ("no-certificate", lambda guarded: client_context(guarded.authority.certificate, None), CLIENT),
    ("authority", shows(STRANGE, Identity("test", "client", "rogue")), CLIENT),
    ("authority", shows(STRANGE, Identity("test", "node", "n1")), {**NODE, "name": "n1"}),
    ("expired", shows(OURS, Identity("test", "client", "rogue"), ENDED), CLIENT),
    ("cluster", shows(OURS, Identity("other", "client", "rogue")), CLIENT),
    ("name", shows(OURS, Identity("test", "node", "n2")), {**NODE, "name": "n3"}),
    ("role", shows(OURS, Identity("test", "client", "n2")), {**NODE, "name": "n2"}),
    ("role", shows(OURS, Identity("test", "node", "n2")), CLIENT),
    ("not-a-member", shows(OURS, Identity("test", "node", "n9")), {**NODE, "name": "n9"}),
    ("plaintext", lambda guarded: None, CLIENT),
]


@pytest.mark.parametrize(
    ("number", "rogue"), list(enumerate(ROGUES)), ids=[f"{rogue[0]}-{rogue[2]['role']}" for rogue in ROGUES]
)
def test_a_rogue_joins_nothing_and_learns_nothing(number: int, rogue: tuple, guarded: Guarded) -> None:  # type: ignore[type-arg]
    reason, make, hello = rogue
    own, before = f"127.0.3.{number + 1}", guarded.refused(reason)
    context = make(guarded)
    for _ in range(3):
        heard = attempt(guarded.address, context, hello, READ, own)
        assert set(kinds(heard)) <= {Kind.ERROR}
        assert KNOWN.encode() not in heard
    wait_for(lambda: guarded.refused(reason) == before + 3, f"three refusals for {reason}", DEADLINE_S)
    assert [line["reason"] for line in guarded.log(message="refused", peer=own)] == [reason], "it is logged once"
    assert guarded.members() == ["n1"]


def test_who_may_come_is_served_so_the_rogues_are_not_refused_for_another_reason(guarded: Guarded) -> None:
    context = guarded.authority.client("rogue")
    heard = b""
    with socket.create_connection(guarded.address, 10.0) as raw, context.wrap_socket(raw) as sock:
        from tribulation.node.wire import encode

        sock.sendall(encode(Kind.HELLO, CLIENT) + encode(Kind.REQUEST, READ))
        while KNOWN.encode() not in heard:
            data = sock.recv(65536)
            assert data, kinds(heard)
            heard += data
    assert kinds(heard) == [Kind.HELLO, Kind.REPLY]


def test_tls_is_refused_where_there_is_none_and_counted(tmp_path: Path) -> None:
    metrics = f"127.0.0.1:{free_port()}"
    with Cluster(tmp_path, 1, metrics=metrics) as cluster:
        context = client_context(STRANGE.certificate, STRANGE.node("n1"))
        assert attempt(("127.0.0.1", cluster.service.port), context, CLIENT, READ, "127.0.3.99") == b""
        wait_for(lambda: status(metrics)["refused"] == {"tls": 1}, "the refusal to be counted", DEADLINE_S)


@pytest.mark.parametrize("kind", ["name", "authority", "plaintext"])
def test_a_node_reports_an_impostor_nothing(kind: str, tmp_path: Path) -> None:
    """n2's address belongs to another process: with the certificate of n3, with one of another authority, or with none at all."""
    metrics = f"127.0.0.1:{free_port()}"
    hosts = make_hosts(tmp_path, 2)
    service = ReferenceService(
        {"cluster": "test", "port": free_port(), "timing": "fast", "tls": True, "metrics": metrics}
    )
    assert service.authority is not None
    context = None
    if kind != "plaintext":
        issued = (service.authority if kind == "name" else STRANGE).node("n3" if kind == "name" else "n2")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        for name, content in (("certificate", issued.certificate), ("key", issued.key)):
            write_secret(tmp_path / name, content)
        context.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
        context.load_verify_locations(cadata=service.authority.certificate.decode())
        context.verify_mode = ssl.CERT_REQUIRED
    with Impostor((hosts[1].address, service.port), context) as impostor:
        try:
            service.install(hosts[0], hosts)
            service.start(hosts[0], {})
            service.wait_ready(hosts[0], DEADLINE_S)
            wait_for(lambda: status(metrics)["refused"].get(kind, 0) >= 3, f"refusals for {kind}", DEADLINE_S)
        finally:
            service.uninstall(hosts[0])
    assert impostor.dialled >= 3
    assert impostor.reported == b""
    # Random bytes of a few hellos hold any two letters now and then.
    assert not [word for word in (b"tribulation", b'"cluster"', b'"n1"') if word in impostor.raw]


def beacon(sender: str, at: tuple[str, int]) -> bytes:
    """A beacon of a node that would be found at this UDP address."""
    body = {"at": [at[0], 9, at[1], "hybrid"], "have": [], "others": []}
    return encode_datagram("test", Note(sender, 1, "discovery.beacon", body))


def test_forged_and_replayed_beacons_do_nothing(guarded: Guarded) -> None:
    """Each names a sender of its own; a beacon that is taken is answered, and so is that of a holder of the key."""
    place, key = guarded.hears.getsockname(), bytes.fromhex(guarded.authority.datagram_key.decode())
    to = ("127.0.0.1", guarded.udp_port)
    good = Signer("test", "m1", 1).sign((key,), beacon("m1", place))
    bent = bytearray(Signer("test", "m2", 1).sign((key,), beacon("m2", place)))
    bent[-3] ^= 1
    rogues = {
        "unsigned": beacon("m3", place),
        "forged": bytes(bent),
        "forged ": Signer("test", "m4", 1).sign((b"\0" * 32,), beacon("m4", place)),
        "forged  ": Signer("other", "m5", 1).sign((key,), beacon("m5", place)),
    }
    garbage = status(guarded.metrics)["garbage"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for name, data in rogues.items():
            before = guarded.refused(name.strip())
            sock.sendto(data, to)
            wait_for(lambda: guarded.refused(name.strip()) == before + 1, f"{name} to be refused", DEADLINE_S)  # noqa: B023
        sock.sendto(good, to)
        heard: list[bytes] = []
        wait_for(lambda: "answer" in _hear(guarded.hears, heard), "an answer to the good one", DEADLINE_S)
        before = guarded.refused("replayed")
        for _ in range(5):
            sock.sendto(good, to)
        wait_for(lambda: guarded.refused("replayed") == before + 5, "replays to be refused", DEADLINE_S)
    assert status(guarded.metrics)["garbage"] == garbage, "the core has seen none of it"
    heard.clear()
    for _ in range(3):
        _hear(guarded.hears, heard)
    assert not [line for line in heard if b"answer" in line], "a replay is not answered"
    assert not [name for name in (b"m2", b"m3", b"m4", b"m5") if name in b"".join(heard)]


def _hear(sock: socket.socket, heard: list[bytes]) -> str:
    """The purpose of the next datagram, which is kept."""
    heard.append(sock.recv(2048))
    return "answer" if b"discovery.answer" in heard[-1] else "beacon"


def test_a_flood_from_one_address_keeps_no_other_from_being_served(guarded: Guarded) -> None:
    """Connections that say nothing, handshakes, garbage and datagrams, as fast as one process can; another address goes on being answered, and memory stays bounded."""
    import subprocess
    import sys

    pid = guarded.cluster.service.pid(guarded.cluster.hosts[0])
    before_kib, rate, flood = _memory_kib(pid), guarded.refused("rate"), guarded.refused("flood")
    command = [sys.executable, str(Path(__file__).with_name("flood.py")), "127.0.4.1", "127.0.0.1"]
    flooding = subprocess.Popen([*command, str(guarded.address[1]), str(guarded.udp_port)])
    try:
        wait_for(lambda: guarded.refused("rate") > rate, "too many connections", DEADLINE_S)
        wait_for(lambda: guarded.refused("flood") > flood, "too many datagrams", DEADLINE_S)
        for number in range(20):
            began_s = time.monotonic()
            client = guarded.cluster.client("n1")
            assert client.invoke(Op("write", "flooded", number), 10.0).type == "ok"
            client.close()
            assert time.monotonic() - began_s < 10.0
        assert flooding.poll() is None, "the flood is over too early to have been one"
    finally:
        flooding.kill()
        flooding.wait()
    assert _memory_kib(pid) - before_kib < 64 * 1024
    assert guarded.members() == ["n1"]


def _memory_kib(pid: int | None) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
