"""Writes the folder of a run that never was, for tests of the report: a stale read in the middle of a partition, and load around it."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

from tribulation.histories import Event, Type, write_history

MS = 1_000_000
S = 1_000_000_000
END_NS = 20 * S
NODES = ("n1", "n2", "n3", "n4", "n5")
CUT = {"edges": [[a, b] for a in NODES for b in NODES if (a in ("n1", "n2")) != (b in ("n1", "n2"))]}


def write_run(folder: Path, operations: int = 2000, seed: int = 7, text: str = "k", **verdict: Any) -> Path:
    """A run of `operations` operations by ten clients. `text` begins every key; `verdict` overrides fields of verdict.json."""
    folder.mkdir(parents=True, exist_ok=True)
    events = history(operations, seed, text)
    write_history(folder / "history.jsonl", events)
    (folder / "campaign.yaml").write_text("name: invented\nhosts: {provider: local, nodes: 5}\nseed: 7\n")
    (folder / "verdict.json").write_text(json.dumps({**_verdict(folder, events), **verdict}))
    return folder


def history(operations: int, seed: int, text: str) -> list[Event]:
    """Ten clients; every sixtieth operation ends in info, after which its client goes on under a new process number."""
    chance = Random(seed)
    free_ns = {client: 0 for client in range(10)}
    process = {client: client for client in range(10)}
    lines: list[tuple[int, int, dict[str, Any]]] = []
    for number in range(operations):
        client = min(free_ns, key=lambda one: (free_ns[one], one))
        start_ns = max(free_ns[client], number * END_NS // operations)
        took_ns = int(chance.lognormvariate(0.7, 0.8) * MS)
        outcome = "info" if number % 60 == 59 else "fail" if 8 * S < start_ns < 9 * S and client % 3 == 0 else "ok"
        common = {
            "process": process[client],
            "f": ("read", "write")[number % 2],
            "key": f"{text}{number % 5}",
            "node": NODES[client % 5],
        }
        common |= {"workload": "register", "level": "linearizable"}
        value = number if common["f"] == "write" else None
        lines.append((start_ns, number, {**common, "type": Type.INVOKE, "value": value}))
        error = {"info": "timeout", "fail": "no-quorum"}.get(outcome)
        end_ns = start_ns + took_ns
        answer = value if value is not None else number - 1
        lines.append(
            (
                end_ns,
                number,
                {**common, "type": Type(outcome), "value": answer if outcome == "ok" else value, "error": error},
            )
        )
        free_ns[client] = end_ns + MS
        if outcome == "info":
            process[client] += 10
    ordered = sorted(lines, key=lambda line: (line[0], line[2]["type"] is Type.INVOKE, line[1]))
    events = [Event(index=at, time_ns=time_ns, **line) for at, (time_ns, _, line) in enumerate(ordered)]
    return [*events, *_samples(len(events))]


def _samples(first: int) -> list[Event]:
    """Three samples of every host's clock, as the nemesis writes them: 1, 2 and 3 ms ahead."""
    lines = []
    for at in range(3):
        sample = {"mono_offset_ns": 0, "wall_offset_ns": (at + 1) * MS, "error_ns": MS // 5}
        lines.append(
            Event(first + at, (at + 1) * 5 * S, "nemesis", Type.INFO, "clock-offsets", {node: sample for node in NODES})
        )
    return lines


def _verdict(folder: Path, events: list[Event]) -> dict[str, Any]:
    middle = [
        event for event in events if event.type is Type.OK and event.time_ns > 5 * S and event.key == events[0].key
    ][:3]
    anomaly = {
        "kind": "stale-read",
        "ops": [event.index for event in middle],
        "explanation": "Process 4 read 17 from k0 after the write of 19 had been acknowledged 31 ms before its invocation.",
        "details": {"key": events[0].key, "lag_ms": 31.2},
    }
    return {
        "verdict": "invalid",
        "expected": False,
        "run": str(folder),
        "seed": 7,
        "campaign": "invented",
        "command": "tri run campaigns/invented.yaml --seed 7",
        "phases": {"load_end": 15 * S, "healed": 16 * S, "quiet_end": 18 * S, "end": END_NS},
        "checkers": {
            "linearizable": {
                "verdict": "invalid",
                "anomalies": [anomaly],
                "stats": {"keys": 5, "states": 10412},
                "reason": None,
            },
            "set": {"verdict": "unknown", "anomalies": [], "stats": {}, "reason": "no final read of the set"},
            "raft-safety": {
                "verdict": "valid",
                "anomalies": [],
                "stats": {"terms": 3, "elapsed_s": 0.0123},
                "reason": None,
            },
        },
        "faults": faults(),
        "ops": {"ok": 0, "fail": 0, "info": 0},
    }


def faults() -> list[dict[str, Any]]:
    def fault(id: str, kind: str, intended: Any, observed: Any, at_s: float, for_s: float) -> dict[str, Any]:
        marks = {"start_ns": int(at_s * S), "injected_ns": int(at_s * S) + 140 * MS}
        marks |= {"heal_ns": int((at_s + for_s) * S), "healed_ns": int((at_s + for_s) * S) + 210 * MS}
        return {
            "id": id,
            "kind": kind,
            "intended": intended,
            "observed": observed,
            "verified": intended == observed,
            **marks,
        }

    return [
        fault("cut-halves.1", "cut", CUT, CUT, 4, 3),
        fault("kill-leader.1", "kill", {"nodes": ["n3"]}, {"nodes": ["n3"]}, 8, 2),
        fault("clock.1", "clock", {"offsets_ns": {"n2": 60 * S}}, {"offsets_ns": {}}, 11, 2),
    ]
