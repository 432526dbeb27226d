"""Text forms of values in the report: times, operations, faults. Pure functions to short plain text, never HTML."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tribulation.checkers.base.result import Fault
from tribulation.checkers.faults.kinds import called as called
from tribulation.histories import Operation, Type
from tribulation.histories.printable import in_a_line

from .pictures.micro_operations import transaction

_LONGEST = 72
_MOST_ITEMS = 8
_THIN_SPACE = "\u202f"


def milliseconds(time_ns: int | None) -> str:
    """Write a time as text, `1234567890` → `1 234.568`: milliseconds with microseconds behind the point, for columns headed "ms"."""
    return "–" if time_ns is None else f"{time_ns / 1e6:,.3f}".replace(",", _THIN_SPACE)


def duration(time_ns: float | None) -> str:
    """A duration with a suitable unit."""
    if time_ns is None:
        return "–"
    for limit_ns, unit_ns, unit in ((1e6, 1e3, "µs"), (1e9, 1e6, "ms")):
        if abs(time_ns) < limit_ns:
            return f"{time_ns / unit_ns:.3g} {unit}"
    return f"{time_ns / 1e9:.2f} s"


def value(item: Any) -> str:
    """A value of a history as one short line."""
    if item is None:
        return "nil"
    if isinstance(item, str):
        return in_a_line(shortened(item))
    if isinstance(item, list | tuple) and len(item) > _MOST_ITEMS:
        first = ", ".join(value(one) for one in item[:_MOST_ITEMS])
        return shortened(f"[{first}, … {len(item)} in all]")
    return in_a_line(shortened(json.dumps(item, ensure_ascii=False, default=str)))


def operation(op: Operation) -> str:
    """Write an operation as text, `write k1 5`, `read k1 → 5`, `cas k1 [5, 6] → nil`: the request, and what an ok answer added."""
    if op.f == "txn" and (inner := transaction(op.result if op.type is Type.OK else op.argument)):
        return f"txn {shortened(inner, 2 * _LONGEST)}"
    words = [in_a_line(op.f)]
    if op.key is not None:
        words.append(value(op.key))
    if op.argument is not None:
        words.append(value(op.argument))
    answered = op.type is Type.OK and (op.result != op.argument or op.argument is None)
    if answered and (op.result is not None or op.f in ("read", "r", "get")):
        words += ["→", value(op.result)]
    return " ".join(words)


def fault(what: Fault) -> str:
    """A fault in a few words: its kind and its targets."""
    return f"{what.kind} {effect(what.kind, what.intended)}".strip()


def described(what: Fault) -> str:
    """A fault as intended, with details that a list of targets does not show: `partition: n1 | n2 n3`, `disk lost-writes: n1`, `link delay 80 ms: n1
    | n2`.
    """
    shown = [_parameter(form, what.intended[field]) for field, form in _PARAMETERS.items() if field in what.intended]
    return f"{' '.join([called(what.kind), *filter(None, shown)])}: {effect(what.kind, what.intended)}"


def _parameter(form: Callable[[Any], str], item: Any) -> str:
    """Anyone may have written the file: a value of another form is left out."""
    try:
        return form(item) if isinstance(item, str | int | float) else ""
    except (ValueError, OverflowError):
        return ""


def _percent(ppm: Any) -> str:
    return f"{float(ppm) / 1e4:g} %"


_PARAMETERS: Mapping[str, Callable[[Any], str]] = {
    "effect": value,
    "action": value,
    "of": value,
    "whole": lambda item: f"of the whole {value(item)}",
    "delay_ns": lambda item: f"delay {duration(float(item))}",
    "jitter_ns": lambda item: f"± {duration(float(item))}",
    "loss_ppm": lambda item: f"loss {_percent(item)}",
    "flip_ppm": lambda item: f"damage to {_percent(item)} of packets",
    "share_ppm": lambda item: f"{_percent(item)} of a processor",
    "limit": lambda item: f"limit {value(item)}",
    "limit_bytes": lambda item: f"limit {float(item) / 2**20:g} MiB",
    "period_ns": lambda item: f"every {duration(float(item))}",
    "slow_start_ns": lambda item: f"with a start of {duration(float(item))}",
}
"""Field of what was intended → its words."""


def effect(kind: str, what: Mapping[str, Any] | None) -> str:
    """The intended or observed form of a fault as text: its targets, then other observations that matter. Values of another form are shown unchanged."""
    if what is None:
        return "not probed"
    try:
        return _effect(kind, what)
    except (TypeError, ValueError, AttributeError, LookupError, OverflowError):
        return in_a_line(shortened(json.dumps(what, ensure_ascii=False, default=str)))


def _effect(kind: str, what: Mapping[str, Any]) -> str:
    key = (
        next((field for field in _CLOCK if field in what), "")
        if kind == "clock"
        else _SUBJECT.get(kind, "edges" if "edges" in what else "")
    )
    if key in what:
        known = _subject(key, what[key])
    elif "processes" in what:
        known = ", ".join(f"{node} {state}" for node, state in what["processes"].items())
    else:
        return json.dumps(what, ensure_ascii=False, default=str) if what else "nothing"
    return "; ".join([known or "nothing", *_beside(what)])


_SUBJECT = {
    **dict.fromkeys(("cut", "link", "clog", "flap", "reset"), "edges"),
    **dict.fromkeys(("kill", "pause", "power", "wipe", "disk", "membership"), "nodes"),
    "voters": "voters",
    "transfer": "to",
}
"""Kind of fault → the field with its targets, in the intended and in the observed form."""

_CLOCK = ("drift_ppm", "strobe_ns", "spans_ns", "offsets_ns")
"""For a clock the first of these that is present: a drift has also made an offset."""


def _subject(key: str, found: Any) -> str:
    if key == "edges":
        return cut(tuple(edge) for edge in found)
    if key == "offsets_ns":
        return ", ".join(f"{node} {offset / 1e9:+.3g} s" for node, offset in found.items())
    if key == "drift_ppm":
        return ", ".join(f"{node} {ppm:+g} ppm" for node, ppm in found.items())
    if key in ("strobe_ns", "spans_ns"):
        return ", ".join(f"{node} to and fro by {span / 1e9:.3g} s" for node, span in found.items())
    if key == "voters":
        return ", ".join(f"{node} weight {weight}" for node, weight in found.items())
    return ", ".join(map(str, found))


def _beside(what: Mapping[str, Any]) -> list[str]:
    """Details of a probe for an observation that differs from the intention. Timings and raw states stay in the ledger."""
    lines = []
    for field in ("cut_but_heard", "leaking", "down_but_not_cut", "unprobed"):
        if what.get(field):
            lines.append(f"{field.replace('_', ' ')}: {cut(tuple(edge) for edge in what[field])}")
    if missing := what.get("not_there_before"):
        lines.append(
            f"no process of the system on {', '.join(missing)} before it; does `pid` of the adapter name the right one?"
        )
    lines += [f"{node}: {'; '.join(why)}" for node, why in what.get("unaffected", {}).items()]
    lines += [f"{node}, otherwise: {', '.join(others)}" for node, others in what.get("unlike", {}).items()]
    lines += [f"{node} was back before the heal: {', '.join(who)}" for node, who in what.get("not_held", {}).items()]
    if what.get("lapsed") and "not_held" not in what:
        lines.append("lapsed: its watchdog undid it early")
    return lines


def cut(edges: Iterable[tuple[str, str]]) -> str:
    """Dropped directions as text: complete two-way cuts between groups as `n1 n2 | n3 n4 n5`, anything else edge by edge."""
    dropped = sorted(set(edges))
    if not dropped:
        return "nothing"
    sides = _sides(dropped)
    if sides is not None:
        return " | ".join(" ".join(side) for side in sides)
    both = {edge for edge in dropped if (edge[1], edge[0]) in dropped}
    pairs = [f"{a} ↔ {b}" for a, b in dropped if (a, b) in both and a < b]
    return ", ".join(pairs + [f"{a} → {b}" for a, b in dropped if (a, b) not in both])


def _sides(dropped: list[tuple[str, str]]) -> list[list[str]] | None:
    """Groups of vertices between which everything is dropped both ways and within which nothing is; None if there are none."""
    cut_off = set(dropped)
    vertices = sorted({vertex for edge in dropped for vertex in edge})
    sides: list[list[str]] = []
    for vertex in vertices:
        home = next(
            (side for side in sides if (vertex, side[0]) not in cut_off and (side[0], vertex) not in cut_off), None
        )
        if home is None:
            sides.append([vertex])
        else:
            home.append(vertex)
    expected = {(a, b) for one in sides for other in sides if one is not other for a in one for b in other}
    return sides if expected == cut_off else None


def shortened(text: str, most: int = _LONGEST) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def means(found: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return for each ability the mechanism in words; if hosts differ, the mechanism of each host."""
    by_ability = {}
    for ability, by_host in found.items():
        hosts_by_means: dict[str, list[str]] = {}
        for host, detail in by_host.items():
            hosts_by_means.setdefault(detail, []).append(host)
        each = [f"{detail} ({', '.join(hosts)})" for detail, hosts in hosts_by_means.items()]
        by_ability[ability] = next(iter(hosts_by_means)) if len(hosts_by_means) == 1 else "; ".join(each)
    return by_ability


def power_notes(found: Mapping[str, str] | None) -> list[str]:
    """Notes about the verdict from the model by which writes were lost."""
    note = (found or {}).get("note", "")
    return [note[:1].upper() + note[1:]] if note else []
