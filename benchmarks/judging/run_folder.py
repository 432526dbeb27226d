"""Cost of checking a run's folder: `tri check FOLDER` as a process of its own, on runs that are written here and not played.

    python benchmarks/judging/run_folder.py                                10 000 and 100 000 operations, with traces and without
    python benchmarks/judging/run_folder.py --operations 1000000 --batch 4

The run: three nodes, no fault, clients that read and write registers, half of each; each node traces as the reference node does (about six lines an
operation when `--batch`, the writes in one entry of the log's lines, is 1; at most 4). The first line, a folder of few operations, is start-up: it is
subtracted from the others. Times are of the processor; a busy machine makes them longer, so compare only what ran in one go.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# Files next to this one have the names of packages, which they must not hide.
sys.path[:] = [
    str(ROOT),
    *(place for place in sys.path if Path(place or ".").resolve() != Path(__file__).resolve().parent),
]

# ruff: noqa: E402
from tribulation.harness.run.outcome.run_folder import RunFacts

NODES = ("n1", "n2", "n3")
LEADER = "n2"
VOTERS = dict.fromkeys(NODES, 1)
CLIENTS, KEYS = 20, 16
EVERY_NS = 500_000
FEW = 200


@dataclass(frozen=True, slots=True)
class Shape:
    operations: int
    traces: bool
    batch: int


def write_run(folder: Path, shape: Shape) -> None:
    """A sealed run's folder. Its bytes depend on nothing but `shape`."""
    folder.mkdir(parents=True)
    end_ns = (shape.operations + 300) * EVERY_NS
    run = _Run(shape)
    run.play()
    with (folder / "history.jsonl").open("w", encoding="utf-8") as file:
        for index, (time_ns, line) in enumerate(sorted(run.history, key=lambda item: item[0])):
            file.write(_text({"index": index, "time": time_ns, **line}))
    if shape.traces:
        (folder / "trace").mkdir()
        for node, lines in run.traces.items():
            with (folder / "trace" / f"{node}.jsonl").open("w", encoding="utf-8") as file:
                for seq, (mono_ns, line) in enumerate(sorted(lines, key=lambda item: item[0])):
                    file.write(_text({"node": node, "incarnation": 1, "seq": seq, "mono_ns": mono_ns, **line}))
    final = {"status": "ok", "index": run.index, "digest": "2:00"}
    facts = RunFacts(
        "run-folder",
        0,
        "",
        NODES,
        VOTERS,
        phases={"load_end": run.quiet_ns - 2, "healed": run.quiet_ns - 1, "quiet_end": run.quiet_ns, "end": end_ns},
        clock_offsets_ns={node: (0, 0) for node in NODES} if shape.traces else {},
        final_states={node: final for node in NODES},
        traced=NODES if shape.traces else (),
        state="open",
    )
    facts.sealed(folder)


