"""A campaign attached to a cluster that stays: what it may ask for, what of the deployed configuration must be as it says, and keys of its own."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tribulation.harness.campaign.model import Campaign
from tribulation.harness.errors import CampaignError, DeployError
from tribulation.harness.hosts.ssh.provider import SshProvider
from tribulation.harness.run.plan.attached import (
    AttachedService,
    attached_system,
    difference_of,
    require_attachable,
    require_running,
)
from tribulation.harness.run.plan.build import System, make_plan
from tribulation.harness.run.plan.requirements import Requirements
from tribulation.harness.systems.base import Dial, Op, Outcome
from tribulation.harness.systems.keyed import KeyedClient
from tribulation.harness.systems.reference.authority import Authority, kept_directory
from tribulation.harness.systems.reference.options import ReferenceOptions, node_config

ADDRESSES = {f"n{i}": f"192.0.2.{i}" for i in (1, 2, 3)}


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRI_LABS", str(tmp_path / "labs"))
    hosts = "".join(f"  - {{name: {name}, address: {address}}}\n" for name, address in ADDRESSES.items())
    path = tmp_path / "machines.yaml"
    path.write_text(f"consent: true\nhosts:\n{hosts}")
    return path


def campaign(inventory: Path, **fields: Any) -> Campaign:
    facts = {"name": "c", "hosts": {"provider": "ssh", "inventory": str(inventory)}, "workloads": [{"register": {}}]}
    return Campaign.model_validate({**facts, **fields})


def deployed(**options: Any) -> dict[str, Any]:
    config = node_config("n1", ADDRESSES, ReferenceOptions(cluster="machines", tls=True, **options))
    return {**config, "tls": {}, "datagram_key": "datagram.key"}


@pytest.mark.parametrize(
    ("system", "options", "difference"),
    [
        ({}, {}, None),
        ({}, {"timing": "fast", "snapshot_threshold": 50}, None),
        ({"timing": "fast"}, {"timing": "fast"}, None),
        ({"timing": "fast"}, {}, "deployed with timing 'default', but the campaign needs 'fast'"),
        ({"tls": True}, {}, None),
        ({"tls": None}, {}, None),
        ({"tls": False}, {}, "deployed with tls True, but the campaign needs False"),
        ({"flaws": ["ack-before-majority"]}, {}, "deployed with flaws []"),
        ({"membership": {}}, {}, "deployed with membership None"),
        ({"voters": {"n1": 2, "n2": 1, "n3": 1}}, {}, "its voters are"),
        ({"file": "mine.py"}, {}, "a system from a file"),
    ],
)
def test_what_the_campaign_says_must_be_so_and_the_rest_is_taken_as_it_is(
    inventory: Path, system: dict[str, Any], options: dict[str, Any], difference: str | None
) -> None:
    asked = campaign(inventory, system=system)
    found = difference_of(asked.system, make_plan(asked, inventory.parent), deployed(**options))
    assert found is None if difference is None else found is not None and difference in found


def test_a_configuration_without_a_field_differs_in_it(inventory: Path) -> None:
    """As that of another release, or of a host that reports false data."""
    asked = campaign(inventory, system={"timing": "fast"})
    config = {name: value for name, value in deployed().items() if name != "timing"}
    found = difference_of(asked.system, make_plan(asked, inventory.parent), config)
    assert found == "it was deployed with timing None, but the campaign needs 'fast'"


def test_other_nodes_are_another_cluster(inventory: Path) -> None:
    asked = campaign(inventory)
    config = {**deployed(), "peers": {"n1": [], "n9": []}}
    assert "deployed with the nodes n1, n9" in str(
        difference_of(asked.system, make_plan(asked, inventory.parent), config)
    )


@pytest.mark.parametrize(
    ("fault", "clock_is_the_machines", "refused"),
    [
        ({"kill": {"target": "leader", "after": "1s"}}, False, None),
        ({"partition": {"shape": "halves", "after": "1s", "for": "1s"}}, False, None),
        ({"clock": {"target": "leader", "bump": "1s", "after": "1s", "for": "1s"}}, False, "does not support clock"),
        ({"clock": {"target": "leader", "bump": "1s", "after": "1s", "for": "1s"}}, True, None),
        ({"power-loss": {"target": "leader", "after": "1s", "for": "1s"}}, False, "does not support power"),
    ],
)
def test_faults_for_which_nodes_would_have_to_be_started_anew_are_refused(
    inventory: Path, fault: dict[str, Any], clock_is_the_machines: bool, refused: str | None
) -> None:
    asked = campaign(inventory, faults=[fault])
    service = AttachedService({"cluster": "machines"})
    if clock_is_the_machines:
        service.capabilities |= {"clock"}
    plan = make_plan(asked, inventory.parent)
    needs = Requirements.of(asked).needs(plan)
    if refused is None:
        require_attachable(needs, plan, service)
        return
    with pytest.raises(CampaignError, match=refused) as caught:
        require_attachable(needs, plan, service)
    assert "remove these faults" in (caught.value.hint or "")


def attached(asked: Campaign, provider: SshProvider) -> System:
    return attached_system(asked, make_plan(asked, Path()), provider)


def test_only_who_deployed_can_attach_and_only_to_an_inventorys_hosts(inventory: Path) -> None:
    provider = SshProvider.from_file(inventory)
    with pytest.raises(CampaignError, match="authority of cluster 'machines' is not on this machine"):
        attached(campaign(inventory), provider)
    Authority.kept("machines", kept_directory("machines"))
    assert "clock" not in attached(campaign(inventory), provider).service.capabilities
    with pytest.raises(CampaignError, match="workload 'tasks' depends on everything in the cluster"):
        attached(campaign(inventory, workloads=[{"tasks": {}}], system={"membership": {}, "agents": {}}), provider)
    with pytest.raises(CampaignError, match="--attach is for a cluster"):
        attached(campaign(inventory, hosts={"provider": "sim", "nodes": 3}), provider)


class Store:
    """A client of a map, for what reaches the system."""

    def __init__(self) -> None:
        self.content: dict[str, Any] = {"k": "of an earlier run"}

    def open(self, node: str, dial: Dial, timeout_s: float) -> None:
        raise NotImplementedError

    def invoke(self, op: Op, timeout_s: float) -> Outcome:
        if op.f == "txn":
            return Outcome(
                "ok", [[f, key, self.content.get(key) if f == "r" else value[0]] for f, key, *value in op.value]
            )
        if op.f == "write":
            self.content[op.key] = op.value
        return Outcome("ok", self.content.get(op.key))

    def close(self) -> None:
        self.content.clear()


def test_a_run_meets_no_data_of_an_earlier_one() -> None:
    store = Store()
    client = KeyedClient(store, "c-1f/")
    assert client.invoke(Op("read", "k"), 1.0).value is None
    client.invoke(Op("write", "k", 7), 1.0)
    assert client.invoke(Op("read", "k"), 1.0).value == 7
    assert store.content == {"k": "of an earlier run", "c-1f/k": 7}
    both = client.invoke(Op("txn", value=[["r", "k", None], ["w", "x", 1]]), 1.0)
    assert both.value == [["r", "k", 7], ["w", "x", 1]]


def test_what_speaks_of_the_whole_cluster_cannot_be_kept_apart() -> None:
    with pytest.raises(ValueError, match="operation 'effects' knows no keys"):
        KeyedClient(Store(), "c/").invoke(Op("effects"), 1.0)


class Restarting:
    """A service whose node has no pid for the first looks."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def pid(self, host: Any) -> int | None:
        self.looks -= 1
        return 7 if self.looks < 0 else None


def test_a_node_that_is_starting_again_is_waited_for_and_one_that_stays_down_is_named() -> None:
    hosts: list[Any] = [SimpleNamespace(name="n1")]
    service: Any = Restarting(3)
    require_running(service, hosts)
    assert service.looks < 0
    service = Restarting(10**6)
    with pytest.raises(DeployError, match="no node runs on n1"):
        require_running(service, hosts, within_s=0.2)
