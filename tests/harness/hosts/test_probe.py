"""The doctor's rows for local hosts: all good here; and what is said when something is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tribulation.harness.errors import CampaignError
from tribulation.harness.hosts.local import launch
from tribulation.harness.hosts.selection.probe import MACHINE, run_doctor


def test_local_hosts_pass_every_required_probe(namespaces: None) -> None:
    up: list[str] = []
    rows = run_doctor(
        "local",
        ports=(10000, 10001),
        examine=lambda provider, hosts: up.extend(h.run("hostname").stdout for h in hosts),
    )
    assert up == ["n1\n"], "who looks further meets hosts that are up"
    assert [(row.probe, row.host) for row in rows if row.required] == [
        ("programs", MACHINE),
        ("namespaces", MACHINE),
        ("bridge, veth", MACHINE),
        ("nft", MACHINE),
        ("lab of one host", MACHINE),
        ("sudo", "n1"),
        ("python", "n1"),
        ("nft", "n1"),
        ("disk", "n1"),
        ("port 10000 free", "n1"),
        ("port 10001 free", "n1"),
        ("machine's clock safe", "n1"),
    ]
    assert [row for row in rows if row.required and not row.ok] == []
    assert all(row.hint for row in rows if not row.ok) and all(row.detail for row in rows)


def test_a_taken_port_is_reported_with_what_to_do(namespaces: None) -> None:
    row = next(row for row in run_doctor("local", ports=(22,)) if row.probe == "port 22 free")
    assert not row.ok and "Address already in use" in row.detail and "sport = :22" in str(row.hint)


def test_missing_programs_end_the_examination_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "SEARCH_PATH", str(tmp_path))
    rows = run_doctor("local")
    assert not rows[0].ok and "openssh-server" in str(rows[0].hint)
    assert {row.host for row in rows} == {MACHINE} and "lab of one host" not in [row.probe for row in rows]


@pytest.mark.parametrize("provider", ["sim", "ssh", "x"])
def test_what_has_no_probes_is_refused(provider: str) -> None:
    with pytest.raises(CampaignError, match="nothing to probe"):
        run_doctor(provider)
