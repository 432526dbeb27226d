"""Validation of what commands print with `--json` against the schema of that command."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

from jsonschema import Draft202012Validator

from tribulation.harness.cli.catalogue.documents import DOCUMENTS
from tribulation.harness.cli.catalogue.schemas import schema

_BY_WORDS = {
    ("hosts", "up"): "hosts-up",
    ("hosts", "list"): "hosts-list",
    ("list", "runs"): "runs",
    ("run",): "verdict",
    ("check",): "verdict",
    ("nodes-bench",): "cluster-bench",
    **{(name,): name for name in ("list", "show", "search", *DOCUMENTS)},
}


def schema_of(words: tuple[str, ...]) -> str | None:
    """The name of the schema of what `tri WORDS --json` prints; None where it is one of several, or none."""
    if words[:2] == ("show", "schema") or words[0] == "shrink":
        return None
    if words[0] == "run" and "--repeat" in words:
        return "repeat"
    return _BY_WORDS.get(words[:2]) or _BY_WORDS.get(words[:1])


def problems(name: str, document: Any) -> list[str]:
    """What is wrong with `document` by that schema. What only commands print may have no field that the schema lacks."""
    wanted = _closed(schema(name)) if name in DOCUMENTS else schema(name)
    found = Draft202012Validator(wanted).iter_errors(json.loads(json.dumps(document)))
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message[:300]}" for error in found]


def _closed(part: Any) -> Any:
    part = deepcopy(part)
    if isinstance(part, dict):
        part = {key: _closed(value) for key, value in part.items()}
        if part.get("type") == "object" and "properties" in part:
            part["additionalProperties"] = False
    elif isinstance(part, list):
        part = [_closed(value) for value in part]
    return part
