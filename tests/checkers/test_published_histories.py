"""Recorded histories of other projects, with the verdicts that those published. Skipped where the collection is not beside the project."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from checkers import Verdict
from checkers.budget import Meter
from checkers.linearizable import check_object
from histories import Operation, Type
from histories.formats import read_edn_history, read_jepsen_log

FOLDER = Path(__file__).parents[2].parent / "shared" / "histories"
MODELS = ("cas-register", "mutex", "kv-append")
TIME_S = 5.0


def published() -> dict[str, Any]:
    index = FOLDER / "verdicts.json"
    if not index.is_file():
        return {}
    return {name: about for name, about in json.loads(index.read_text()).items() if about["model"] in MODELS}


PUBLISHED = published()


@pytest.mark.skipif(not PUBLISHED, reason="no collection of published histories beside the project")
@pytest.mark.parametrize("name", PUBLISHED or ["none"])
def test_published_verdict(name):
    about = PUBLISHED[name]
    verdicts = [check_object(ops, key, Meter(TIME_S, 500)) for key, ops in _objects(name, about).items()]
    assert all(found.verdict is not Verdict.UNKNOWN for found in verdicts), verdicts
    assert all(found.verdict is Verdict.VALID for found in verdicts) == about["valid"]
    for found in verdicts:
        if found.anomaly is not None:
            assert found.anomaly.ops and found.anomaly.explanation.endswith(".")


def _objects(name: str, about: dict[str, Any]) -> dict[Any, list[Operation]]:
    path = FOLDER / name
    history = read_jepsen_log(path) if about["format"] == "jepsen-log" else read_edn_history(path)
    objects = history.by_key()
    if name.startswith("knossos"):
        # There a read of nil is one whose value is not known.
        return {key: [_nil_is_unknown(op) for op in ops] for key, ops in objects.items()}
    return objects


def _nil_is_unknown(op: Operation) -> Operation:
    return replace(op, type=Type.INFO, complete_index=None) if op.f == "read" and op.result is None else op
