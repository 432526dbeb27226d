"""Histories recorded by other projects, with the verdicts that were published. Runs only where they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tribulation.checkers import Verdict, check
from tribulation.histories.formats.awdit import read_awdit
from tribulation.histories.formats.isovista import read_isovista

from .stories import kinds

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "histories"
LEVELS = ("read-committed", "read-atomic", "causal")
VERDICTS = json.loads((FOLDER / "verdicts.json").read_text(encoding="utf-8")) if FOLDER.is_dir() else {}
OF_LEVELS = {name: about["strongest_level"] for name, about in VERDICTS.items() if "strongest_level" in about}
BROKEN = [name for name in VERDICTS if name.startswith("isovista/")]

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the recorded histories are not here")


@pytest.mark.parametrize("name", OF_LEVELS)
@pytest.mark.parametrize("level", LEVELS)
def test_the_strongest_level_that_holds(name: str, level: str) -> None:
    holds = OF_LEVELS[name] != "none" and LEVELS.index(level) <= LEVELS.index(OF_LEVELS[name])
    wanted = Verdict.VALID if holds else Verdict.INVALID
    source = read_awdit(FOLDER / name)
    assert check(source, [level])[level].verdict is wanted
    assert check(source, ["rw-register"], consistency=level)["rw-register"].verdict is wanted


@pytest.mark.parametrize("name", BROKEN)
def test_anomalies_of_real_databases(name: str) -> None:
    source = read_isovista(FOLDER / name)
    for judge in ("causal", "rw-register"):
        result = check(source, [judge])[judge]
        assert result.verdict is Verdict.INVALID
        assert all(len(anomaly.ops) <= 6 for anomaly in result.anomalies)


def test_the_example_of_the_elle_paper() -> None:
    result = check(FOLDER / "elle/paper-example.edn", ["list-append"])["list-append"]
    assert kinds(result) == {"G-single"}


def test_snapshot_isolation_without_g_single() -> None:
    path = FOLDER / "elle/si-without-g-single.edn"
    assert kinds(check(path, ["list-append"], consistency="serializable")["list-append"]) == {"G2-item"}
    assert check(path, ["list-append"], consistency="snapshot-isolation")["list-append"].verdict is Verdict.VALID
