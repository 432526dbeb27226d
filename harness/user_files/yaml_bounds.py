"""YAML within bounds: a loader that refuses, with the line, what no campaign or inventory needs and what would take long to read.

    node = BoundedLoader(text).get_single_node()        # yaml.MarkedYAMLError; OutOfBounds for what is YAML and too much

Refused are tags, recursive aliases, too many nodes once aliases are replaced by what they stand for, deep nesting, integers beyond 64 bits, and text
that no file can hold. Scalars follow the YAML 1.2 core schema: `on`, `yes` and `12:30` are strings, `1e3` is a number.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

MOST_BYTES = 256 << 10
MOST_NODES = 10_000
MOST_DEPTH = 32
LEAST_INTEGER, MOST_INTEGER = -(1 << 63), (1 << 64) - 1

_LONGEST_INTEGER = 24
_UNWRITABLE = re.compile("[\x00\ud800-\udfff]")


class OutOfBounds(yaml.MarkedYAMLError):  # type: ignore[misc, unused-ignore]
    """The text is YAML, but exceeds a limit. `hint` says what to write."""

    def __init__(self, problem: str, mark: Any, hint: str) -> None:
        super().__init__(problem=problem, problem_mark=mark)
        self.message, self.line, self.hint = problem, mark.line + 1, hint


class BoundedLoader(yaml.SafeLoader):
    """SafeLoader with the bounds above and the scalars of YAML 1.2: in 1.1 the key `on:` would be the boolean true and `10:22` the number 622."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  (the resolver tables of PyYAML are per class; empty: none of 1.1)

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._nodes = 0
        self._measures: dict[int, tuple[int, int]] = {}
        """For each complete node: the number of nodes and of levels that it stands for."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        mark = event.start_mark
        tag = getattr(event, "tag", None)
        if tag is not None:
            shown = str(tag).replace("tag:yaml.org,2002:", "!!")[:40]
            raise OutOfBounds(f"the tag {shown!r} is not accepted", mark, "write the value without a tag")
        self._depth += 1
        self._bound(1, self._depth, mark)
        node: Any = super().compose_node(parent, index)
        self._depth -= 1
        if isinstance(event, yaml.AliasEvent):
            if id(node) not in self._measures:
                raise OutOfBounds(
                    f"the alias *{str(event.anchor)[:40]} refers to a value that contains it", mark, _WRITE_OUT
                )
            nodes, levels = self._measures[id(node)]
            self._bound(nodes - 1, self._depth + levels, mark)
        else:
            self._measures[id(node)] = self._measured(node)
        return node

    def _bound(self, nodes: int, depth: int, mark: Any) -> None:
        self._nodes += nodes
        if self._nodes > MOST_NODES:
            raise OutOfBounds(f"there are more than {MOST_NODES} values up to here", mark, _WRITE_OUT)
        if depth > MOST_DEPTH:
            raise OutOfBounds(f"it is nested more than {MOST_DEPTH} deep", mark, "nothing here is nested so deep")

    def _measured(self, node: yaml.Node) -> tuple[int, int]:
        if isinstance(node, yaml.ScalarNode):
            if _UNWRITABLE.search(node.value):
                raise OutOfBounds("the text holds a NUL or half a surrogate pair", node.start_mark, "leave it out")
            return 1, 1
        below = [each for pair in node.value for each in pair] if isinstance(node, yaml.MappingNode) else node.value
        measures = [self._measures[id(each)] for each in below]
        return 1 + sum(nodes for nodes, _ in measures), 1 + max((levels for _, levels in measures), default=0)

    def construct_core_int(self, node: yaml.ScalarNode) -> int:
        text = str(self.construct_scalar(node))
        value = None
        if len(text) <= _LONGEST_INTEGER:
            value = int(text, 0) if text.startswith(("0x", "0o")) else int(text)
        if value is None or not LEAST_INTEGER <= value <= MOST_INTEGER:
            raise OutOfBounds(f"the integer {text[:24]}… has more than 64 bits", node.start_mark, "give a smaller one")
        return value


_WRITE_OUT = "write the values out, without aliases; no campaign or inventory needs so many"
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
    BoundedLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _first)
BoundedLoader.add_constructor("tag:yaml.org,2002:int", BoundedLoader.construct_core_int)
