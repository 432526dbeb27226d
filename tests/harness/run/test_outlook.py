"""What a run takes is known before it begins: privileges, hosts, time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.run.outlook import Outlook, outlook, outlook_of_plan
from tribulation.harness.run.plan.build import make_plan

INVENTORY = """
consent: true
hosts:
  - {name: n1, address: 192.0.2.1, user: root}
  - {name: n2, address: 192.0.2.2, user: debian, sudo: %s}
"""


def _outlook(folder: Path, hosts: str, further: str = "") -> Outlook:
    path = folder / "c.yaml"
    path.write_text(
        f"name: c\nduration: 10s\nsettle: 2s\nfinal: 8s\nhosts: {hosts}\nworkloads: [{{register: {{}}}}]\n{further}"
    )
    return outlook(load_campaign(path), folder)


@pytest.mark.parametrize(
    ("provider", "needs"), [("sim", "no root"), ("local", "no root where"), ("qemu", "root on this machine")]
)
def test_privileges_depend_on_the_provider(tmp_path: Path, provider: str, needs: str) -> None:
    found = _outlook(tmp_path, f"{{provider: {provider}, nodes: 3}}")
    assert found.needs.startswith(needs) and found.hosts == 3


@pytest.mark.parametrize(
    ("sudo", "needs"), [("true", "sudo on 1 of 2 hosts"), ("false", "logins of root, without sudo")]
)
def test_an_inventory_says_where_sudo_is_used(tmp_path: Path, sudo: str, needs: str) -> None:
    (tmp_path / "i.yaml").write_text(INVENTORY % sudo)
    found = _outlook(tmp_path, "{provider: ssh, inventory: i.yaml}")
    assert found.needs.startswith(needs) and found.hosts == 2


def test_the_time_is_that_of_the_plan(tmp_path: Path) -> None:
    found = _outlook(tmp_path, "{provider: sim, nodes: 3}")
    # The load may take up to 5 s longer, the final reads up to 8 s.
    assert str(found) == "needs no root · 3 simulated nodes · 12s to 25s of virtual time"
    plan = make_plan(load_campaign(tmp_path / "c.yaml"), tmp_path)
    assert outlook_of_plan(plan) == found


def test_the_liveness_phase_takes_time_as_well(tmp_path: Path) -> None:
    found = _outlook(tmp_path, "{nodes: 3}", "liveness: {core: majority, rest: down, within: 5s, for: 20s}\n")
    assert found.least_ns >= 32e9 and str(found).endswith("and deployment, healing and checks")
