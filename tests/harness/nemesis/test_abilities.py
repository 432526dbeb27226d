"""What hosts can do is found out on them: each ability with its means, and what is missing with its reason and what would help."""

from __future__ import annotations

import pytest

from tribulation.harness.errors import FaultError
from tribulation.harness.hosts.base import Host
from tribulation.harness.hosts.local import LocalProvider
from tribulation.harness.nemesis.schedule.abilities import (
    EVERY,
    INSTEAD,
    PROBES,
    require_abilities,
    survey,
    try_abilities,
)


def test_every_ability_is_reported_with_its_means_or_why_not(lab: LocalProvider) -> None:
    rows = survey(lab, lab.hosts[:1])
    assert {row.ability for row in rows} == {*EVERY, *INSTEAD}
    assert {row.host for row in rows} == {"(all)", "n1"}
    assert all(row.detail and (row.ok or row.hint) for row in rows)
    assert {row.ability for row in rows if not row.ok} >= set(INSTEAD)


@pytest.mark.full
def test_means_are_reported_by_ability_and_host(lab: LocalProvider) -> None:
    able = next(row.ability for row in try_abilities(lab.hosts[:1]) if row.ok)
    found = require_abilities(lab.hosts, [able, "cut"])
    assert set(found) == {able} and set(found[able]) == {"n1", "n2", "n3"}, (
        "what needs no trying has no means to report"
    )


def test_all_that_is_missing_is_reported_at_once(lab: LocalProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that lacks two things: for the trial of one of each, probes that say so."""

    def without(tool: str) -> object:
        def probe(host: Host) -> str:
            raise FaultError(f"{host.name} has no {tool}", f"apt install {tool}")

        return probe

    monkeypatch.setattr(
        "tribulation.harness.nemesis.schedule.abilities.PROBES",
        {**PROBES, "one": without("one"), "two": without("two")},
    )
    with pytest.raises(FaultError) as refused:
        require_abilities(lab.hosts[:1], ["two", "one"])
    assert "one on n1: n1 has no one" in refused.value.message and "two on n1" in refused.value.message
    assert refused.value.hint == "apt install one; apt install two"
