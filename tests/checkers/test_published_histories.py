"""Recorded histories of other projects, with the verdicts that those published. Skipped where the collection is not next to the project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tribulation.checkers import Budget, Verdict, check
from tribulation.histories import Event, History, Type
from tribulation.histories.formats import read_edn_history, read_jepsen_log

FOLDER = Path(__file__).parents[2].parent / "shared" / "histories"
MODELS = ("cas-register", "mutex", "kv-append")
TIME_S = 5.0


def published() -> dict[str, Any]:
    index = FOLDER / "verdicts.json"
    if not index.is_file():
        return {}
    return {name: about for name, about in json.loads(index.read_text()).items() if about["model"] in MODELS}


PUBLISHED = published()


@pytest.mark.skipif(not PUBLISHED, reason="no collection of published histories next to the project")
@pytest.mark.parametrize("name", PUBLISHED or ["none"])
def test_published_verdict(name):
    about = PUBLISHED[name]
    history = _history(name, about)
    (found,) = check(history, ["linearizable"], Budget(TIME_S, 500), model=about["model"]).values()
    assert found.verdict is (Verdict.VALID if about["valid"] else Verdict.INVALID), found.reason
    for anomaly in found.anomalies:
        assert anomaly.ops and anomaly.explanation.endswith(".")


def _history(name: str, about: dict[str, Any]) -> History:
    path = FOLDER / name
    history = read_jepsen_log(path) if about["format"] == "jepsen-log" else read_edn_history(path)
    if not name.startswith("knossos"):
        return history
    # There a read of nil is one whose value is not known.
    return History(event for event in history if not _answers_nil(event))


def _answers_nil(event: Event) -> bool:
    return event.f == "read" and event.type is Type.OK and event.value is None
