"""YAML that remembers its lines, and pydantic errors that name them: `campaign.yaml:12: hosts.nodes: …`.

    data, positions = load_yaml(path)
    inventory = validate(Inventory, data, positions, path)      # or CampaignError with every problem at once

Both raise only `CampaignError` for errors of the user, within bounds on size, depth and numbers (`yaml_bounds`), and never print more than a
few lines of the file. It knows nothing about campaigns or inventories.
"""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pydantic
import yaml

from ..errors import CampaignError, shown
from .opening import read_text
from .yaml_bounds import MOST_BYTES, BoundedLoader, OutOfBounds

Location = tuple[str | int, ...]
"""Where a value is in the document: `("hosts", 2, "name")`."""

T = TypeVar("T")

MOST_REPORTED, MOST_HINTS, LONGEST_TEXT = 20, 5, 400
"""Limits for problems, hints and characters of one that are printed: a wrong file must not be printed as a whole."""

_KEYS = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge")


@dataclass(frozen=True, slots=True)
class Positions:
    """Line numbers (from 1) of keys and items; a location that is not in the document has its nearest ancestor's line."""

    lines: Mapping[Location, int] = field(default_factory=dict)
    options: dict[Location, str] = field(default_factory=dict)
    """Values from outside the document, with their option: `--set duration`."""

    def line(self, location: Location) -> int:
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location, 1)

    def place(self, location: Location, path: str | Path, *others: Location) -> str:
        """Return `file:line`, or the command-line option that put it there; with options that changed something in it, or in one of the `others`."""
        for length in range(len(location), 0, -1):
            if location[:length] in self.options:
                return self.options[location[:length]]
        within = [option for at, option in self.options.items() if at[: len(location)] == location or at in others]
        return f"{path}:{self.line(location)}" + (f" with {', '.join(within)}" if within else "")


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem: where, what, the value found (absent when there is none), and what to do."""

    location: Location
    message: str
    value: Any = None
    has_value: bool = False
    hint: str | None = None


def load_yaml(path: str | Path) -> tuple[Any, Positions]:
    """The document in the file at `path` and its lines. Duplicate keys, several documents and bad syntax are refused."""
    return parse_yaml(read_text(path, MOST_BYTES), path)


def parse_yaml(text: str, path: str | Path) -> tuple[Any, Positions]:
    """Parse YAML as `load_yaml` does, for text that `path` names in messages only."""
    loader = None
    try:
        loader = BoundedLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None, Positions()
        lines: dict[Location, int] = {}
        wrong = list(_walk(node, (), lines))
        if wrong:
            refuse(wrong, Positions({problem.location: problem.value for problem in wrong}), path)
        return _unshared(loader.construct_document(node)), Positions(lines)
    except OutOfBounds as error:
        raise CampaignError(f"{path}:{error.line}: {error.message}", error.hint) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        what = " ".join(part for part in (error.context, error.problem) if part)
        raise CampaignError(
            f"{where}: not valid YAML: {_cut(what)}", hint="check indentation, colons and quotes on that line"
        ) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        reason = _cut(" ".join(str(error).split()))
        raise CampaignError(f"{path}: not valid YAML: {reason}", hint="the file must be plain YAML text") from None
    finally:
        if loader is not None:
            loader.dispose()


def validate(
    model: type[T],
    data: Any,
    positions: Positions,
    path: str | Path,
    further: Callable[[Any], Iterable[Problem]] | None = None,
) -> T:
    """Return `data` as an instance of `model` (a pydantic model, or any type pydantic understands), or `CampaignError` with all problems.

    `further(data)` looks for problems that no single field shows (two equal names); it sees the raw data, so that its findings are reported
    together with the rest.
    """
    problems = list(further(data)) if further else []
    try:
        made = pydantic.TypeAdapter(model).validate_python(data)
    except pydantic.ValidationError as error:
        details = error.errors(include_url=False)
        problems += [_problem(detail, model, data) for detail in details if not _follows(detail, details)]
        refuse(problems, positions, path)
    if problems:
        refuse(problems, positions, path)
    return made


def refuse(problems: Sequence[Problem], positions: Positions, path: str | Path) -> NoReturn:
    """Raise `CampaignError` listing `problems` in the order of the file, one `file:line: field: problem (got value)` a line."""
    numbered = sorted(problems, key=lambda problem: positions.line(problem.location))
    lines = list(dict.fromkeys(_describe(problem, positions, path) for problem in numbered))
    hints = list(dict.fromkeys(problem.hint for problem in numbered if problem.hint))
    more = [f"{path}: and {len(lines) - MOST_REPORTED} more"] if len(lines) > MOST_REPORTED else []
    raise CampaignError(
        "\n".join(lines[:MOST_REPORTED] + more),
        hint="; ".join(hints[:MOST_HINTS])
        or f"correct {_to_blame(numbered, positions, path)} and try again; nothing was changed",
    )


def _to_blame(problems: Sequence[Problem], positions: Positions, path: str | Path) -> str:
    """The file, or only the command-line options when all problems are theirs."""
    places = dict.fromkeys(positions.place(problem.location, path) for problem in problems)
    options = [place for place in places if place in positions.options.values()]
    return ", ".join(options) if len(options) == len(places) else str(path)


def suggest(word: str, known: Sequence[str]) -> str:
    """A hint for a misspelt `word`: the nearest known one, or all of them."""
    close = difflib.get_close_matches(word[:64], known, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r} instead of {shown(word)}?"
    return f"{shown(word)} is not known here; known are: {', '.join(sorted(known))}"


def _describe(problem: Problem, positions: Positions, path: str | Path) -> str:
    name = _dotted(problem.location) or "document"
    got = f" (got {shown(problem.value)})" if problem.has_value else ""
    return f"{positions.place(problem.location, path)}: {_cut(name)}: {_cut(problem.message)}{got}"


def _dotted(location: Location) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _cut(text: str) -> str:
    """One line of the text, shortened: it may contain user input."""
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


def _unshared(value: Any) -> Any:
    """A copy in which each alias has its own value, so that a change of one changes no other."""
    if isinstance(value, dict):
        return {key: _unshared(item) for key, item in value.items()}
    return [_unshared(item) for item in value] if isinstance(value, list) else value


def _walk(node: yaml.Node, at: Location, lines: dict[Location, int]) -> Iterator[Problem]:
    """Fill `lines`; yield a problem for each key that is given twice or is not text, with its line as the value."""
    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key, value in node.value:
            name, line = str(key.value) if isinstance(key, yaml.ScalarNode) else "", key.start_mark.line + 1
            if key.tag not in _KEYS:
                hint = "quote it, if it is meant as a name"
                yield Problem((*at, _cut(name)), f"a key must be text, not {_said(key)}", line, hint=hint)
            elif name in first:
                message = f"duplicate key, first given on line {first[name]}"
                hint = f"keep one {shown(name)}: YAML would silently take the last"
                yield Problem((*at, name), message, line, hint=hint)
            first.setdefault(name, line)
            lines[(*at, name)] = line
            yield from _walk(value, (*at, name), lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _walk(item, (*at, index), lines)


def _said(key: yaml.Node) -> str:
    return shown(key.value) if isinstance(key, yaml.ScalarNode) else "a list or a mapping"


def _follows(detail: Any, details: Sequence[Any]) -> bool:
    """Return whether a list is too short only because of the mistakes in its items, which pydantic leaves out before it counts."""
    at = detail["loc"]
    return detail["type"] == "too_short" and any(
        other["loc"][: len(at)] == at and len(other["loc"]) > len(at) for other in details
    )


def _problem(detail: Any, model: Any, data: Any) -> Problem:
    """pydantic's error in our words. Its location also names union members and validators, which are not in the document."""
    location, kind, found = _in_document(detail["loc"], data), detail["type"], detail.get("input")
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if kind == "missing":
        return Problem((*location, str(detail["loc"][-1])), "required, but missing", hint=f"add {detail['loc'][-1]!r}")
    if kind == "extra_forbidden":
        word = str(detail["loc"][-1])
        known = _field_names(model, location[:-1])
        return Problem(location, "unknown field", found, True, suggest(word, known) if known else None)
    scalar = found is None or isinstance(found, str | int | float | bool)
    return Problem(location, message[:1].lower() + message[1:], found, scalar)


