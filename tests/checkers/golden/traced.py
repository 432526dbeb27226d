"""Runs of the tiny Raft as the white-box checkers get them, and what may be wrong with them: lines changed or lost, answers that lie, faults at random.

It is not known what the right answer to a damaged run is; the answers are stored so that a change of one is seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from tribulation.checkers import Fault, RunRecord
from tribulation.histories import Event, History, Type

from ..tiny_raft import TICK_NS, tiny_run

Lines = dict[str, list[dict[str, Any]]]
CLOCKS = ("monotonic", "wall")
HIDDEN = ("append", "durable", "vote", "term", "follower", "follower", "commit", "apply", "config", "truncate")


def run(seed: int) -> RunRecord:
    """One of a few sizes; half of them have a phase in which only a core is whole."""
    random = Random(f"{seed}/golden")
    nodes = random.choice((3, 3, 4, 5))
    record = tiny_run(
        seed,
        random.choice((60, 150, 300)),
        nodes=nodes,
        lose_lines=random.random() < 0.3,
        reconfigure=random.random() < 0.6,
    )
    lines = {node: [dict(line) for line in some] for node, some in record.traces.items()}
    for _ in range(random.choice((0, 1, 1, 2, 3))):
        random.choice(DAMAGES)(random, lines)
    end_ns = record.phases["end"]
    names = list(record.nodes)
    faults = [_fault(random, number, names, end_ns) for number in range(random.choice((0, 1, 2, 3)))]
    phases = {"end": end_ns, "healed": end_ns * 3 // 4, "load_end": end_ns // 2}
    if random.random() < 0.5:
        core = random.sample(names, random.randint(1, len(names)))
        faults.append(_around(core, names, end_ns))
        phases |= {"core_healed": end_ns // 2, "liveness_end": end_ns * 9 // 10}
    return replace(
        record,
        history=_history(random, record.history, end_ns),
        traces=lines if random.random() < 0.9 else {},
        faults=faults,
        phases=phases,
        final_states=_states(random, names),
        reachability=_probes(random, names, end_ns),
        clock_offsets_ns=_clocks(random, record),
        options=_options(random),
    )


def _pick(random: Random, lines: Lines, *events: str) -> tuple[list[dict[str, Any]], int] | None:
    """A line of one of these events (of any, if none is given), where it stands."""
    places = [
        (node, at)
        for node, some in lines.items()
        for at, line in enumerate(some)
        if not events or line["event"] in events
    ]
    if not places:
        return None
    node, at = random.choice(places)
    return lines[node], at


def _renumber(some: list[dict[str, Any]]) -> None:
    last, seq = None, 0
    for line in some:
        seq = seq + 1 if line["incarnation"] == last else 0
        last, line["seq"] = line["incarnation"], seq


def _lose(random: Random, lines: Lines) -> None:
    """A gap that can be seen."""
    if found := _pick(random, lines):
        some, at = found
        if some[at]["event"] != "start":
            del some[at]


def _hide(random: Random, lines: Lines) -> None:
    """A line is gone as if it had never been."""
    if found := _pick(random, lines, *HIDDEN):
        some, at = found
        del some[at]
        _renumber(some)


def _bend(random: Random, lines: Lines) -> None:
    """A number is another one."""
    if found := _pick(random, lines, "term", "vote", "leader", "follower", "commit", "durable", "ack", "start"):
        some, at = found
        known = [name for name in ("term", "index", "last_index", "last_term", "mono_ns") if name in some[at]]
        name = random.choice(known)
        step = 3 * TICK_NS if name == "mono_ns" else 1
        some[at][name] = max(0, some[at][name] + random.choice((-step, step)))


def _bend_entries(random: Random, lines: Lines) -> None:
    """An entry has another index, term or command."""
    if found := _pick(random, lines, "append", "apply"):
        some, at = found
        entries = [list(entry) for entry in some[at]["entries"]]
        entry, field = random.randrange(len(entries)), random.randrange(3)
        entries[entry][field] = max(1, entries[entry][field] + random.choice((-1, 1)))
        some[at]["entries"] = entries


def _bend_votes(random: Random, lines: Lines) -> None:
    """A quorum has one member less, or one that never agreed."""
    if found := _pick(random, lines, "leader", "commit", "read-confirmed"):
        some, at = found
        line, other = some[at], random.choice(sorted(lines))
        name = {"leader": "votes", "commit": "match", "read-confirmed": "acks"}[line["event"]]
        if name == "match":
            line[name] = {**line[name], other: random.choice((0, line["index"], line["index"] + 1))}
        else:
            line[name] = sorted(set(line[name]) ^ {other})


def _bend_voters(random: Random, lines: Lines) -> None:
    if found := _pick(random, lines, "leader", "commit", "config", "start", "read-confirmed"):
        some, at = found
        voters = some[at]["voters"]
        name = random.choice(sorted(voters))
        some[at]["voters"] = {**voters, name: voters[name] + random.choice((-1, 1, 3))}


def _twice(random: Random, lines: Lines) -> None:
    """Another node, or the same one again, says what one said."""
    if found := _pick(random, lines, "vote", "leader", "apply", "append", "ack", "durable"):
        some, at = found
        copied = dict(some[at])
        node = random.choice(sorted(lines))
        into = lines[node]
        place = random.randrange(1, len(into) + 1)
        before = into[place - 1]
        copied |= {"node": node, "incarnation": before["incarnation"], "mono_ns": before["mono_ns"]}
        into.insert(place, copied)
        _renumber(into)


def _torn(random: Random, lines: Lines) -> None:
    """A boot found its disk torn, or forgot what it had voted for."""
    if found := _pick(random, lines, "start"):
        some, at = found
        some[at] |= random.choice(({"torn": True}, {"voted_for": None}, {"last_index": 0, "last_term": 0}, {"term": 0}))


def _extra(random: Random, lines: Lines) -> None:
    """A line of a kind that the tiny Raft does not write."""
    if found := _pick(random, lines):
        some, at = found
        here = some[at]
        index = random.randrange(1, 12)
        more = random.choice(
            (
                {"event": "snapshot", "index": index, "term": 1, "digest": f"{random.randrange(2)}"},
                {"event": "snapshot-installed", "index": index, "term": random.randint(1, 3), "digest": None},
                {"event": "digest", "index": index, "digest": f"{random.randrange(2)}"},
                {"event": "lease", "until_ns": here["mono_ns"] + 9 * TICK_NS, "clock": random.choice(CLOCKS)},
                {"event": "truncate", "from": index},
                {"event": "follower", "term": random.randint(1, 3), "leader": None},
                {"event": "stopped", "reason": "disk-full"},
            )
        )
        head = {name: here[name] for name in ("node", "incarnation", "mono_ns")}
        some.insert(at + 1, {**head, "seq": 0, **more})
        _renumber(some)


DAMAGES: tuple[Callable[[Random, Lines], None], ...] = (
    _lose,
    _hide,
    _hide,
    _bend,
    _bend,
    _bend_entries,
    _bend_votes,
    _bend_voters,
    _twice,
    _twice,
    _torn,
    _extra,
)


def _history(random: Random, history: History, end_ns: int) -> History:
    """With nodes named, and now and then an answer that cannot be, or that comes late or not at all."""
    events: list[Event] = []
    for event in history:
        if event.type is Type.INVOKE:
            level = "stale" if event.f == "read" and random.random() < 0.2 else event.level
            events.append(
                replace(event, level=level, node=f"n{random.randint(1, 3)}" if random.random() < 0.5 else None)
            )
            continue
        event = replace(event, level=None)
        extra = dict(event.extra)
        roll = random.random()
        if roll < 0.05:
            extra["log_index"] = max(1, extra.get("log_index", 1) + random.choice((-1, 1)))
        elif roll < 0.10:
            extra["term"] = max(1, extra.get("term", 1) + random.choice((-1, 1)))
        elif roll < 0.15:
            extra = {name: value for name, value in extra.items() if name in ("served_by", "log_index")}
        elif roll < 0.20:
            extra |= {"stale": True}
        elif roll < 0.25:
            extra["deadline_ms"] = random.choice((5, 20, 50))
        kind = Type.OK if random.random() < 0.9 else random.choice((Type.INFO, Type.FAIL))
        error = None if kind is Type.OK else random.choice(("no-quorum", "timeout"))
        events.append(replace(event, type=kind, extra=extra, error=error, node=extra.get("served_by")))
    last = max((event.process for event in events), default=0)
    for number in range(random.randrange(4)):
        index = len(events)
        events.append(Event(index, end_ns - TICK_NS, last + 1 + number, Type.INVOKE, "write", number, "k0", "register"))
    return History(events)


def _fault(random: Random, number: int, names: list[str], end_ns: int) -> Fault:
    kind = random.choice(("cut", "cut", "cut", "kill", "pause", "voters", "slow"))
    start_ns = random.randrange(end_ns)
    heal_ns = start_ns + random.randrange(end_ns // 2) if random.random() < 0.9 else None
    if random.random() < 0.3:
        start_ns -= 2_500_000_000  # long on already, so that probes report it
    side = random.sample(names, random.randint(1, len(names) - 1))
    apart = [[a, b] for a in names for b in names if (a in side) != (b in side)]
    what: dict[str, Any] = {
        "cut": {"edges": apart if random.random() < 0.7 else random.sample(apart, len(apart) // 2 + 1)},
        "voters": {"voters": {name: random.randrange(3) for name in names}},
    }.get(kind, {"nodes": side})
    verified = random.random() < 0.85
    return Fault(
        f"{kind}-{number}", kind, what, what if verified else None, verified, start_ns, start_ns, heal_ns, heal_ns
    )


def _around(core: list[str], names: list[str], end_ns: int) -> Fault:
    edges = [[a, b] for a in names for b in names if (a in core) != (b in core)]
    what = {"edges": edges, "core": core}
    return Fault("liveness", "cut", what, what, True, end_ns // 2, end_ns // 2, end_ns * 9 // 10, end_ns * 9 // 10)


def _states(random: Random, names: list[str]) -> dict[str, dict[str, Any]]:
    if random.random() < 0.5:
        return {name: {"index": 9, "digest": "a"} for name in names if random.random() < 0.9}
    return {
        name: {"index": random.choice((8, 9)), "digest": random.choice(("a", "b", None))}
        for name in names
        if random.random() < 0.9
    }


def _probes(random: Random, names: list[str], end_ns: int) -> list[tuple[int, dict[tuple[str, str], bool]]]:
    return [
        (
            random.randrange(end_ns),
            {(a, b): random.random() < 0.2 for a in names for b in names if a != b and random.random() < 0.8},
        )
        for _ in range(random.choice((0, 0, 2)))
    ]


def _clocks(random: Random, record: RunRecord) -> dict[str, tuple[int, int]]:
    known = dict(record.clock_offsets_ns)
    roll = random.random()
    if roll < 0.1:
        known.pop(random.choice(sorted(known)))
    elif roll < 0.2:
        known = {name: (offset_ns, 20 * TICK_NS) for name, (offset_ns, _) in known.items()}
    return known


def _options(random: Random) -> dict[str, Any]:
    drawn = {
        "max_recovery_s": random.choice((0.005, 0.02, 1)),
        "deadline_ms": random.choice((None, None, None, 2)),
        "deadline_grace_ms": 1,
        "recovery": {"within_ms": random.choice((5, 20, 100)), "elections": random.choice((0, 1, 4))},
    }
    return {name: value for name, value in drawn.items() if value is not None}
