"""The testbed against servers whose promises are known: what each checker must say of each lie was written down before it was run.

`tests/systems/controls.py` holds the servers. A control that gets a better verdict than it deserves is a false "valid", the worst defect of this
project; the honest one that gets a worse verdict is a false "invalid".
"""

from __future__ import annotations

import pytest

from tests.full import full
from tests.systems.controls import BEHAVIOURS

CAMPAIGN = "tests/systems/controls.yaml"
VALID, INVALID, UNKNOWN = "valid", "invalid", "unknown"

# behaviour: (linearizable, set, the run, its exit code)
EXPECTED = {
    "honest": (VALID, VALID, VALID, 0),
    "stores-nothing": (INVALID, INVALID, INVALID, 1),
    "loses-writes": (INVALID, INVALID, INVALID, 1),
    # The set's operations are declared linearizable, so a late read is a violation although no element is lost.
    "late-replica": (INVALID, INVALID, INVALID, 1),
    # Nothing was ever answered: there is nothing to be valid.
    "down": (UNKNOWN, UNKNOWN, UNKNOWN, 3),
    # What was answered was right. Whether it would have been kept cannot be known: no final read was answered.
    "freezes": (VALID, VALID, UNKNOWN, 3),
    # Only registers are answered with the value of another key.
    "other-key": (INVALID, VALID, INVALID, 1),
}

QUICK = {"loses-writes"}


def test_every_behaviour_has_an_expected_verdict():
    assert set(EXPECTED) == set(BEHAVIOURS)


@pytest.mark.parametrize("behaviour", [*sorted(QUICK), *full(*sorted(EXPECTED.keys() - QUICK))])
def test_control_gets_the_verdict_that_it_deserves(tri, namespaces, behaviour):
    linearizable, sets, run, exit_code = EXPECTED[behaviour]
    ended = tri("run", CAMPAIGN, "--json", "--seed", "7", "--set", f"system.options.behaviour={behaviour}")
    assert ended.exit_code == exit_code, ended.stderr
    document = ended.document
    found = {name: result["verdict"] for name, result in document["checkers"].items()}
    assert (found["linearizable"], found["set"], document["verdict"]) == (linearizable, sets, run)
    assert [fault["verified"] for fault in document["faults"]] == [True], "the fault was real"