class _Run:
    """Each operation takes effect at its place in a row, somewhere within its interval."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.history: list[tuple[int, dict[str, Any]]] = []
        self.traces: dict[str, list[tuple[int, dict[str, Any]]]] = {node: [] for node in NODES}
        self.index = 1
        self.quiet_ns = 0
        self._draw = random.Random(0)
        self._values: dict[str, int] = {}
        self._pending: list[tuple[int, int, dict[str, Any]]] = []

    def play(self) -> None:
        for node in NODES:
            start = {"event": "start", "term": 0, "last_index": 0, "last_term": 0, "snapshot_index": 0}
            self._trace(node, 1, {**start, "voters": VOTERS, "torn": False})
            self._trace(node, 2, {"event": "term", "term": 1})
            self._trace(node, 3, {"event": "vote", "term": 1, "candidate": LEADER})
        led = {"event": "leader", "term": 1, "last_index": 0, "last_term": 0, "votes": list(NODES), "voters": VOTERS}
        self._trace(LEADER, 4, led)
        for node in NODES:
            if node != LEADER:
                self._trace(node, 4, {"event": "follower", "term": 1, "leader": LEADER})
        self._entries(10_000, [1])
        load = self.shape.operations - KEYS
        for number in range(load):
            self._operation(number, self._draw.random() < 0.5, f"k{self._draw.randrange(KEYS)}")
        self._flush((load + 20) * EVERY_NS)
        self.quiet_ns = (load + 60) * EVERY_NS
        for key in range(KEYS):
            self._operation(load + 100 + key, False, f"k{key}")

    def _operation(self, number: int, writes: bool, key: str) -> None:
        at_ns = (number + 20) * EVERY_NS
        about = {"process": number % CLIENTS, "key": key, "workload": "register", "level": "linearizable"}
        about |= {"node": self._draw.choice(NODES), "f": "write" if writes else "read"}
        asked_ns = at_ns - self._draw.randrange(1, 5 * EVERY_NS)
        if writes:
            self._pending.append((number, asked_ns, about))
        else:
            confirmed = {"index": self.index, "acks": ["n1", LEADER], "voters": VOTERS, "rounds": 1}
            self._trace(LEADER, at_ns, {"event": "read-confirmed", **confirmed})
            self._answered(number, asked_ns, at_ns, about, self._values.get(key))
        if (number + 1) % (2 * self.shape.batch) == 0:
            self._flush(at_ns)

    def _answered(self, number: int, asked_ns: int, at_ns: int, about: dict[str, Any], value: int | None) -> None:
        answered_ns = at_ns + self._draw.randrange(1_000, 5 * EVERY_NS)
        writes, client = about["f"] == "write", number % CLIENTS
        command = {"session": client, "seq": number // CLIENTS} if writes else {}
        extra = {"log_index": self.index, "term": 1, "served_by": about["node"], **command}
        self.history.append((asked_ns, {"type": "invoke", "value": value if writes else None, **about}))
        self.history.append((answered_ns, {"type": "ok", "value": value, **about, **extra}))
        ack = {"event": "ack", "level": "linearizable", "kind": about["f"], "session": command.get("session")}
        ack |= {"command": command.get("seq", 0), "index": self.index, "term": 1}
        self._trace(about["node"], answered_ns - 1, ack)

    def _flush(self, at_ns: int) -> None:
        """The writes that wait become one batch of the log, and are answered."""
        pending, self._pending = self._pending, []
        if pending:
            self._entries(at_ns, range(self.index + 1, self.index + 1 + len(pending)))
        for number, asked_ns, about in pending:
            self.index += 1
            self._values[about["key"]] = self.index
            self._answered(number, asked_ns, at_ns, about, self.index)

    def _entries(self, at_ns: int, indices: Sequence[int]) -> None:
        entries = [[index, 1, index * 2_654_435_761 % 2**32] for index in indices]
        last = indices[-1]
        for node in NODES:
            self._trace(node, at_ns - 3_000, {"event": "append", "entries": entries})
            self._trace(node, at_ns - 2_000, {"event": "durable", "index": last, "term": 1})
        commit = {"event": "commit", "index": last, "term": 1, "match": dict.fromkeys(NODES, last), "voters": VOTERS}
        self._trace(LEADER, at_ns - 1_000, commit)
        for node in NODES:
            self._trace(node, at_ns, {"event": "apply", "entries": entries})

    def _trace(self, node: str, mono_ns: int, line: dict[str, Any]) -> None:
        self.traces[node].append((mono_ns, line))


def _text(line: dict[str, Any]) -> str:
    return json.dumps(line, separators=(",", ":")) + "\n"


@dataclass(frozen=True, slots=True)
class Cost:
    cpu_s: float
    peak_kb: int
    verdict: str


def measure(folder: Path, rounds: int) -> Cost:
    """The least of some rounds."""
    found = [_once(folder) for _ in range(rounds)]
    return Cost(min(one.cpu_s for one in found), min(one.peak_kb for one in found), found[0].verdict)


def _once(folder: Path) -> Cost:
    command = [
        sys.executable,
        "-m",
        "tribulation.harness.cli",
        "check",
        str(folder),
        "--json",
        "--checker-timeout",
        "600s",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert process.stdout is not None
    document = process.stdout.read()
    _, _, usage = os.wait4(process.pid, 0)
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss, json.loads(document)["verdict"])


def main() -> int:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--operations", type=int, action="append", help="may be given several times")
    options.add_argument("--batch", type=int, choices=range(1, 5), default=1, help="writes of one entry line")
    options.add_argument("--rounds", type=int, default=2)
    options.add_argument("--only", choices=("traces", "bare"), help="with traces, or without")
    asked = options.parse_args()
    kinds = [True] if asked.only == "traces" else [False] if asked.only == "bare" else [True, False]
    print(f"{'traces':<8}{'operations':>12}{'cpu s':>8}{'MB':>8}{'us/op':>8}{'KB/op':>8}  verdict")
    for traces in kinds:
        start: Cost | None = None
        for count in (FEW, *(asked.operations or (10_000, 100_000))):
            with tempfile.TemporaryDirectory(prefix="run-folder-") as place:
                write_run(Path(place) / "run", Shape(count, traces, asked.batch))
                cost = measure(Path(place) / "run", asked.rounds)
            start = start or cost
            added_us, added_kb = (cost.cpu_s - start.cpu_s) * 1e6 / count, (cost.peak_kb - start.peak_kb) / count
            print(
                f"{'yes' if traces else 'no':<8}{count:>12,}{cost.cpu_s:>8.2f}{cost.peak_kb / 1024:>8.0f}{added_us:>8.1f}{added_kb:>8.2f}  {cost.verdict}",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
