"""A cluster's authority: what it issues names one node or client, its keys are private, and it is found again where it was kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from tribulation.harness.campaign.model import Campaign
from tribulation.harness.errors import CampaignError, DeployError
from tribulation.harness.run.plan.build import make_plan, reference_options
from tribulation.harness.systems.reference import system as reference
from tribulation.harness.systems.reference.authority import LIFE, MARGIN, Authority, kept_directory
from tribulation.node.runtime.security.identity import Identity


def test_a_certificate_names_its_node_and_is_valid_with_a_margin_for_clocks() -> None:
    found = x509.load_pem_x509_certificate(Authority.new("a cluster").node("n1").certificate)
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["tribulation:a%20cluster:node:n1"]
    now, slack = datetime.now(UTC), timedelta(minutes=5)
    assert abs(now - MARGIN - found.not_valid_before_utc) < slack
    assert abs(now + LIFE + MARGIN - found.not_valid_after_utc) < slack


def test_nothing_shows_a_key() -> None:
    authority = Authority.new("c")
    issued = authority.issue(Identity("c", "client", "x"))
    shown = f"{authority!r} {authority} {issued!r} {issued}"
    assert "PRIVATE" not in shown and authority.datagram_key.decode().strip() not in shown


def test_what_is_kept_is_found_again_and_is_its_owners_alone(tmp_path: Path) -> None:
    directory = tmp_path / "authorities" / "c"
    first = Authority.kept("c", directory)
    again = Authority.kept("c", directory)
    assert (again.certificate, again.datagram_key) == (first.certificate, first.datagram_key)
    assert directory.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o600}


def test_one_that_is_not_whole_or_not_private_is_refused(tmp_path: Path) -> None:
    Authority.kept("c", tmp_path / "c")
    (tmp_path / "c" / "authority.key").chmod(0o644)
    with pytest.raises(DeployError, match="is not private") as refused:
        Authority.kept("c", tmp_path / "c")
    assert "chmod 600" in (refused.value.hint or "")
    (tmp_path / "c" / "authority.key").unlink()
    with pytest.raises(DeployError, match="is not complete"):
        Authority.kept("c", tmp_path / "c")


def test_clusters_that_stay_have_authorities_beside_the_labs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRI_LABS", "/somewhere/labs")
    assert kept_directory("../c") == Path("/somewhere/labs-authorities/..%2Fc")


@pytest.mark.parametrize(
    ("hosts", "asked", "secured"),
    [
        ({"provider": "local", "nodes": 3}, None, False),
        ({"provider": "local", "nodes": 3}, True, True),
        ({"provider": "sim", "nodes": 3}, None, False),
        ({"provider": "ssh", "inventory": "machines.yaml"}, None, True),
        ({"provider": "ssh", "inventory": "machines.yaml"}, False, False),
    ],
)
def test_hosts_that_others_can_reach_have_certificates_unless_it_is_said(
    hosts: dict[str, object], asked: bool | None, secured: bool, tmp_path: Path
) -> None:
    machines = "".join(f"  - {{name: n{i}, address: 192.0.2.{i}, user: root}}\n" for i in (1, 2, 3))
    (tmp_path / "machines.yaml").write_text(f"consent: true\nhosts:\n{machines}")
    described = {"name": "c", "hosts": hosts, "system": {"tls": asked}, "workloads": [{"register": {}}]}
    plan = make_plan(Campaign.model_validate(described), tmp_path)
    assert reference_options(plan)["tls"] is secured


def test_a_client_apart_from_its_service_must_be_reported_where_the_authority_is(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match="cannot find this cluster's authority"):
        reference.client({"tls": True})
    assert reference.client({"tls": True, "authority": str(tmp_path / "c")}) is not None
