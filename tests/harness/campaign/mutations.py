"""Campaigns that are nearly right: the published ones with fields changed, added, moved and left out, from the schema and from what other campaigns say.

Nothing here lists fields: the names at a place come from the models there, values from their annotations, from every published campaign and from the
bounds of numbers, so that a new field is tried without a change.
"""

from __future__ import annotations

import copy
import enum
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from tribulation.harness.campaign.model import Campaign
from tribulation.harness.user_files.yaml_loader import _field_names, _flatten, _step, load_yaml
from tribulation.harness.workloads import WORKLOADS

Location = tuple[Any, ...]
ROOT = Path(__file__).parents[3]
PUBLISHED: list[dict[str, Any]] = [load_yaml(path)[0] for path in sorted((ROOT / "campaigns").rglob("*.yaml"))]

NUMBERS = [n + d for n in (0, 1, 9, 32, 200, 1000, 2**31, 2**53, 2**63, 2**64) for d in (-1, 0, 1)]
HOSTILE: list[Any] = [
    *NUMBERS,
    *(-n for n in NUMBERS),
    10**30,
    10**400,
    True,
    None,
    0.5,
    1e308,
    float("inf"),
    float("nan"),
    *(f"{n}{unit}" for n in ("0", "1", "0.5", "1001", "9" * 20, "-1", "-60") for unit in ("ns", "ms", "s", "h", "m")),
    *(
        f"{n}{unit}"
        for n in ("0", "1", "50.5", "9" * 20)
        for unit in ("/s", "/m", "%", "KiB", "GiB", "bit", "mbit", "")
    ),
    *(
        "",
        "x",
        "é" * 300,
        "n1",
        "n9",
        "clients",
        "leader",
        "random(2)",
        "random(99)",
        "region(eu)",
        "role(worker)",
        "all",
        "auto",
    ),
    *("\x1b[31m", "a\x00b", "\ud800", "[", "~", "=", "1" * 5000, "../../x", "/dev/zero", "yes", "12:30", "none"),
    *(
        [],
        {},
        [None],
        {"x": 1},
        {"": {}},
        [["n1", "n2"]],
        ["n1", "n1"],
        {"n1": 1},
        {"n1": 0},
        {1: 2},
        [1] * 1001,
        ["n1", "n2", "n3"],
    ),
]


def places(value: Any, at: Location = ()) -> Iterator[Location]:
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*at, key))


def value_at(data: Any, at: Location) -> Any:
    for part in at:
        data = data[part]
    return data


def _seen(data: Any, found: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """What published campaigns say under each name."""
    for at in places(data):
        if at and isinstance(at[-1], str):
            found.setdefault(at[-1], []).append(value_at(data, at))
    return found


SEEN: dict[str, list[Any]] = {}
for _campaign in PUBLISHED:
    _seen(_campaign, SEEN)


def names_at(at: Location, model: Any = Campaign) -> list[str]:
    """The fields that the schema has there; a workload's, where it is one."""
    model, rest = _model_at(at, model)
    return _field_names(model, rest)


def words_at(at: Location, model: Any = Campaign) -> list[Any]:
    """The values that annotations there name: of literals and enums."""
    model, rest = _model_at(at, model)
    candidates = _flatten(model)
    for part in rest:
        candidates = [inner for candidate in candidates for inner in _step(candidate, part)]
    return [word for candidate in candidates for word in _words(candidate)]


def _model_at(at: Location, model: Any) -> tuple[Any, Location]:
    """A campaign has its workloads as plain mappings; each has a model of its own."""
    if model is Campaign and len(at) >= 3 and at[0] == "workloads" and at[2] in WORKLOADS:
        return WORKLOADS[at[2]][0], at[3:]
    return model, at


def _words(annotation: Any) -> Iterator[Any]:
    if typing.get_origin(annotation) is typing.Literal:
        yield from typing.get_args(annotation)
    elif isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        yield from (member.value for member in annotation)
    else:
        for inner in typing.get_args(annotation):
            yield from _words(inner)


@st.composite
def mutated(draw: Any, bases: list[dict[str, Any]] = PUBLISHED, model: Any = Campaign) -> dict[str, Any]:
    """A published campaign, or another document of a model, with one to four changes."""
    data = copy.deepcopy(draw(st.sampled_from(bases)))
    for _ in range(draw(st.sampled_from((1, 1, 1, 2, 2, 3, 4)))):
        at = draw(st.sampled_from([place for place in places(data) if place]))
        parent, last = value_at(data, at[:-1]), at[-1]
        match draw(st.sampled_from(("change", "change", "add", "add", "remove", "repeat", "exchange"))):
            case "change":
                parent[last] = draw(_value(at, model))
            case "add":
                mapping = next(
                    value_at(data, at[:n]) for n in range(len(at), -1, -1) if isinstance(value_at(data, at[:n]), dict)
                )
                where = next(at[:n] for n in range(len(at), -1, -1) if isinstance(value_at(data, at[:n]), dict))
                known = names_at(where, model) or sorted(SEEN)
                name = draw(st.sampled_from(known))
                mapping[name] = draw(_value((*where, name), model))
            case "remove":
                del parent[last]
            case "repeat":
                if isinstance(parent, list):
                    parent.extend(copy.deepcopy(parent[last]) for _ in range(draw(st.sampled_from((1, 2, 300)))))
            case "exchange":
                others = [place for place in places(data) if place and place[: len(at)] != at]
                other = draw(st.sampled_from(others or [at]))
                parent[last] = copy.deepcopy(value_at(data, other))
        if not data:
            break
    return data


def _value(at: Location, model: Any) -> st.SearchStrategy[Any]:
    """Of the schema, of other campaigns' fields of that name, or hostile."""
    usual = words_at(at, model) + SEEN.get(str(at[-1]), [])
    hostile = st.one_of(st.sampled_from(HOSTILE), st.integers(), st.text(max_size=20))
    if not usual:
        return hostile.map(copy.deepcopy)
    return st.integers(0, 4).flatmap(lambda n: st.sampled_from(usual) if n else hostile).map(copy.deepcopy)


SNIPPETS = (
    "*a",
    "&a ",
    "!!x ",
    "\t",
    "- ",
    "? ",
    ": ",
    "{",
    "[",
    "]",
    "'",
    '"',
    "\n",
    "#",
    "%",
    "|",
    "<<: *a",
    "\ufeff",
    "\x07",
    "---\n",
    "...\n",
)


@st.composite
def damaged(draw: Any, bases: list[dict[str, Any]] = PUBLISHED, model: Any = Campaign) -> str:
    """The text of a mutated document, at times with a few letters lost, doubled or put in."""
    text = yaml.safe_dump(draw(mutated(bases, model)), sort_keys=False, allow_unicode=draw(st.booleans()))
    for _ in range(draw(st.sampled_from((0, 0, 0, 0, 0, 0, 1, 3)))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 40)))
        put = draw(st.one_of(st.sampled_from(SNIPPETS), st.just(text[start:end] * 2), st.text(max_size=5)))
        text = text[:start] + put + text[end:]
    return text
