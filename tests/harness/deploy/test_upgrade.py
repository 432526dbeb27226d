"""A rolling upgrade on real hosts, under load: the order is right, no acknowledged write is lost, and a node that does not come back ends it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.hosts.conftest import await_true
from tests.harness.systems.loopback import dial_to, free_port, make_hosts
from tribulation import node
from tribulation.checkers import RunRecord, Verdict, check
from tribulation.harness.deploy.cluster import Deployment
from tribulation.harness.deploy.deploy import NotOnAllHosts
from tribulation.harness.deploy.upgrade import Upgrade, heirs, leader_of, order, why_unsettled
from tribulation.harness.hosts.local import LocalProvider
from tribulation.harness.systems.reference.package import build_node_archive
from tribulation.harness.systems.reference.system import ReferenceService

from .register_clients import Clients

VOTERS = {"n1": 1, "n2": 1, "n3": 1}


def state(leader: str | None, commit: int = 9, term: int = 2, **more: Any) -> dict[str, Any]:
    return {
        "leader": leader,
        "term": term,
        "commit": commit,
        "last_index": commit,
        "torn": False,
        "voters": VOTERS,
        **more,
    }


def test_the_leader_is_last_and_what_is_down_first() -> None:
    states = {"n1": state("n1"), "n2": state("n1"), "n3": None}
    assert order(["n1", "n2", "n3"], states) == ["n3", "n2", "n1"]
    assert order(["n1", "n2"], {}) == ["n1", "n2"]


def test_an_old_leader_that_does_not_know_better_is_not_believed() -> None:
    assert leader_of({"n1": state("n1", term=1), "n2": state("n2", term=3), "n3": None}) == "n2"
    assert leader_of({"n1": state(None)}) is None


@pytest.mark.parametrize(
    ("changes", "without", "why"),
    [
        ({}, "n2", None),
        ({}, None, None),
        ({}, "n1", "n1 leads still"),
        ({"n2": None}, "n2", None),
        ({"n3": None}, "n2", "n3 does not answer"),
        ({"n3": state("n1", commit=8)}, "n2", "n3 has not caught up with index 9"),
        ({"n3": state("n1", torn=True)}, "n2", "n3 has not caught up with index 9"),
        ({"n3": state(None)}, "n2", "n3 does not follow n1"),
        ({"n1": state(None), "n3": state(None)}, "n2", "no node leads"),
        ({"n1": state("n1", voters={"n1": 1, "n2": 1})}, "n2", "without n2 there is no quorum"),
    ],
)
def test_a_node_is_taken_away_only_from_a_cluster_that_can_spare_it(
    changes: dict[str, Any], without: str | None, why: str | None
) -> None:
    states = {"n1": state("n1"), "n2": state("n1"), "n3": state("n1"), **changes}
    if why is not None and "not a quorum" in why:
        states.pop("n3")
    found = why_unsettled(states, without, 9)
    assert found is None if why is None else found is not None and why in found


def test_the_heir_is_the_voter_with_the_longest_log() -> None:
    voters = {"n1": 1, "n2": 1, "n3": 1}
    states = {"n1": state("n1"), "n2": state("n1", 7), "n3": state("n1", 8), "n4": state("n1", 9), "n5": None}
    assert voters.get("n4") is None and heirs(states, "n1") == ["n3", "n2"]


def version(folder: Path, change: str) -> bytes:
    """The node's program with another text at the end of one of its files."""
    assert node.__file__ is not None
    shutil.copytree(Path(node.__file__).parent, folder, ignore=shutil.ignore_patterns("__pycache__"))
    program = folder / "runtime/process/boot.py"
    # Not appended to: a file that is not there would be made, and nothing would be another version.
    program.write_text(program.read_text(encoding="utf-8") + change, encoding="utf-8")
    return build_node_archive(folder)


