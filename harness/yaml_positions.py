"""YAML that remembers its lines, and pydantic errors that name them: `campaign.yaml:12: hosts.nodes: …`.

    data, positions = load_yaml(path)
    inventory = validate(Inventory, data, positions, path)      # or CampaignError with every problem at once

Both raise `CampaignError` and nothing else for what a user wrote. Scalars follow the YAML 1.2 core schema: `on`, `yes` and `12:30` are
strings, `1e3` is a number. It knows nothing about campaigns or inventories.
"""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pydantic
import yaml

from .errors import CampaignError

Location = tuple[str | int, ...]
"""Where a value is in the document: `("hosts", 2, "name")`."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Positions:
    """Line numbers (from 1) of keys and items; a location that is not in the document has its nearest ancestor's line."""

    lines: Mapping[Location, int] = field(default_factory=dict)

    def line(self, location: Location) -> int:
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location, 1)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where, what, the value that was found (absent when there is none), and what to do."""

    location: Location
    message: str
    value: Any = None
    has_value: bool = False
    hint: str | None = None


def load_yaml(path: str | Path) -> tuple[Any, Positions]:
    """The document in the file at `path` and its lines. Duplicate keys, several documents and bad syntax are refused."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CampaignError(
            f"{path}: no such file", hint="check the path; relative paths start at the current directory"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise CampaignError(f"{path}: cannot be read: {error}", hint="it must be a readable UTF-8 text file") from None
    return parse_yaml(text, path)


def parse_yaml(text: str, path: str | Path) -> tuple[Any, Positions]:
    """As `load_yaml`, for text that `path` names in messages only."""
    loader = None
    try:
        loader = _CoreSchemaLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None, Positions()
        lines: dict[Location, int] = {}
        duplicates = list(_walk(node, (), lines, set()))
        positions = Positions(lines)
        if duplicates:
            refuse(duplicates, Positions({p.location: p.value for p in duplicates}), path)
        return loader.construct_document(node), positions
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        what = " ".join(part for part in (error.context, error.problem) if part)
        raise CampaignError(
            f"{where}: not valid YAML: {what}", hint="check indentation, colons and quotes on that line"
        ) from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise CampaignError(f"{path}: not valid YAML: {error}", hint="the file must be plain YAML text") from None
    finally:
        if loader is not None:
            loader.dispose()


def validate(
    model: type[T],
    data: Any,
    positions: Positions,
    path: str | Path,
    further: Callable[[Any], Sequence[Problem]] | None = None,
) -> T:
    """`data` as an instance of `model` (a pydantic model, or any type pydantic understands), or `CampaignError` with all problems.

    `further(data)` looks for problems that no single field shows (two equal names); it sees the raw data, so that what it finds is told
    together with the rest.
    """
    problems = list(further(data)) if further else []
    try:
        made = pydantic.TypeAdapter(model).validate_python(data)
    except pydantic.ValidationError as error:
        problems += [_problem(detail, model, data) for detail in error.errors(include_url=False)]
        refuse(problems, positions, path)
    if problems:
        refuse(problems, positions, path)
    return made


def refuse(problems: Sequence[Problem], positions: Positions, path: str | Path) -> NoReturn:
    """Raise `CampaignError` listing `problems` in the order of the file, one `file:line: field: problem (got value)` a line."""
    numbered = sorted(problems, key=lambda problem: positions.line(problem.location))
    lines = list(dict.fromkeys(_describe(problem, positions, path) for problem in numbered))
    hints = list(dict.fromkeys(problem.hint for problem in numbered if problem.hint))
    raise CampaignError("\n".join(lines), hint="; ".join(hints) or f"correct {path} and try again; nothing was touched")


def suggest(word: str, known: Sequence[str]) -> str:
    """A hint for a misspelt `word`: the nearest known one, or all of them."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r} instead of {word!r}?"
    return f"{word!r} is not known here; known are: {', '.join(sorted(known))}"


def _describe(problem: Problem, positions: Positions, path: str | Path) -> str:
    name = _dotted(problem.location) or "document"
    got = f" (got {_short(problem.value)})" if problem.has_value else ""
    return f"{path}:{positions.line(problem.location)}: {name}: {problem.message}{got}"


def _dotted(location: Location) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _walk(node: yaml.Node, at: Location, lines: dict[Location, int], seen: set[int]) -> Iterator[Problem]:
    """Fill `lines`; yield a problem for each duplicate key, its value being its line. An alias is walked once: it may be recursive."""
    lines.setdefault(at, node.start_mark.line + 1)
    if id(node) in seen:
        return
    if isinstance(node, yaml.MappingNode):
        seen.add(id(node))
        first: dict[str, int] = {}
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode) and name in first:
                message = f"duplicate key, first given on line {first[name]}"
                yield Problem((*at, name), message, line, hint=f"keep one {name!r}: YAML would silently take the last")
            first.setdefault(name, line)
            lines[(*at, name)] = line
            yield from _walk(value, (*at, name), lines, seen)
    elif isinstance(node, yaml.SequenceNode):
        seen.add(id(node))
        for index, item in enumerate(node.value):
            yield from _walk(item, (*at, index), lines, seen)


def _problem(detail: Any, model: Any, data: Any) -> Problem:
    """pydantic's error detail in our words. Its location also names union members and validators, which are not in the document."""
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
            names += [info.alias or name for name, info in candidate.model_fields.items()]
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


class _CoreSchemaLoader(yaml.SafeLoader):
    """SafeLoader with the scalars of YAML 1.2: in 1.1 the key `on:` would be the boolean true and `10:22` the number 622."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  (the resolver tables of PyYAML are per class; empty: none of 1.1)

    def construct_core_int(self, node: yaml.ScalarNode) -> int:
        text = str(self.construct_scalar(node))
        return int(text, 0) if text.startswith(("0x", "0o")) else int(text)


_DIGITS = list("-+0123456789")
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", _DIGITS),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        [*_DIGITS, "."],
    ),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", r"<<", ["<"]),
):
    _CoreSchemaLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _first)
_CoreSchemaLoader.add_constructor("tag:yaml.org,2002:int", _CoreSchemaLoader.construct_core_int)
