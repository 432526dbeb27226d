"""Ways to machines: IPv6, names, and a bastion before a wall; and machines that are refused however one gets to them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.machines import GATE, NAMES, ROOT, Machines

SHORT = "tests/integration/campaigns/cut-short.yaml"
EVERY_LINK = "tests/integration/campaigns/total-cut.yaml"


@pytest.fixture(scope="module")
def machines(namespaces: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    folder = tmp_path_factory.mktemp("machines")
    with Machines(folder, folder / "labs").up() as machines:
        yield machines


@pytest.mark.full
def test_a_campaign_runs_over_ipv6(machines: Machines) -> None:
    inventory = machines.write_inventory("six.yaml", at='address: "[fd78::{i}]"')
    ended = machines.tri("run", SHORT, "--hosts", str(inventory), "--json")
    assert ended.returncode == 0, ended.stderr
    document = json.loads(ended.stdout)
    assert document["verdict"] == "valid" and document["ops"]["ok"] > 50
    assert [(fault["kind"], fault["verified"]) for fault in document["faults"]] == [("cut", True), ("kill", True)]
    run = next(path for path in (machines.inventory.parent / "runs").rglob("run.json"))
    config = json.loads((run.parent / "logs/n1/config.json").read_text())
    assert config["peers"]["n2"] == ["fd78::2", 10000]
    assert machines.left_behind() == []


@pytest.mark.full
def test_control_survives_a_total_cut_through_a_bastion_and_clients_go_that_way_too(machines: Machines) -> None:
    with machines.walled() as gate:
        unreached = machines.write_inventory("walled.yaml", at="address: 10.78.0.{i}, login_timeout: 1s")
        refused = machines.tri("deploy", "status", str(unreached))
        assert refused.returncode == 4 and refused.stdout.count("no connection within 1 s") == 3
        inventory = machines.write_inventory(
            "jump.yaml", at="address: fd78::{i}, login: 10.78.0.{i}", head=f"jump: {gate}"
        )
        ended = machines.tri("run", EVERY_LINK, "--hosts", str(inventory), "--json")
        document = json.loads(ended.stdout)
        unsure = {name for name, reported in document["checkers"].items() if reported["verdict"] != "valid"}
        assert unsure == {"vacuity"}, document["checkers"]
        every_link, clients_cut = document["faults"]
        assert every_link["verified"] and every_link["healed_ns"] is not None and document["ops"]["ok"] > 20
        # No datagram goes through a bastion: that clients were cut off is done, undone and felt, but never seen by probes.
        assert ended.returncode == 3 and document["unverified"] == [clients_cut["id"]]
        assert clients_cut["healed_ns"] is not None and document["ops"]["fail"] > 20
    assert machines.left_behind() == []


@pytest.mark.full
def test_a_campaign_is_refused_where_ssh_has_a_way_and_the_clients_have_none(machines: Machines) -> None:
    config = machines.inventory.parent / ".ssh/config"
    config.parent.mkdir(exist_ok=True)
    with machines.walled() as gate:
        config.write_text(
            f"Host 10.78.0.1 10.78.0.2 10.78.0.3\n  ProxyJump {gate}\nHost *\n  IdentityFile {machines.key}\n"
        )
        try:
            refused = machines.tri("run", SHORT, "--hosts", str(machines.inventory))
            doctor = machines.tri("doctor", SHORT, "--hosts", str(machines.inventory))
        finally:
            config.unlink()
    assert refused.returncode == 4 and "some machines cannot reach these hosts" in refused.stderr
    assert refused.stderr.count("clients do not reach it: timed out") == 3 and "write `jump:`" in refused.stderr
    assert "deploy " not in refused.stderr.partition("error:")[0] and machines.left_behind() == []
    assert doctor.returncode == 4 and " ".join(doctor.stdout.split()).count("reached n") == 3
    table = [line.split() for line in doctor.stdout.splitlines()]
    assert ["fault", *NAMES] in table and ["kill", "works", "works", "works"] in table, doctor.stdout


def test_the_bastions_key_is_checked_and_what_it_cannot_do_is_reported(machines: Machines) -> None:
    known = machines.inventory.with_name("known_hosts").read_text().splitlines()
    without = machines.inventory.with_name("without-gate")
    without.write_text("\n".join(line for line in known if "]:2209 " not in line) + "\n")
    with machines.walled() as gate:
        for written, where, said in (
            ("without-gate", "address: 10.78.0.{i}", "the host's key is not known"),
            ("known_hosts", "address: 10.78.0.{i}, login: 10.78.0.9", "has no connection to 10.78.0.9:220"),
        ):
            where += ", login_timeout: 3s"
            inventory = machines.write_inventory("gate.yaml", known_hosts=written, at=where, head=f"jump: {gate}")
            refused = machines.tri("deploy", "status", str(inventory), "--json")
            listed = [row["error"] for row in json.loads(refused.stdout)["hosts"]]
            assert refused.returncode == 4 and len(listed) == 3
            assert all(said in error and "bastion 10.78.0.9 (" in error and "hint: " in error for error in listed), (
                listed
            )


def test_this_machine_and_one_machine_twice_are_refused(machines: Machines) -> None:
    folder = machines.inventory.parent
    here = machines.write_inventory("here.yaml", at="address: 10.78.0.254, login: 10.78.0.{i}")
    # An sshd in the network where `tri` runs: the harness's own machine, by whatever name one gets there.
    text = here.read_text().replace("address: 10.78.0.254, login: 10.78.0.1", "address: fd78::254, login: fd78::254")
    twice = text.replace("address: 10.78.0.254, login: 10.78.0.3, port: 2203", "address: first.example, port: 2201")
    here.write_text(twice.replace("address: 10.78.0.254, login: 10.78.0.2, port: 2202", "address: fd78::1, port: 2201"))
    with open(folder / "known_hosts", "a") as known:
        key = next(line for line in known_lines(folder) if "]:2201 " in line).split(" ", 1)[1]
        known.write(f"[fd78::254]:2201 {key}\n")
    with machines.sshd_here("n1"):
        refused = machines.tri("run", SHORT, "--hosts", str(here))
        assert refused.returncode == 4 and "logging in failed on 3 of 3 hosts" in refused.stderr
        assert "n1 (" in refused.stderr and "is this machine itself" in refused.stderr
        assert "is the same machine as n3" in refused.stderr and "is the same machine as n2" in refused.stderr
        doctor = machines.tri("doctor", "--hosts", str(here), "--json")
        rows = json.loads(doctor.stdout)["probes"]
        assert doctor.returncode == 4
        assert [row["host"] for row in rows if row["probe"] == "ssh login" and not row["ok"]] == list(NAMES)
    assert GATE not in refused.stderr and machines.left_behind() == []


def known_lines(folder: Path) -> list[str]:
    return (folder / "known_hosts").read_text().splitlines()


KILLED = """
import os, signal, sys, time
from pathlib import Path
from tribulation.harness.hosts.ssh.provider import SshProvider
from tribulation.harness.nemesis.faults.fault import Intent, Resolved
from tribulation.harness.nemesis.inject.injector import HostInjector
from tribulation.harness.nemesis.faults.ledger import Ledger
from tests.harness.nemesis.plain_service import Supervised