def test_two_nodes_are_not_upgraded_one_at_a_time(tmp_path: Path) -> None:
    hosts = make_hosts(tmp_path / "machines", 2)
    options = {"cluster": "two", "timing": "fast", "keep_data": True, "port": free_port()}
    cluster = Deployment(ReferenceService(options), hosts)
    try:
        cluster.up()
        newer = another(cluster, version(tmp_path / "newer", "\n# a newer version\n"))
        with pytest.raises(NotOnAllHosts, match="the others are not a quorum without") as refused:
            Upgrade(newer, dial_to(hosts, newer.service.port)).run()
        assert "`tri deploy up` restarts all nodes at once" in (refused.value.hint or "")
        assert [result.ok for result in refused.value.results].count(True) == 1
    finally:
        cluster.down()


@pytest.fixture
def deployed(lab: LocalProvider, tmp_path: Path) -> Iterator[Deployment]:
    options = {
        "cluster": "staying",
        "timing": "fast",
        "keep_data": True,
        "tls": True,
        "authority": str(tmp_path / "ca"),
    }
    cluster = Deployment(ReferenceService(options), lab.hosts)
    cluster.up()
    yield cluster
    cluster.down()


def another(deployed: Deployment, archive: bytes) -> Deployment:
    return Deployment(ReferenceService(deployed.service.options, archive=archive), deployed.hosts, ready_s=10.0)


def test_under_load_every_node_is_replaced_and_no_write_is_lost(
    deployed: Deployment,
    lab: LocalProvider,
    tmp_path: Path,
) -> None:
    newer = another(deployed, version(tmp_path / "newer", "\n# a newer version\n"))
    addresses = {host.name: host.address for host in lab.hosts}

    def dial(name: str, timeout_s: float) -> Any:
        return lab.dial(addresses[name], newer.service.port, timeout_s=timeout_s)

    listed: list[str] = []
    with Clients(newer.service, lab) as clients:
        await_true(lambda: len(clients.acknowledged_s) >= 20, "the first writes")
        results = Upgrade(newer, dial, listed.append).run()
        reached = len(clients.acknowledged_s) + 20
        await_true(lambda: len(clients.acknowledged_s) >= reached, "writes after the upgrade")
    assert [result.detail.split(",")[0] for result in results] == ["upgraded"] * 3
    assert sum("hands over" in line for line in listed) >= 1 and "hands over" in listed[-1]
    assert not any(plan.steps for plan in newer.plans_up())
    verdict = check(RunRecord(history=clients.history), ["linearizable"])["linearizable"]
    assert verdict.verdict is Verdict.VALID, verdict
    gaps = [after - before for before, after in zip(clients.acknowledged_s, clients.acknowledged_s[1:], strict=False)]
    print(f"{len(clients.acknowledged_s)} writes; longest time without one {max(gaps) * 1000:.0f} ms")
    assert all(result.detail == "up to date" for result in Upgrade(newer, dial).run()), (
        "once more there is nothing to do"
    )


@pytest.mark.full
def test_a_node_that_does_not_come_back_ends_the_upgrade_and_the_next_one_goes_on_from_there(
    deployed: Deployment,
    lab: LocalProvider,
    tmp_path: Path,
) -> None:
    addresses = {host.name: host.address for host in lab.hosts}

    def dial(name: str, timeout_s: float) -> Any:
        return lab.dial(addresses[name], deployed.service.port, timeout_s=timeout_s)

    broken = another(
        deployed, version(tmp_path / "broken", "\ndef run(config, options):\n    raise OSError('broken')\n")
    )
    before = {host.name: deployed.service.pid(host) for host in lab.hosts}
    upgrade = Upgrade(broken, dial, settle_s=20.0)
    with pytest.raises(NotOnAllHosts, match="the upgrade stopped at") as stopped:
        upgrade.run()
    assert "goes on from there" in str(stopped.value)
    failed = [result.host for result in stopped.value.results if not result.ok]
    assert len(failed) == 1
    left = [result.host for result in stopped.value.results if "left on the version" in result.detail]
    assert len(left) == 2 and all(
        deployed.service.pid(lab_host) == before[lab_host.name] for lab_host in lab.hosts if lab_host.name in left
    )
    states = upgrade.states()
    assert leader_of(states) in left, "the others go on"
    mended = another(deployed, version(tmp_path / "mended", "\n# mended\n"))
    results = Upgrade(mended, dial).run()
    assert all(result.detail.startswith("upgraded") for result in results)
    assert why_unsettled(upgrade.states(), None, 0) is None
