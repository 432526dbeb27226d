"""Findings: one for each kind, causes first, with the counts of what is folded."""

from __future__ import annotations

import pytest

from tribulation.checkers.soundness.severity import STAGES
from tribulation.checkers.traces.traces import Clocks
from tribulation.harness.report.findings import MOST_WITNESSES, findings, moments
from tribulation.harness.report.kinds import MEANINGS, meaning
from tribulation.harness.report.story import Surroundings
from tribulation.harness.report.witness import Operations
from tribulation.histories import parse


def test_causes_come_first_and_repetitions_are_folded() -> None:
    stale = [{"kind": "stale-read", "ops": [at], "explanation": f"stale {at}"} for at in range(8)]
    unconfirmed = {"kind": "Q3-unconfirmed-read", "ops": [4], "explanation": "unconfirmed"}
    lost = {"kind": "diverged", "ops": [], "explanation": "differ"}
    checkers = {
        "convergence": {"anomalies": [lost]},
        "linearizable": {"anomalies": stale},
        "quorum": {"anomalies": [unconfirmed]},
    }
    operations = Operations(parse("p0 w1 p0 w2 p0 w3 p0 w4"))
    found = findings({"checkers": checkers}, operations, Surroundings(), Clocks({}))
    assert [(one.kind, one.count, len(one.witnesses)) for one in found] == [
        ("Q3-unconfirmed-read", 1, 1),
        ("stale-read", 8, MOST_WITNESSES),
        ("diverged", 1, 1),
    ]
    assert moments({"checkers": checkers}, operations) == {}


@pytest.mark.parametrize("kind", sorted({kind for _, kinds in STAGES for kind in kinds}))
def test_every_kind_has_a_sentence(kind: str) -> None:
    assert meaning(kind).endswith((".", ")"))


def test_a_variant_has_the_meaning_of_its_kind() -> None:
    assert meaning("G-single-realtime") == MEANINGS["G-single"]
    assert meaning("never heard of") == "Never heard of: reads that no order allows."
