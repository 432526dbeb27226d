"""A small plan as a story: the events in order of time, one line each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from tribulation.checkers.faults.kinds import called

from ..nemesis.faults.fault import Intent
from ..run.plan.plan import Pinned, Plan
from ..user_files.quantities import format_ns
from .edits import operations

MOST_LINES = 40
_DULL = {"clients": "all"}
"""Parameters that are not shown at this value."""


def story(plan: Plan) -> list[tuple[str, str]]:
    """(run time, event), in order; operations only where the plan pins them."""
    nodes = {slot.slot: slot.node for slot in plan.slots}
    lines = [(intent.at_ns, 0, _fault(intent, plan)) for intent in plan.intents]
    lines += [(op.at_ns, 1, f"client {op.slot} at {nodes[op.slot]}: {operation(op)}") for op in operations(plan)]
    ends = plan.timing.load_ns
    lines.append((ends, 2, "everything is healed" + (", then all keys are read" if plan.timing.final_ns else "")))
    return [(f"{at_ns / 1e9:.3f} s", text) for at_ns, _, text in sorted(lines)]


def operation(pinned: Pinned) -> str:
    op = pinned.op
    value = "" if op.value is None else f" {json.dumps(op.value)}"
    level = "" if op.level == "linearizable" else f" ({op.level})"
    return f"{op.f} {op.key}{value}{level}"


def _fault(intent: Intent, plan: Plan) -> str:
    words = [_parameter(name, value) for name, value in intent.parameters.items() if _DULL.get(name) != value]
    lasts = "" if intent.for_ns is None else f", for {format_ns(intent.for_ns)}"
    return f"{called(intent.kind)} {' '.join(words)}{lasts}"


def _parameter(name: str, value: Any) -> str:
    if name in ("shape", "target", "effect"):
        return " ".join(value) if isinstance(value, list) else str(value)
    if name == "edges" and isinstance(value, list):
        return ", ".join(f"{source}→{sink}" for source, sink in value)
    if name.endswith("_ns") and isinstance(value, int):
        return f"{name.removesuffix('_ns')} {format_ns(value)}"
    return f"{name} {json.dumps(value)}"


def document(source: str, shrunk: Any, stability: Any) -> Mapping[str, Any]:
    """`shrink.json`: `shrunk` is a `plan.Shrunk`, `stability` a `plan.Stability` or None."""
    plan: Plan = shrunk.best.plan
    lines: Sequence[tuple[str, str]] = story(plan)
    return {
        "source": source,
        "signature": {"checker": shrunk.signature.checker, "kind": shrunk.signature.kind},
        "flaws": list(plan.options["system"].get("flaws", ())),
        "before": asdict(shrunk.before),
        "after": asdict(shrunk.after),
        "one_minimal": shrunk.one_minimal,
        "hits": [shrunk.best.hits, shrunk.best.tries],
        "runs": shrunk.runs,
        "seconds": round(shrunk.spent_s, 1),
        "steps": [asdict(step) for step in shrunk.steps],
        "stability": None if stability is None else asdict(stability),
        "story": [list(line) for line in lines[:MOST_LINES]],
        "more": max(0, len(lines) - MOST_LINES),
    }
