"""Figures that must not get worse, as one JSON document, and its difference from an earlier one.

    python -P benchmarks/baseline.py --out now.json                      every part
    python -P benchmarks/baseline.py published digests --out now.json    only these parts
    python -P benchmarks/baseline.py --compare before.json now.json      what changed, line by line; exit code 1 if anything did

| part | figure |
|---|---|
| `published` | our verdict on every published history of `../shared/histories`, and how many are right |
| `digests` | digests of 20 simulated plans (those of `scripts/determinism.py`): equal digests mean equal runs, byte for byte |
| `counts` | effects of the core (messages, appends, syncs …) per acknowledged operation, with 1 and with 64 clients, without faults |
| `controls` | verdicts of 400 trials of the correct node under `all-faults` and `swarm`, with the reason of each doubt: false alarms and unknowns |
| `zoo` | of each hunted flaw, how many of the first 20 seeds catch it |
| `mutants` | share of 200 mutants of the checkers that the tests notice |
| `tests` | tests passed, wall time and processor time of `pytest -n 2` |

Counts and verdicts are exact and comparable between machines. Times are not: they are reported, never compared.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# As a script its own folder comes first on the path, where a file may have the name of a library.
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).resolve().parent]

# ruff: noqa: E402
from tribulation.checkers import Budget, Verdict, check
from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.campaign.model import Campaign
from tribulation.harness.run.outcome.verdict import judge_record
from tribulation.harness.run.plan.build import make_plan
from tribulation.harness.run.simulated import simulate
from tribulation.harness.search.draw import searched_plan
from tribulation.harness.search.zoo.hunt import Wanted, attempt
from tribulation.histories import Event, History, Type
from tribulation.histories.formats import read
from tribulation.node.flaws.switch import HUNTED

JOBS = 2
CONTROLS = {"all-faults": 200, "swarm": 200}
"""Campaign → its trials: seeds 0, 1, 2, …"""
ZOO_SEEDS = 20
PLANS = 20
MUTANTS = 200
LEVELS = ("read-committed", "read-atomic", "causal")
NOT_COMPARED = {"seconds", "cpu_seconds"}


def published() -> dict[str, Any]:
    folder = ROOT.parent / "shared" / "histories"
    index: Mapping[str, Mapping[str, Any]] = json.loads((folder / "verdicts.json").read_text(encoding="utf-8"))
    ours = {name: _judge_published(folder / name, name, about) for name, about in index.items()}
    right = sum(answer == _published_answer(index[name]) for name, answer in ours.items())
    return {"right": right, "of": len(ours), "verdicts": ours}


def _published_answer(about: Mapping[str, Any]) -> str:
    if "strongest_level" in about:
        return str(about["strongest_level"])
    return "valid" if about["valid"] else "invalid"


def _judge_published(path: Path, name: str, about: Mapping[str, Any]) -> str:
    history = read(path, None if "model" not in about else about.get("format"))
    if "strongest_level" in about:
        held = [level for level in LEVELS if check(history, [level])[level].verdict is Verdict.VALID]
        return held[-1] if held else "none"
    if name.startswith("knossos"):
        # There a read of nil is one whose value is not known.
        history = History(event for event in history if not _answers_nil(event))
    model = about["model"]
    checker = {"list-append": "list-append", "rw-register-txn": "rw-register"}.get(model, "linearizable")
    asked = {"model": model} if checker == "linearizable" else {}
    return check(history, [checker], Budget(60.0, 2000), **asked)[checker].verdict.value


def _answers_nil(event: Event) -> bool:
    return event.f == "read" and event.type is Type.OK and event.value is None


def digests() -> dict[str, Any]:
    sys.path.append(str(ROOT / "scripts"))
    from determinism import make_plans

    with tempfile.TemporaryDirectory() as folder:
        plans = [json.loads(path.read_text(encoding="utf-8")) for path in make_plans(Path(folder), PLANS)]
    return dict(zip(map(str, range(PLANS)), _spread(_digest_of, plans), strict=True))


def _digest_of(plan: Mapping[str, Any]) -> str:
    from tribulation.harness.run.plan.plan import Plan

    return simulate(Plan.from_json(plan)).digest


def counts() -> dict[str, Any]:
    return {f"{clients} clients": _effects_per_operation(clients) for clients in (1, 64)}


def _effects_per_operation(clients: int) -> dict[str, float]:
    mix = {"read": 50, "write": 50}
    campaign = Campaign.model_validate(
        {
            "name": "counts",
            "hosts": {"provider": "sim", "nodes": 3},
            "seed": 1,
            "duration": "4s",
            "workloads": [{"register": {"keys": 16, "clients": clients, "rate": f"{40 * clients}/s", "mix": mix}}],
        }
    )
    effects: Counter[str] = Counter()
    watch = lambda cluster: cluster.effect_watchers.append(  # noqa: E731
        lambda node, made: effects.update(type(effect).__name__ for effect in made)
    )
    done = simulate(make_plan(campaign, ROOT), watch=watch)
    acknowledged = sum(op.type is Type.OK for op in done.record.history.operations())
    return {"acknowledged": acknowledged} | {
        name: round(count / acknowledged, 3) for name, count in sorted(effects.items())
    }


def controls() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, trials in CONTROLS.items():
        answers = _spread(_control, [(name, seed) for seed in range(trials)])
        verdicts = Counter(verdict for verdict, _ in answers)
        reasons = Counter(reason for verdict, why in answers if verdict != "valid" for reason in why)
        found[name] = {"verdicts": dict(sorted(verdicts.items())), "reasons": dict(reasons.most_common())}
    return found


def _control(task: tuple[str, int]) -> tuple[str, list[str]]:
    """The verdict that a user would see of one seed of the correct node, and why it is not valid."""
    campaign = load_campaign(ROOT / "campaigns" / f"{task[0]}.yaml", [], "sim")
    plan = searched_plan(campaign, task[1], True, ROOT / "campaigns")
    done = simulate(plan)
    judgement = judge_record(done.record, done.facts, Budget(time_s=60.0), f"seed {task[1]}")
    reasons = [
        f"{name}: {result.anomalies[0].kind if result.anomalies else _without_numbers(result.reason or '')}"
        for name, result in judgement.results.items()
        if result.verdict is not Verdict.VALID
    ]
    reasons += [f"error: {_without_numbers(error)}" for error in done.facts.errors]
    return judgement.verdict.value, reasons or ["other"]


def _without_numbers(reason: str) -> str:
    return re.sub(r"\d[\d.]*|[a-z]+(-[a-z]+)*-[0-9a-f]{6}", "N", reason)


def zoo() -> dict[str, Any]:
    tasks = [Wanted(name, seed, flawed=True) for name in HUNTED for seed in range(1, ZOO_SEEDS + 1)]
    caught: Counter[str] = Counter(dict.fromkeys(HUNTED, 0))
    for wanted, failed in zip(tasks, _spread(_caught, tasks), strict=True):
        caught[wanted.flaw] += failed
    return {"caught": sum(caught.values()), "of": len(tasks), "flaws": dict(sorted(caught.items()))}


def _caught(wanted: Wanted) -> bool:
    return bool(attempt(wanted).objections)


def mutants() -> dict[str, Any]:
    command = [sys.executable, "scripts/mutate.py", "checkers", "--sample", str(MUTANTS), "--jobs", str(JOBS)]
    done = subprocess.run([*command, "--least", "0"], cwd=ROOT, capture_output=True, text=True)
    sys.stderr.write(done.stdout)  # the survivors
    match = re.search(r"(\d+) of (\d+) killed \(([\d.]+) %\)", done.stdout)
    if match is None:
        raise SystemExit(f"scripts/mutate.py printed no score:\n{(done.stdout + done.stderr)[-2000:]}")
    return {"killed": int(match[1]), "of": int(match[2])}


def tests() -> dict[str, Any]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "pytest", "-n", str(JOBS), "--dist", "loadfile"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr[-300:]
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    found = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|error)", last)}
    return {**found, "cpu_seconds": round(cpu_s)}


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "published": published,
    "digests": digests,
    "counts": counts,
    "controls": controls,
    "zoo": zoo,
    "mutants": mutants,
    "tests": tests,
}


def _spread(function: Callable[[Any], Any], tasks: Sequence[Any]) -> list[Any]:
    with ProcessPoolExecutor(JOBS, mp_context=get_context("spawn")) as pool:
        return list(pool.map(function, tasks))


def measure(names: Sequence[str]) -> dict[str, Any]:
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    document: dict[str, Any] = {"commit": commit, "python": sys.version.split()[0], "cores": os.cpu_count()}
    for name in names:
        began_s = time.monotonic()
        document[name] = PARTS[name]()
        document[name]["seconds"] = round(time.monotonic() - began_s)
        print(f"{name}: {document[name]['seconds']} s", file=sys.stderr, flush=True)
    return document


def differences(before: Any, after: Any, place: str = "") -> list[str]:
    """One line for each figure that changed, appeared or went, of the parts that both documents have."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        lines = []
        for key in [*before, *(key for key in after if key not in before)]:
            if key in NOT_COMPARED or (not place and (key not in PARTS or key not in before or key not in after)):
                continue
            inner = f"{place}.{key}" if place else key
            lines += differences(before.get(key, "absent"), after.get(key, "absent"), inner)
        return lines
    return [] if before == after else [f"{place}: {before} → {after}"]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all when left out")
    parser.add_argument("--out", type=Path, help="write the document here; else to standard output")
    parser.add_argument("--compare", nargs=2, type=Path, metavar=("BEFORE", "AFTER"))
    options = parser.parse_args()
    if options.compare:
        before, after = (json.loads(path.read_text(encoding="utf-8")) for path in options.compare)
        changed = differences(before, after)
        print("\n".join(changed) if changed else "no figure changed")
        return 1 if changed else 0
    unknown = [name for name in options.parts if name not in PARTS]
    if unknown:
        parser.error(f"no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    text = json.dumps(measure(options.parts or list(PARTS)), indent=1) + "\n"
    if options.out is None:
        sys.stdout.write(text)
    else:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
