"""Runs a long campaign, watches every process of it meanwhile, and says what grew and what was left behind.

    python -P benchmarks/soak/soak.py [--load 2m] [--campaign campaigns/soak.yaml] [--runs runs] [--set KEY=VALUE …] [--json]
    python -P benchmarks/soak/soak.py --again runs/soak/latest        the report once more, from what was written down

Each second it notes the resident memory, the descriptors and the threads of the harness, its lab's supervisor, and of every process on every host
(nodes, agents, watchdogs, fault disks, packet queues): `soak.csv` in the run's folder. Afterwards it compares the machine with what it was before,
and times each checker on the history. `soak.json` has all of it. Times are wall times; another load on the machine lengthens them.

Exit code: that of the run; 1 too when a figure is not flat, or something was left behind.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# As a script its own folder comes first on the path, where a file may have the name of a library.
sys.path[:] = [
    str(ROOT),
    *(entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).resolve().parent),
]

# ruff: noqa: E402
from benchmarks.soak.growth import growth
from benchmarks.soak.leftovers import Snapshot, left_over, snapshot
from benchmarks.soak.processes import Members, Process, watched
from tribulation.checkers import check, checker
from tribulation.checkers.base.result import Budget, RunRecord
from tribulation.checkers.registry import CHECKERS
from tribulation.harness.nemesis.faults.ledger import read_ledger
from tribulation.harness.run.outcome.run_folder import read_facts, record_of
from tribulation.histories import read_history

EVERY_S = 1.0
SETTLE_S = 15.0
"""So long the last processes of a lab may take to be gone."""

FIELDS = ("time_s", "phase", "name", "pid", "rss_bytes", "descriptors", "threads")
LEAST = {"rss_mb": 12.0, "descriptors": 6.0, "threads": 4.0, "processes": 1.0}
"""What a figure may gain over half a run and still be flat: buffers that fill, a client whose thread is still ending."""


class Watch:
    """Watch that writes samples into a file until it is stopped. `phase` is what the run last said that it was at."""

    def __init__(self, harness: int, path: Path) -> None:
        self.phase = "start"
        self.members = Members()
        self._harness, self._path = harness, path
        self._ended = threading.Event()
        self._began_s = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(10 * EVERY_S)

    def _run(self) -> None:
        with self._path.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(FIELDS)
            while not self._ended.wait(EVERY_S):
                at_s = round(time.monotonic() - self._began_s, 3)
                found = watched(self._harness)
                self.members.add(found)
                rows.writerows(self._row(at_s, process) for process in found)
                file.flush()

    def _row(self, at_s: float, process: Process) -> list[Any]:
        figures = [process.rss_bytes, process.descriptors, process.threads]
        return [at_s, self.phase, process.name, process.pid, *figures]


def main() -> int:
    asked = _asked()
    if asked.again is not None:
        report = json.loads((asked.again / "soak.json").read_text(encoding="utf-8"))
        rows = read_samples(asked.again / "soak.csv")
        report |= {"growth": growths(rows), "spans_s": spans_s(rows)}
        return _print_report(report, asked.json)
    before = snapshot()
    samples = asked.runs / f"soak-{time.strftime('%Y%m%dT%H%M%S')}.csv"
    asked.runs.mkdir(parents=True, exist_ok=True)
    code, run_dir, members = _run(asked, samples)
    if run_dir is None:
        print(f"the run left no folder; its samples are in {samples}", file=sys.stderr)
        return code or 4
    left = _left_over(before, members)
    rows = read_samples(samples.rename(run_dir / "soak.csv"))
    verdict = json.loads((run_dir / "verdict.json").read_text(encoding="utf-8"))["verdict"]
    report = {
        "run": str(run_dir),
        "exit_code": code,
        "verdict": verdict,
        "growth": growths(rows),
        "spans_s": spans_s(rows),
        "left_over": left,
        **_checked(run_dir),
    }
    (run_dir / "soak.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return _print_report(report, asked.json)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--campaign", type=Path, default=ROOT / "campaigns/soak.yaml")
    parser.add_argument("--load", help="instead of the campaign's, e.g. 2m")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--again", type=Path, metavar="RUN")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _run(asked: argparse.Namespace, samples: Path) -> tuple[int, Path | None, Members]:
    """The exit code of `tri run`, its folder, and the processes it had. What it says on the way is passed on."""
    sets = [*asked.set, *([f"duration={asked.load}"] if asked.load else [])]
    seed = [] if asked.seed is None else ["--seed", str(asked.seed)]
    command = [
        sys.executable,
        "-P",
        "-m",
        "tribulation.harness.cli",
        "run",
        str(asked.campaign),
        "--runs",
        str(asked.runs),
        "--json",
        *seed,
    ]
    for one in sets:
        command += ["--set", one]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None and process.stdout is not None
    documents: list[str] = []
    out = process.stdout
    reader = threading.Thread(target=lambda: documents.append(out.read()), daemon=True)
    reader.start()
    with Watch(process.pid, samples) as watch:
        for line in process.stderr:
            print(line, end="", file=sys.stderr)
            words = line.split()
            if len(words) > 1 and words[0].endswith("s") and words[0][:-1].replace(".", "").isdigit():
                watch.phase = words[1]
        code = process.wait()
    reader.join(10)
    try:
        return code, ROOT / json.loads(documents[0])["run"], watch.members
    except (IndexError, KeyError, json.JSONDecodeError):
        return code, None, watch.members


def read_samples(path: Path) -> list[dict[str, Any]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {**row, **{name: float(row[name]) for name in ("time_s", "rss_bytes", "descriptors", "threads")}}
            for row in csv.DictReader(file)
        ]


def growths(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return `figure of name` → its growth under load; of all of one role together, since a host's processes come and go with its faults."""
    series: dict[tuple[str, str], dict[float, list[float]]] = {}
    for row in rows:
        if row["phase"] != "load":
            continue
        role = row["name"].partition("@")[0]
        for figure, value in (
            ("rss_mb", row["rss_bytes"] / 2**20),
            ("descriptors", row["descriptors"]),
            ("threads", row["threads"]),
        ):
            series.setdefault((role, figure), {}).setdefault(row["time_s"], []).append(value)
    found = {}
    for (role, figure), samples in sorted(series.items()):
        times = sorted(samples)
        highest = growth(times, [max(samples[at_s]) for at_s in times], LEAST[figure])
        if highest is not None:
            found[f"{figure} of {role}"] = _rounded(highest)
        if figure == "threads":
            count = growth(times, [len(samples[at_s]) for at_s in times], LEAST["processes"])
            if count is not None:
                found[f"processes of {role}"] = _rounded(count)
    return found


