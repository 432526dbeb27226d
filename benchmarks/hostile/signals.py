"""Signals at random moments of local runs: does each end with its exit code, and leave nothing?

    python -P benchmarks/hostile/signals.py [--count 30] [--seed 1] [--json]

Each round starts `tri run` of a short campaign on three local hosts and sends it SIGINT, SIGTERM or SIGHUP after a random part of the time that a
whole run takes. Right are 130 (interrupted, everything undone), the run's own 0 where the signal came too late, and the signal's own death where it
came before `tri` had begun. Left may be nothing: no process, namespace, mount, control group, lab or temporary file. Exit code 1 when one round was
wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

# ruff: noqa: E402
from benchmarks.soak.leftovers import Snapshot, left_over, snapshot

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ENDS_WITHIN_S = 120.0
CAMPAIGN = """\
name: signals
hosts: {provider: local, nodes: 3}
seed: 7
duration: 4s
settle: 1s
workloads:
  - register: {keys: 2, clients: 3, rate: 60/s}
faults:
  - partition: {shape: halves, after: 500ms, for: 1s}
  - kill: {target: leader, after: 2500ms, restart_after: 500ms}
"""


@dataclass(frozen=True, slots=True)
class Round:
    """`phase` is the last one that the run had printed when the signal came; `wrong` what should be otherwise."""

    signal: str
    after_s: float
    phase: str
    exit_code: int
    ended_in_s: float
    wrong: tuple[str, ...]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON document")
    asked = parser.parse_args()
    rounds = []
    for one in play(asked.count, random.Random(asked.seed)):
        rounds.append(one)
        text = "; ".join(one.wrong) or "nothing is left"
        print(
            f"{one.signal:<8} after {one.after_s:6.2f} s in {one.phase:<10} exit {one.exit_code:4} in {one.ended_in_s:5.2f} s: {text}",
            file=sys.stderr,
        )
    if asked.json:
        print(json.dumps([asdict(one) for one in rounds]))
    return 1 if any(one.wrong for one in rounds) else 0


def play(count: int, draws: random.Random) -> Iterator[Round]:
    with tempfile.TemporaryDirectory(prefix="tri-signals-", dir="/var/tmp") as place:
        folder = Path(place)
        (folder / "signals.yaml").write_text(CAMPAIGN)
        whole = _run(folder, None, 0.0)
        yield whole
        for _ in range(count):
            yield _run(folder, draws.choice(SIGNALS), draws.uniform(0.0, whole.ended_in_s))


def _run(folder: Path, number: signal.Signals | None, after_s: float) -> Round:
    """Run a campaign and send it the signal; `number` None: to its end."""
    temporary, labs = folder / "tmp", folder / "labs"
    temporary.mkdir(exist_ok=True)
    before = snapshot()
    began_s = time.monotonic()
    with open(folder / "stderr", "w+") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "tribulation.harness.cli", "run", "signals.yaml", "--runs", "runs"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TRI_LABS": str(labs), "TMPDIR": str(temporary)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
            preexec_fn=_with_default_signals,
        )
        if number is not None:
            time.sleep(after_s)
            process.send_signal(number)
        phase = _phase(folder)
        sent_s = time.monotonic()
        try:
            code = process.wait(ENDS_WITHIN_S + after_s)
            wrong = (
                [] if code in _right(number, phase) else [f"exit code {code}: {(folder / 'stderr').read_text()[-500:]}"]
            )
        except subprocess.TimeoutExpired:
            process.kill()
            code, wrong = process.wait(), [f"it did not end within {ENDS_WITHIN_S:g} s"]
        ended_in_s = time.monotonic() - (began_s if number is None else sent_s)
    if "Traceback" in (text := (folder / "stderr").read_text()):
        wrong.append(f"a traceback: {text[-500:]}")
    wrong += _left(before, labs, temporary)
    return Round(number.name if number else "none", round(after_s, 3), phase, code, round(ended_in_s, 3), tuple(wrong))


def _right(number: signal.Signals | None, phase: str) -> set[int]:
    """Return the right exit codes; 3 is one of them, since a machine under load may not verify a fault in time."""
    if number is None:
        return {0, 3}
    return {0, 3, 130} | ({-number} if phase == "start" else set())


def _phase(folder: Path) -> str:
    """The last phase on stderr; `start` before `tri` has said anything."""
    lines = [line.split() for line in (folder / "stderr").read_text().splitlines()]
    phases = [words[1] for words in lines if len(words) > 1 and words[0].rstrip("s").replace(".", "").isdigit()]
    return phases[-1] if phases else ("begun" if lines else "start")


def _with_default_signals() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def _left(before: Snapshot, labs: Path, temporary: Path) -> list[str]:
    found = [f"a lab's files: {path.name}" for path in (labs.iterdir() if labs.exists() else ())]
    found += [f"a temporary file: {path.name}" for path in temporary.iterdir()]
    found += [f"a process: {line}" for line in _processes(str(labs))]
    for kind, names in left_over(before, snapshot()).items():
        found += [f"{kind}: {name}" for name in names if kind != "control groups" or _is_ours(name)]
    return found


def _is_ours(group: str) -> bool:
    """Empty, and of a PID namespace in which nothing runs any more."""
    number = group.rpartition("-")[2]
    living = set()
    for entry in Path("/proc").iterdir():
        try:
            living.add(str(os.stat(entry / "ns/pid").st_ino))
        except OSError:
            continue
    return number not in living


def _processes(text: str) -> list[str]:
    """Command lines and environments that name the folder: hosts' processes have it in `LAB`."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                line = (entry / "cmdline").read_bytes()
                if text.encode() in line + (entry / "environ").read_bytes():
                    found.append(line.replace(b"\0", b" ").decode(errors="replace")[:100])
        except OSError:
            continue
    return found


if __name__ == "__main__":
    sys.exit(main())
