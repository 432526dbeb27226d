"""Each question to an agent has the shape of its answer: what lacks it is an error of the host, by its name, and no bug of ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tribulation.harness.agent.apply import PARTS
from tribulation.harness.agent.main import Agent
from tribulation.harness.agent.state.store import Store
from tribulation.harness.errors import FaultError
from tribulation.harness.nemesis.agent_client.answers import parsed
from tribulation.harness.nemesis.agent_client.shapes import LOST, SHAPES, question_of

BURST = dict.fromkeys(("came", "twice", "overtaken", "least_ns", "median_ns", "most_ns", "span_ns"), 1)
DAMAGE = {"id": "f1", "effect": "bit-rot", "file": "log", "offset": 1, "still": True}
GOOD: dict[str, dict[str, Any]] = {
    "hello": {"port": 1, "addresses": ["10.0.0.1"]},
    "configure": {},
    "set": {},
    "renew": {"in_force": {}, "undone": 0},
    "epoch": {},
    "heard": {"heard": {"n1": [1, 2, 3, 4]}, "period_s": 0.1},
    "burst": {},
    "arrived": {"arrived": {"n1": BURST}, "damaged": {"n1": 1}},
    "arrived counts": {"arrived": 1, "sending": False},
    "process": {"pid": None, "state": None, "started": None, "running": [], "stopped": ["7 server"]},
    "time": {"mono_ns": 1, "wall_ns": 1},
    "clear": {"undone": ["cut"]},
    "heal": {"undone": [], "faults": [{"id": "f1", "at_ns": 1}]},
    "look clock": {
        "readings": [[1, 2, 3]],
        "pid": 7,
        "affected": True,
        "why": [],
        "means": ["shim"],
        "processes": 1,
        "uncounted": "no counters",
        "left": [7],
        "late": {"processes": 1, "most_ms": 2},
    },
    "look clock try": {"why": None},
    "look clock reach": {"missed": ["7 server"]},
    "look clock standing": {"readings": []},
    "look disk": {
        "results": {"f1": {"changed": True, "model": "plain", **dict.fromkeys(LOST, 0)}, "f2": {}},
        "forgot": 0,
        "pending_bytes": 0,
        "damage": [DAMAGE],
        "device": {"error": None, "took_ns": 7, "durable": True},
        "files": ["log"],
    },
    "look disk lose_power": {"lost": {"model": "plain", **dict.fromkeys(LOST, 0)}},
    "look limits abilities": {"abilities": {name: {"means": None, "why": "none"} for name in ("cpu", "memory")}},
    "look limits cpu": {"pid": 7, "inside": False, "means": "signals", "outside": [], "quota_ppm": None, "share_ppm": 1, "throttled": 0},
    "look limits memory": {"pid": 7, "inside": True, "group_bytes": 1, "oom_kills": 0, "probe_killed": None, "means": "cgroup", "outside": [], "resident_bytes": 1},
    "look limits descriptors": {"pid": 7, "descriptors": 8, "open": 8, "of_all": [8]},
    "look links abilities": {"abilities": {"netem": True, "queue": "nft", "copies": True, "resets": False}},
    "look links connections": {"connections": [[1, "10.0.0.1", 2, 3]]},
    "look links counters": {"counters": None, "refused": 0},
    "look names abilities": {"abilities": None},
    "look names names": {"names": {"n1": ["10.0.0.1"]}},
}  # fmt: skip
NOT_CHECKED = {("look disk", "forgot"), ("look disk", "pending_bytes"), ("look links counters", "counters")}
"""Only asked whether they are there, and whether they are empty."""
WRONG: tuple[Any, ...] = ("x", 7.5, [[]], [{}], {"a": [{}]}, {"model": 1}, [None], True, {"a": 1.5})
"""Of each field most are wrong; where one fits by chance, the field is not refused for it."""


def line(answer: dict[str, Any]) -> str:
    return json.dumps({"ok": True, **answer})


def test_every_question_that_an_agent_knows_has_a_shape(tmp_path: Path) -> None:
    """A verb, and a part that can look, without one would be read unchecked."""
    verbs = {*Agent(Store(str(tmp_path)), "").verbs(), "heal"}
    looking = {part.NAME for part in PARTS if hasattr(part, "look")}
    assert {question.split()[0] for question in SHAPES} == verbs
    assert {question.split()[1] for question in SHAPES if question.startswith("look ")} == looking
    assert SHAPES.keys() == GOOD.keys()


@pytest.mark.parametrize("question", SHAPES)
def test_a_right_answer_is_kept_whole_and_what_is_not_known_reaches_no_reader(question: str) -> None:
    good = GOOD[question]
    shape = SHAPES[question]
    assert good.keys() == {*shape.needed, *shape.others}
    assert parsed("n1", question, line({**good, "new": 1})) == {"ok": True, **good}


@pytest.mark.parametrize(("question", "field"), [(q, name) for q, good in GOOD.items() for name in good])
def test_a_field_of_the_wrong_shape_or_missing_is_an_error_of_the_host(question: str, field: str) -> None:
    good = GOOD[question]
    if field in SHAPES[question].needed:
        with pytest.raises(FaultError, match=f"agent of n1 answered to '{question}' without a proper '{field}'"):
            parsed("n1", question, line({name: value for name, value in good.items() if name != field}))
    refused = 0
    for wrong in WRONG:
        try:
            parsed("n1", question, line({**good, field: wrong}))
        except FaultError as error:
            assert f"'{field}'" in error.message and error.hint
            refused += 1
    assert refused >= len(WRONG) - 3 or (question, field) in NOT_CHECKED


@pytest.mark.parametrize(
    ("request_", "question"),
    [
        ({"do": "renew"}, "renew"),
        ({"do": "arrived", "number": 1}, "arrived"),
        ({"do": "arrived", "number": 1, "counts": True}, "arrived counts"),
        ({"do": "look", "part": "disk", "probe": "wait"}, "look disk"),
        ({"do": "look", "part": "disk", "lose_power": {}}, "look disk lose_power"),
        ({"do": "look", "part": "clock", "effect": False, "paused": True}, "look clock"),
        ({"do": "look", "part": "clock", "try": ""}, "look clock try"),
        ({"do": "look", "part": "clock", "reach": True}, "look clock reach"),
        ({"do": "look", "part": "limits", "what": "cpu", "measure": True}, "look limits cpu"),
    ],
)
def test_a_question_is_the_verb_and_what_is_asked(request_: dict[str, Any], question: str) -> None:
    assert question_of(request_) == question