def _rounded(found: Any) -> dict[str, Any]:
    names = ("first", "middle", "last", "highest", "per_hour", "added")
    return {**{name: round(getattr(found, name), 2) for name in names}, "flat": found.flat}


def _left_over(before: Snapshot, members: Members) -> dict[str, list[str]]:
    """Return what is still left over after the lab's last processes had `SETTLE_S` to end."""
    deadline_s = time.monotonic() + SETTLE_S
    while True:
        found = {**left_over(before, snapshot()), **members.left()}
        if not found or time.monotonic() > deadline_s:
            return found
        time.sleep(EVERY_S)


def _checked(run_dir: Path) -> dict[str, Any]:
    """Read the history again and run each checker that needs no traces. Return their times and verdicts, and the phases of the run.

    The run itself has been judged by all checkers.
    """
    began_s = time.monotonic()
    facts, history = read_facts(run_dir), read_history(run_dir / "history.jsonl")
    record = record_of(facts, history, {}, read_ledger(run_dir / "ledger.jsonl"))
    operations = len(history.columns)
    read_s = time.monotonic() - began_s
    took_s: dict[str, float] = {}
    verdicts: dict[str, str] = {}
    for name in CHECKERS:
        if _is_in_auto(name, record):
            began_s = time.monotonic()
            verdicts[name] = check(record, [name], Budget(time_s=600.0))[name].verdict.value
            took_s[name] = round(time.monotonic() - began_s, 3)
    return {
        "operations": operations,
        "read_s": round(read_s, 3),
        "checker_s": took_s,
        "verdicts": verdicts,
        "phases_s": {name: round(at_ns / 1e9, 3) for name, at_ns in facts.phases.items()},
    }


def _is_in_auto(name: str, record: RunRecord) -> bool:
    found = checker(name)
    wanted = getattr(found, "in_auto", None)
    return bool(found.applies(record) and (wanted is None or wanted(record)))


def spans_s(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the length of each phase of the command in seconds, as exact as the samples: the last two are all checkers, and the report."""
    found: dict[str, tuple[float, float]] = {}
    for row in rows:
        first, _ = found.get(row["phase"], (row["time_s"], row["time_s"]))
        found[row["phase"]] = (first, row["time_s"])
    return {phase: round(last - first + EVERY_S, 1) for phase, (first, last) in found.items()}


def _print_report(report: Mapping[str, Any], as_json: bool) -> int:
    grown = [name for name, found in report["growth"].items() if not found["flat"]]
    if as_json:
        print(json.dumps(report))
    else:
        took = ", ".join(f"{phase} {seconds:g} s" for phase, seconds in report["spans_s"].items())
        print(f"\nthe run: {report['verdict']}; {took}")
        print(f"\n{report['operations']:,} operations, read in {report['read_s']} s; by checkers that need no traces:")
        for name, seconds in report["checker_s"].items():
            print(f"  {name:<22} {report['verdicts'][name]:<8} {seconds:>8.3f} s")
        print(f"\n{'under load':<34}{'first':>10}{'middle':>10}{'last':>10}{'highest':>10}{'an hour':>10}")
        for name, found in report["growth"].items():
            figures = "".join(
                f"{found[column]:>10.1f}" for column in ("first", "middle", "last", "highest", "per_hour")
            )
            print(f"{name:<34}{figures}  {'' if found['flat'] else 'GROWS'}")
        for kind, names in report["left_over"].items():
            print(f"\nleft behind, {kind}:", *names[:10], sep="\n  ")
        print(f"\n{'nothing was left behind' if not report['left_over'] else ''}\n{report['run']}")
    return int(report["exit_code"]) or int(bool(grown or report["left_over"]))


if __name__ == "__main__":
    sys.exit(main())