def _in_document(loc: Sequence[str | int], data: Any) -> Location:
    location: list[str | int] = []
    for part in loc:
        indexed = isinstance(data, list) and isinstance(part, int) and part < len(data)
        if not indexed and not (isinstance(data, Mapping) and part in data):
            continue
        data = data[part]
        location.append(part)
    return tuple(location)


def _field_names(model: Any, location: Location) -> list[str]:
    """The fields that the models at `location` have, seen through lists, mappings, unions and `Annotated`."""
    candidates = _flatten(model)
    for part in location:
        candidates = [inner for candidate in candidates for inner in _step(candidate, part)]
    names: list[str] = []
    for candidate in candidates:
        if isinstance(candidate, type) and issubclass(candidate, pydantic.BaseModel):
            names += [info.serialization_alias or info.alias or name for name, info in candidate.model_fields.items()]
    return list(dict.fromkeys(names))


def _flatten(annotation: Any) -> list[Any]:
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _flatten(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return [inner for member in typing.get_args(annotation) for inner in _flatten(member)]
    return [annotation]


def _step(candidate: Any, part: str | int) -> list[Any]:
    arguments = typing.get_args(candidate)
    if isinstance(candidate, type) and not arguments and issubclass(candidate, pydantic.BaseModel):
        for name, info in candidate.model_fields.items():
            if part in (name, info.alias):
                return _flatten(info.annotation)
        return []
    if isinstance(part, int):
        return [inner for argument in arguments[:1] for inner in _flatten(argument)]
    return [inner for argument in arguments[1:2] for inner in _flatten(argument)]