provider = SshProvider.from_file(sys.argv[1])
ledger = Ledger(Path(sys.argv[2]))
hosts = list(provider.up())
injector = HostInjector(
    hosts, provider, Supervised(), ledger, time.monotonic_ns, seed=0, lease_s=3600, run="story, seed 5"
)
injector.start()
edges = [[a, b] for a in ("n1", "n2", "n3") for b in ("n1", "n2", "n3") if a != b]
seen = injector.inject(Resolved(Intent("cut-all.1", "cut", {}, 0, None, "cut-all.1"), {"edges": edges}))
print("in force" if seen.verified else seen.observed, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_with_the_inventory_alone_another_machine_heals_what_a_killed_harness_left(
    machines: Machines, tmp_path: Path
) -> None:
    """One of the addresses is a name: firewalls know none."""
    inventory = machines.write_inventory("left.yaml")
    inventory.write_text(inventory.read_text().replace("address: 10.78.0.1,", "address: first.example,"))
    left = machines.run("env", f"PYTHONPATH={ROOT}", sys.executable, "-c", KILLED, str(inventory), f"{tmp_path}/l")
    assert left.stdout == "in force\n" and left.returncode != 0, left.stderr
    one_away = inventory.with_name("one-away.yaml")
    one_away.write_text(inventory.read_text().replace("port: 2203", "port: 2299"))
    elsewhere = (
        "env",
        f"HOME={tmp_path}",
        "USER=somebody",
        sys.executable,
        "-m",
        "tribulation.harness.cli",
        "heal",
        "--hosts",
    )
    first = machines.run(*elsewhere, str(one_away), "--json")
    assert first.returncode == 4 and "not healed: n3: n3 (" in first.stderr and "connection refused" in first.stderr
    reported = json.loads(first.stdout)
    assert [failed["host"] for failed in reported["failed"]] == ["n3"]
    assert [entry.split(" (")[0] for entry in reported["undone"]] == [
        f"{name}: cut: table inet tribulation" for name in ("n1", "n2")
    ]
    assert [(f["host"], f["id"], f["kind"], f["run"]) for f in reported["faults"]] == [
        (name, "cut-all.1", "cut", "story, seed 5") for name in ("n1", "n2")
    ]
    second = machines.run(*elsewhere, str(inventory))
    assert second.returncode == 0
    whose, what = second.stdout.splitlines()
    assert whose.startswith("n3: cut-all.1 (cut) of story, seed 5, by ") and " since 20" in whose
    assert what.startswith("n3: cut: table inet tribulation")
    tables = [machines.on(name, "nft", "list", "tables") for name in NAMES]
    assert tables == ["", "", ""]
    assert "no fault was active" in machines.run(*elsewhere, str(inventory)).stderr
