"""Machines of an inventory, over real SSH: deploying a cluster to stay, campaigns, and what must be refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.machines import NAMES, Machines
from tests.integration.running import await_that

RULES = "table inet filter {{ chain in {{ type filter hook input priority 0; policy drop; iif lo accept; ct state established accept; tcp dport {port} accept; }}; }}"
CAMPAIGN = "tests/integration/campaigns/three-machines.yaml"


@pytest.fixture(scope="module")
def machines(namespaces: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    folder = tmp_path_factory.mktemp("machines")
    with Machines(folder, folder / "labs").up() as machines:
        yield machines


def rows(stdout: str) -> dict[str, dict[str, object]]:
    return {row["host"]: row for row in json.loads(stdout)["hosts"]}


@pytest.mark.full
def test_a_cluster_is_deployed_once_however_often_it_is_asked_for_and_removed_without_trace(machines: Machines) -> None:
    inventory = str(machines.inventory)
    before = machines.tri("deploy", "status", inventory)
    assert before.returncode == 4 and "not running" in before.stdout and "hint: start it with" in before.stderr
    up = machines.tri("deploy", "up", inventory, "--json")
    assert up.returncode == 0, up.stderr
    first = rows(up.stdout)
    assert all(first[name]["ok"] and "ready, pid" in str(first[name]["detail"]) for name in NAMES)
    again = machines.tri("deploy", "up", inventory, "--json")
    assert {name: row["detail"] for name, row in rows(again.stdout).items()} == {
        name: f"{row['detail']}, nothing to do" for name, row in first.items()
    }, "the very same processes"
    status = machines.tri("deploy", "status", inventory)
    assert status.returncode == 0 and status.stdout.count("running, pid") == 3
    # Another configuration is put in force, and the data stays.
    incarnation = machines.directory("n1") / "reference/incarnation"
    assert incarnation.read_text().split()[1:] == ["1"], "after its checksum"
    changed = machines.tri("deploy", "up", inventory, "--timing", "fast", "--json")
    assert changed.returncode == 0 and incarnation.read_text().split()[1:] == ["2"]
    down = machines.tri("deploy", "down", inventory)
    assert down.returncode == 0 and down.stdout.count("removed") == 3
    assert machines.left_behind() == []


@pytest.mark.full
def test_a_deployment_is_continued_where_it_broke_off_and_leaves_every_machine_as_it_was_found(
    machines: Machines,
) -> None:
    """With a firewall that refuses all but SSH on one of them, which is to be opened; and a folder above that was not there."""
    inventory = str(machines.write_inventory("firewalled.yaml", head="firewall: true"))
    machines.on("n2", "nft", RULES.format(port=2202))
    try:
        found = machines.as_found()
        plan = machines.tri("deploy", "up", inventory, "--dry-run", "--json")
        assert plan.returncode == 0, plan.stderr
        steps = {row["host"]: [step["action"] for step in row["steps"]] for row in json.loads(plan.stdout)["plan"]}
        usual = ["make-folders", "put", "certify", "environment", "start"]
        assert steps == {"n1": usual, "n2": [*usual[:-1], "open-firewall", "start"], "n3": usual}
        assert machines.as_found() == found, "a dry run does nothing"
        assert machines.tri("deploy", "up", inventory).returncode == 0
        assert machines.on("n2", "nft", "list", "ruleset").count('comment "tribulation: ') == 12
        # As if it had broken off on n1.
        (machines.directory("n1") / "reference/config.json").unlink()
        again = machines.tri("deploy", "up", inventory, "--json")
        details = {name: str(row["detail"]) for name, row in rows(again.stdout).items()}
        assert [name for name in NAMES if "nothing to do" not in details[name]] == ["n1"], details
        assert machines.tri("deploy", "down", inventory).returncode == 0
        assert machines.as_found() == found
        down = machines.tri("deploy", "down", inventory)
        assert down.returncode == 0 and down.stdout.count("removed, nothing to do") == 3
    finally:
        machines.on("n2", "nft", "flush", "ruleset")


def test_a_campaign_cuts_and_kills_real_machines_and_leaves_them_as_they_were(machines: Machines) -> None:
    ended = machines.tri("run", CAMPAIGN, "--hosts", str(machines.inventory), "--json")
    assert ended.returncode == 0, ended.stderr
    document = json.loads(ended.stdout)
    assert document["verdict"] == "valid"
    assert [(fault["kind"], fault["verified"]) for fault in document["faults"]] == [("cut", True), ("kill", True)]
    assert document["ops"]["ok"] > 100
    assert machines.left_behind() == []
    healed = machines.tri("heal", "--hosts", str(machines.inventory), "--json")
    assert json.loads(healed.stdout) == {"undone": [], "faults": [], "failed": []}


@pytest.mark.full
def test_a_cluster_that_stays_is_tested_again_and_again_and_by_one_at_a_time(machines: Machines) -> None:
    inventory = str(machines.inventory)
    attached = ("run", "tests/integration/campaigns/attached.yaml", "--hosts", inventory, "--attach", "--json")
    assert machines.tri(*attached).returncode == 2, "nothing is deployed yet"
    assert machines.tri("deploy", "up", inventory, "--timing", "fast").returncode == 0
    before = rows(machines.tri("deploy", "status", inventory, "--json").stdout)
    with ThreadPoolExecutor(1) as beside:
        first = beside.submit(machines.tri, *attached)
        await_that(lambda: (machines.directory("n1") / "claim.json").exists() or first.done(), "the run's claim")
        refused = machines.tri("deploy", "down", inventory)
        assert refused.returncode == 4 and "n1 is claimed by" in refused.stderr, (refused.stderr, first.result().stderr)
        assert "attached.yaml" in refused.stderr and "hint: wait" in refused.stderr
    for ended in (first.result(), machines.tri(*attached)):
        assert ended.returncode == 0, ended.stderr
        document = json.loads(ended.stdout)
        assert document["verdict"] == "valid" and document["ops"]["ok"] > 50
        assert [(fault["kind"], fault["verified"]) for fault in document["faults"]] == [("kill", True)]
    after = rows(machines.tri("deploy", "status", inventory, "--json").stdout)
    assert all(after[name]["ok"] and after[name]["lag"] == 0 for name in NAMES)
    assert int(str(after["n1"]["commit"])) > int(str(before["n1"]["commit"]))
    refused = machines.tri(*attached[:-2])
    assert refused.returncode == 4 and "cluster 'machines' was deployed to stay" in refused.stderr
    assert (
        rows(machines.tri("deploy", "status", inventory, "--json").stdout)["n2"]["detail"] == after["n2"]["detail"]
    ), "none that was refused did any harm"
    assert machines.tri("deploy", "down", inventory).returncode == 0
    assert machines.left_behind() == []


@pytest.mark.full
def test_where_one_node_cannot_start_the_others_results_are_kept(machines: Machines, tmp_path: Path) -> None:
    inventory = str(machines.inventory)
    with machines.listener("n2", 10000):
        ended = machines.tri("run", CAMPAIGN, "--hosts", inventory)
        assert ended.returncode == 4
        _, _, message = ended.stderr.partition("error: ")
        assert message.startswith("deploying reference failed on 1 of 3 hosts:\n  n2: the node ended 5 times")
        for end_of_its_log in ("cannot listen", "10.78.0.2:10000", "Address already in use", "exit code 4"):
            assert end_of_its_log in message
        assert "n1:" not in message and "n3:" not in message and "\n\nhint: " in message
        (folder,) = {
            path.parent
            for path in (machines.inventory.parent / "runs/three-machines").rglob("logs")
            if json.loads((path.parent / "run.json").read_text())["state"] == "open"
        }
        assert {path.parent.name for path in folder.glob("logs/*/node.log")} == set(NAMES)
        assert (folder / "trace/n1.jsonl").exists() and (folder / "trace/n3.jsonl").exists()
        assert machines.left_behind() == []
        # A deployment looks first, and touches no machine when one refuses.
        up = machines.tri("deploy", "up", inventory, "--json")
        assert up.returncode == 4
        assert {name: row["ok"] for name, row in rows(up.stdout).items()} == {"n1": True, "n2": False, "n3": True}
        assert "n2: port 10000/tcp is taken by a process" in up.stderr and "hint: n2: stop it there" in up.stderr
        assert "nothing was changed" in up.stdout and machines.left_behind() == []


def test_unknown_and_changed_host_keys_are_refused(machines: Machines) -> None:
    lines = machines.inventory.with_name("known_hosts").read_text().splitlines()
    known = [next(line for line in lines if line.startswith(f"[10.78.0.{i}]")) for i in (1, 2, 3)]
    host, kind, _ = known[1].split()
    few = machines.inventory.with_name("few")
    for lines, said in (
        ([known[0], known[2]], "the host's key is not known"),
        ([known[0], f"{host} {kind} {known[0].split()[2]}", known[2]], "does not match the known one"),
    ):
        few.write_text("\n".join(lines) + "\n")
        inventory = machines.write_inventory("careful.yaml", known_hosts="few")
        refused = machines.tri("deploy", "up", str(inventory), "--json")
        assert refused.returncode == 4 and said in refused.stderr and "n2 (" in refused.stderr
        assert {name: row["ok"] for name, row in rows(refused.stdout).items()} == {"n1": True, "n2": False, "n3": True}
    assert machines.tri("deploy", "down", str(machines.inventory)).returncode == 0
    assert machines.left_behind() == []


def test_a_bad_inventory_is_refused_with_every_mistake_and_its_line(tri, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(
        "consent: false\nhosts:\n  - {name: n1, address: 203.0.113.1}\n"
        "  - {name: N_2, address: 203.0.113.2, prt: 23}\n  - {name: n1, address: 203.0.113.3, directory: /}\n"
    )
    for words in (("deploy", "up", str(path)), ("run", CAMPAIGN, "--hosts", str(path))):
        ended = tri(*words)
        assert ended.exit_code == 2
        for line in (1, 4, 5):
            assert f"{path}:{line}" in ended.stderr
        assert "hint:" in ended.stderr and "Traceback" not in ended.stderr
