"""Implications between anomalies and between isolation levels: what a found anomaly rules out.

Adya's portable levels, Cerone's, and the session and real-time variants, as condensed from the literature by Elle's consistency models. Nothing here
ever states that a level holds: the absence of anomalies refutes nothing and proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

_IMPLIES: dict[str, tuple[str, ...]] = {
    "G0": ("G1c",),
    "G1a": ("G1",),
    "G1b": ("G1",),
    "G1c": ("G1",),
    "incompatible-order": ("G1a",),
    "dirty-update": ("G1a",),
    "thin-air-read": ("G1a",),
    "future-read": ("G1c",),
    "G-single-item": ("G-single", "G-nonadjacent-item"),
    "G-single": ("G-nonadjacent", "GSIb"),
    "G-nonadjacent-item": ("G-nonadjacent", "G2-item"),
    "G-nonadjacent": ("G2",),
    "G2-item": ("G2",),
    "lost-update": ("write-skew", "G2-item"),
    "write-skew": ("G2",),
    "GSIa": ("GSI",),
    "GSIb": ("GSI",),
}

_ITEM = {"G-single": "G-single-item", "G-nonadjacent": "G-nonadjacent-item"}
"""Every dependency found here is one of items, not of predicates."""

_VARIANTS = ("G0", "G1", "G1c", "G-single", "G-single-item", "G-nonadjacent", "G-nonadjacent-item", "G2-item", "G2")

FORBIDS: dict[str, tuple[str, ...]] = {
    "read-uncommitted": ("G0", "duplicate-elements", "cyclic-versions"),
    "read-committed": ("G1", "causality-cycle", "non-monotonic-read", "own-write"),
    "cursor-stability": ("G1", "G-cursor", "lost-update"),
    "monotonic-view": ("G1", "G-monotonic"),
    "monotonic-snapshot-read": ("G1", "G-MSR"),
    "monotonic-atomic-view": ("G1",),
    "consistent-view": ("G1", "G-single"),
    "forward-consistent-view": ("G1", "GSIb"),
    "read-atomic": ("internal", "G1a", "future-read", "fractured-read", "non-repeatable-read"),
    "causal-cerone": ("internal", "G1a", "causality-violation"),
    "parallel-snapshot-isolation": ("internal", "G1a"),
    "prefix": ("internal", "G1a"),
    "update-atomic": ("lost-update",),
    "repeatable-read": ("G1", "G2-item", "lost-update"),
    "snapshot-isolation": ("internal", "G1", "GSI", "G-nonadjacent"),
    "serializable": ("internal", "G1", "G2", "predicate-read-miss"),
    "update-serializable": ("G1", "G-update"),
    "view-serializable": ("internal", "G1"),
    "strict-serializable": ("G1", "G1c-realtime", "G2-realtime"),
    "strong-session-read-uncommitted": ("G0-process",),
    "strong-session-read-committed": ("G1c-process",),
    "strong-read-uncommitted": ("G0-realtime",),
    "strong-read-committed": ("G1c-realtime",),
    "strong-session-snapshot-isolation": ("G1-process", "G-nonadjacent-process"),
    "strong-snapshot-isolation": ("G1-realtime", "G-nonadjacent-realtime"),
    "strong-session-serializable": ("G1-process", "G2-process"),
    "linearizable": (),
    "sequential": (),
    "causal": (),
    "PRAM": (),
    "writes-follow-reads": (),
    "monotonic-reads": (),
    "monotonic-writes": (),
    "read-your-writes": (),
}
"""By level the anomalies that it forbids itself; it also forbids those of every level that it implies."""

_STRONGER: dict[str, tuple[str, ...]] = {
    "strict-serializable": (
        "serializable",
        "linearizable",
        "snapshot-isolation",
        "strong-snapshot-isolation",
        "strong-session-serializable",
    ),
    "strong-session-serializable": ("serializable", "strong-session-snapshot-isolation"),
    "strong-snapshot-isolation": ("strong-session-snapshot-isolation", "strong-read-committed"),
    "strong-session-snapshot-isolation": ("snapshot-isolation", "strong-session-read-committed"),
    "serializable": ("repeatable-read", "snapshot-isolation", "view-serializable", "update-serializable"),
    "snapshot-isolation": (
        "forward-consistent-view",
        "monotonic-atomic-view",
        "monotonic-snapshot-read",
        "parallel-snapshot-isolation",
        "prefix",
    ),
    "parallel-snapshot-isolation": ("causal-cerone", "update-atomic"),
    "prefix": ("causal-cerone",),
    "causal-cerone": ("read-atomic",),
    "update-atomic": ("read-atomic",),
    "read-atomic": ("monotonic-atomic-view",),
    "monotonic-atomic-view": ("read-committed",),
    "repeatable-read": ("cursor-stability", "monotonic-atomic-view"),
    "update-serializable": ("forward-consistent-view",),
    "forward-consistent-view": ("consistent-view",),
    "consistent-view": ("cursor-stability", "monotonic-view"),
    "cursor-stability": ("read-committed",),
    "monotonic-view": ("read-committed",),
    "monotonic-snapshot-read": ("read-committed",),
    "read-committed": ("read-uncommitted",),
    "strong-read-committed": ("strong-session-read-committed", "strong-read-uncommitted"),
    "strong-session-read-committed": ("read-committed", "strong-session-read-uncommitted"),
    "strong-read-uncommitted": ("strong-session-read-uncommitted",),
    "strong-session-read-uncommitted": ("read-uncommitted",),
    "linearizable": ("sequential",),
    "sequential": ("causal",),
    "causal": ("writes-follow-reads", "PRAM"),
    "PRAM": ("monotonic-reads", "monotonic-writes", "read-your-writes"),
}
"""A level and those that it implies."""

ALIASES = {
    "PL-1": "read-uncommitted",
    "PL-2": "read-committed",
    "PL-2+": "consistent-view",
    "PL-2.99": "repeatable-read",
    "PL-3": "serializable",
    "PL-SI": "snapshot-isolation",
    "PL-SS": "strict-serializable",
    "causal": "causal-cerone",
    "PSI": "parallel-snapshot-isolation",
    "SI": "snapshot-isolation",
    "strong-serializable": "strict-serializable",
    "strong-PL-1": "strong-read-uncommitted",
    "strong-PL-2": "strong-read-committed",
    "strong-SI": "strong-snapshot-isolation",
    "strong-session-SI": "strong-session-snapshot-isolation",
    "strong-session-PL-1": "strong-session-read-uncommitted",
    "strong-session-PL-2": "strong-session-read-committed",
}


def level_named(name: str) -> str | None:
    """Return the level of that name or alias; None if transactions cannot be checked for it."""
    level = ALIASES.get(name, name)
    return level if FORBIDS.get(level) else None


def levels() -> list[str]:
    """Return the levels that can be requested."""
    return [level for level, forbidden in FORBIDS.items() if forbidden]


def implied_anomalies(found: Iterable[str]) -> set[str]:
    """Return `found` with every anomaly that it implies."""
    closed: set[str] = set()
    waiting = list(found)
    while waiting:
        anomaly = waiting.pop()
        if anomaly not in closed:
            closed.add(anomaly)
            waiting.extend(_next(anomaly))
    return closed


def _next(anomaly: str) -> list[str]:
    base, suffix = anomaly, ""
    for ending in ("-process", "-realtime"):
        if anomaly.endswith(ending):
            base, suffix = anomaly.removesuffix(ending), ending
    implied = [other + suffix for other in _IMPLIES.get(base, ())]
    if base in _ITEM:
        implied.append(_ITEM[base] + suffix)
    if base in _VARIANTS and suffix != "-realtime":
        implied.append(base + ("-realtime" if suffix else "-process"))
    return implied


def implied_levels(level: str) -> set[str]:
    """Return the level and every one that it implies."""
    closed: set[str] = set()
    waiting = [level]
    while waiting:
        one = waiting.pop()
        if one not in closed:
            closed.add(one)
            waiting.extend(_STRONGER.get(one, ()))
    return closed


def prohibited(level: str) -> set[str]:
    """Return the anomalies that the level forbids, itself or through those that it implies."""
    return {anomaly for one in implied_levels(level) for anomaly in FORBIDS[one]}


def forbids(level: str, anomaly: str) -> bool:
    return not implied_anomalies([anomaly]).isdisjoint(prohibited(level))


def ruled_out(found: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the weakest levels that the anomalies rule out, and the others (all that imply one of the weakest)."""
    closed = implied_anomalies(found)
    directly = {level for level, forbidden in FORBIDS.items() if not closed.isdisjoint(forbidden)}
    impossible = {level for level in FORBIDS if not implied_levels(level).isdisjoint(directly)}
    weakest = [level for level in sorted(impossible) if implied_levels(level) & impossible == {level}]
    return weakest, sorted(impossible - set(weakest))
