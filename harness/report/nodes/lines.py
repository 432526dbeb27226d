"""A line of a node's trace or log, as a person reads it: when, which node, how serious, in one sentence. Pure.

Anyone may have written the files: a field may have any type, and a line without the expected fields is shown unchanged.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tribulation.histories.printable import in_a_line

LEVELS = ("info", "warning", "error")
LONGEST = 240
_ALARM = re.compile(
    r"\b(panic\w*|fatal|crit(?:ical)?|error|err|exception|traceback|corrupt\w*|oom|segfault|abort(?:ed|ing)?)\b", re.I
)
_WARNING = re.compile(
    r"\b(warn(?:ing)?|timed? ?out|timeout|unreachable|refused|lost|failed|election|step\w* down)\b", re.I
)
_HEADER = frozenset(("node", "incarnation", "seq", "mono_ns", "event"))


@dataclass(frozen=True, slots=True)
class Line:
    """`at_ns` is the run's time, None where it is unknown. `source` is "trace" or the name of a log file."""

    node: str
    at_ns: int | None
    level: str
    source: str
    text: str
    event: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)


def of_trace(node: str, at_ns: int | None, fields: Mapping[str, Any]) -> Line:
    event = str(fields.get("event", "?"))
    return Line(node, at_ns, _LEVEL.get(event, "info"), "trace", _clipped(_sentence(event, fields)), event, fields)


def level_of(text: str) -> str:
    """The level of a line of plain text, by its words."""
    return "error" if _ALARM.search(text) else "warning" if _WARNING.search(text) else "info"


def of_text(node: str, at_ns: int | None, source: str, text: str, level: str | None = None) -> Line:
    known = level if level in LEVELS else _KNOWN.get(str(level).lower(), level_of(text))
    return Line(node, at_ns, known, source, _clipped(text))


_KNOWN = {"debug": "info", "warn": "warning", "critical": "error", "fatal": "error"}
_LEVEL = {
    "halt": "error",
    "no-quorum": "warning",
    "truncate": "warning",
    "command-failed": "error",
    "dropped": "warning",
    "term-refused": "warning",
    "snapshot-refused": "warning",
    "memory-damage": "error",
    "memory-garbage": "warning",
    "agent-lost": "warning",
    "failed": "warning",
    "suspect": "warning",
}


def _sentence(event: str, of: Mapping[str, Any]) -> str:
    form = _FORMS.get(event)
    if form is not None and all(name in of and _fits(of[name]) for name in form[0]):
        reason = f" ({of['reason']})" if isinstance(of.get("reason"), str) else ""
        return form[1].format(**{name: _words(of[name]) for name in form[0]}) + reason
    rest = ", ".join(f"{name} {_words(value)}" for name, value in of.items() if name not in _HEADER)
    return f"{event.replace('-', ' ')}: {rest}" if rest else event.replace("-", " ")


_FORMS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "start": (
        ("incarnation", "term", "last_index"),
        "started (boot {incarnation}): term {term}, log up to {last_index}",
    ),
    "term": (("term",), "moved to term {term}"),
    "vote": (("candidate", "term"), "voted for {candidate} in term {term}"),
    "leader": (
        ("term", "votes", "last_index"),
        "became leader of term {term} with votes of {votes}; log up to {last_index}",
    ),
    "follower": (("term", "leader"), "follows {leader} in term {term}"),
    "append": (("entries",), "appended to its log: {entries}"),
    "truncate": (("from",), "removed its log entries from {from} on"),
    "durable": (("index",), "has its log on disk up to {index}"),
    "commit": (("index", "term"), "committed up to {index} in term {term}"),
    "apply": (("entries",), "applied: {entries}"),
    "ack": (("kind", "index", "term"), "answered a {kind} ok at log index {index}, term {term}"),
    "read-confirmed": (("index", "acks"), "confirmed with {acks} that it leads, for a read at {index}"),
    "no-quorum": ((), "lost contact with a quorum"),
    "quorum": ((), "has contact with a quorum again"),
    "halt": ((), "halted itself"),
    "suspect": (("target",), "suspects that {target} is down"),
    "trust": (("target",), "hears {target} again"),
    "failed": (("target",), "declared {target} failed"),
    "agent-placed": (
        ("agent", "epoch", "origin"),
        "has the state of agent {agent} and may run it ({origin}, epoch {epoch})",
    ),
    "agent-started": (("agent", "epoch"), "starts agent {agent} (epoch {epoch})"),
    "agent-stopped": (("agent", "epoch"), "stops agent {agent} (epoch {epoch})"),
    "agent-suspended": (
        ("agent", "epoch"),
        "suspends agent {agent} (epoch {epoch}): this node has no contact to a quorum",
    ),
    "agent-standing": (
        ("agent", "epoch"),
        "pauses agent {agent} (epoch {epoch}) while the end of its migration is sent",
    ),
    "agent-switched": (("agent", "from", "to", "epoch"), "agent {agent} moved from {from} to {to} (epoch {epoch})"),
    "agent-lost": (("agent", "epoch"), "lost the right to run agent {agent} (epoch {epoch})"),
    "agent-move-given-up": (
        ("agent", "epoch"),
        "gave up moving agent {agent} (epoch {epoch}): the target did not answer",
    ),
    "agent-move-cancelled": (("agent", "epoch"), "the log ended the migration of agent {agent} (epoch {epoch})"),
    "task-claim": (("task", "worker", "claim"), "assigned task {task} to {worker} (token {claim})"),
    "task-effect": (("task", "worker", "index"), "result of task {task} by {worker} accepted at log index {index}"),
}
"""Event → the fields of its sentence, and the sentence."""


def _fits(value: Any) -> bool:
    return value is None or isinstance(value, str | int | list)


def _words(value: Any) -> str:
    if value is None:
        return "no node"
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        if value and all(isinstance(one, list) and len(one) > 1 for one in value):
            first, last = value[0], value[-1]
            more = f" to {last[0]}" if last is not first else ""
            return f"entry {first[0]}{more} (term {last[1]})"
        return ", ".join(map(str, value)) or "none"
    return json.dumps(value, ensure_ascii=False, default=str)


def _clipped(text: str) -> str:
    text = in_a_line(text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
