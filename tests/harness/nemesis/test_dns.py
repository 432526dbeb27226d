"""Names that do not resolve on a host, or lead to another one: seen by programs there, and undone also by the watchdog's way."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.harness.nemesis.lab_tools import fault, running
from tests.harness.nemesis.plain_service import Supervised
from tribulation.harness.agent.faults.names import COPIES, edited
from tribulation.harness.hosts.base import Host
from tribulation.harness.hosts.local import LocalProvider
from tribulation.harness.nemesis.agent_client.heal import heal
from tribulation.harness.nemesis.agent_client.shipping import agent_directory
from tribulation.harness.nemesis.faults.fault import Intent, Resolved
from tribulation.harness.nemesis.kinds.hosts import dns
from tribulation.harness.simulator.faults.injector import SimInjector

HOSTS = "127.0.0.1 localhost\n10.0.0.1 n1 one # first\n10.0.0.2 n2\n"


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ({}, HOSTS),
        ({"n2": []}, "127.0.0.1 localhost\n10.0.0.1 n1 one # first\n"),
        ({"n1": ["10.0.0.2", "fd::2"]}, "127.0.0.1 localhost\n10.0.0.1 one\n10.0.0.2 n2\n10.0.0.2 n1\nfd::2 n1\n"),
        ({"new": ["10.0.0.1"]}, HOSTS + "10.0.0.1 new\n"),
    ],
)
def test_a_hosts_file_has_exactly_these_addresses_for_these_names(names: dict[str, list[str]], text: str) -> None:
    assert edited(HOSTS, names) == text


def get(host: Host, name: str) -> str:
    """By the C library, in a process that knows nothing of us."""
    return " ".join(
        line.split()[0] for line in host.run(["getent", "ahostsv4", name], check=False).stdout.splitlines()[:1]
    )


def test_names_stop_resolving_or_lead_elsewhere_on_that_host_alone(
    lab: LocalProvider, service: Supervised, tmp_path: Path
) -> None:
    n1, n2, n3 = lab.hosts
    with running(lab, service, tmp_path / "ledger.jsonl") as injector:
        before = n1.run("cat /etc/hosts /proc/self/mountinfo").stdout
        gone = fault("dns", nodes=["n1"], of=["n1", "n2", "n3"])
        seen = injector.inject(gone)
        assert seen.verified and seen.observed["resolved"] == {"n1": {"n2": [], "n3": []}}, seen
        assert (get(n1, "n2"), get(n1, "n1"), get(n2, "n3")) == ("", n1.address, n3.address)
        assert injector.heal(gone).verified and get(n1, "n2") == n2.address

        astray = fault("dns", nodes=["n1"], of=["n2", "n3"], to="n3")
        assert injector.inject(astray).verified and get(n1, "n2") == n3.address
        assert any("names" in what for what in heal([n1]))
        assert get(n1, "n2") == n2.address
        assert injector.heal(astray).observed.get("lapsed"), "somebody else has undone it"
        assert n1.run("cat /etc/hosts /proc/self/mountinfo").stdout == before

        nothing = fault("dns", nodes=["n1"], of=["no-such-name"])
        assert not injector.inject(nothing).verified, "it had no address to lose"
        assert injector.heal(nothing).verified and injector.heal_all().verified
    left = n1.run(["ls", agent_directory(n1.directory)], check=False).stdout.split()
    assert not {*COPIES.values()} & {*left}, "the copies go with the agent"


def test_the_simulator_says_that_it_does_nothing_there() -> None:
    from tests.harness.simulator.real import real_cluster

    injector = SimInjector(real_cluster())
    gone = Resolved(Intent("f1", "dns", {}, 0, None, "f1"), {"nodes": ["n1"], "of": ["n2"]})
    seen = injector.inject(gone)
    assert not seen.verified and "by address" in seen.observed["no_op"]
    assert injector.heal(gone).verified


def test_the_end_of_one_on_a_host_that_is_off_is_not_seen(monkeypatch) -> None:
    ground = SimpleNamespace(notes={}, cluster=SimpleNamespace(nodes={}, agents={}), on=["n2"])
    monkeypatch.setattr(
        dns, "ask", lambda agents, requests: ({name: {"names": {"n3": ["10.0.0.3"]}} for name in requests}, {})
    )
    one, both = fault("dns", nodes=["n1"], of=["n3"]), fault("dns", nodes=["n1", "n2"], of=["n3"])
    for given in (one, both):
        seen = dns.OnHosts().look(given, ground, on=False)
        assert not seen.verified and dns.KIND.unheard(given.what, seen.observed) == ["n1"]
    assert dns.OnHosts().look(fault("dns", nodes=["n2"], of=["n3"]), ground, on=False).verified
