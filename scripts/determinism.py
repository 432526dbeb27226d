"""Is a simulated run a function of its plan? Many plans, each many times over, in fresh processes that differ in all that must not matter.

    python scripts/determinism.py --plans 20 --repeats 100

Each process differs in its Python (all that are found and can import the harness), PYTHONHASHSEED (0, 1, random), working directory, time zone,
locale, optimisation, and in what else it did before. Every run's digest covers every byte of every event and effect. All runs of a plan must have one
digest; when they do not, the first step that differs is named, with what it did in both, and the exit code is 1.

With `--venvs DIR`, interpreters that lack the requirements get a virtual environment there.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
WANTED = ("3.11", "3.12", "3.13", "3.14")
HASH_SEEDS = ("0", "1", "random")
ZONES = ("UTC", "Asia/Tokyo", "America/St_Johns")
LOCALES = ("C", "C.UTF-8", "de_DE.UTF-8", "tr_TR.UTF-8")
OPTIONS: tuple[tuple[str, ...], ...] = ((), ("-O",), ("-X", "utf8=0"), ("-OO",))
MARK_EVERY = 1000
LOAD_S = 2


@dataclass(frozen=True, slots=True)
class Setting:
    """All that differs between two processes and must not matter."""

    python: str
    hash_seed: str
    zone: str
    locale: str
    directory: str
    options: tuple[str, ...]
    pollute: int

    def __str__(self) -> str:
        return f"{self.python} {' '.join(self.options)} PYTHONHASHSEED={self.hash_seed} TZ={self.zone} LC_ALL={self.locale} in {self.directory}"


def settings(pythons: Sequence[str], directories: Sequence[str]) -> Iterator[Setting]:
    """Yield settings without end. Lists of different lengths are gone through side by side, so that their values meet in many ways."""
    options = OPTIONS + OPTIONS[:1]
    cycles = [itertools.cycle(values) for values in (pythons, HASH_SEEDS, ZONES, LOCALES, directories, options)]
    for number in itertools.count():
        # One step more every so often: cycles whose lengths share a factor would else always meet in the same way.
        for place, cycle in enumerate(cycles):
            if number and number % (12 * (place + 1)) == 0:
                next(cycle)
        python, hash_seed, zone, locale, directory, more = (next(cycle) for cycle in cycles)
        yield Setting(str(python), str(hash_seed), str(zone), str(locale), str(directory), tuple(more), number)


def run_elsewhere(setting: Setting, plan: Path, texts: Path | None = None, timeout_s: float = 120) -> dict[str, Any]:
    """Carry out the plan in a process of that setting. Returns what `child` printed; raises when it printed nothing."""
    command = [
        setting.python,
        *setting.options,
        str(Path(__file__).resolve()),
        "--child",
        str(plan),
        str(setting.pollute),
    ]
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": os.environ.get("HOME", "/"),
        "PYTHONPATH": str(ROOT),
        "PYTHONHASHSEED": setting.hash_seed,
        "TZ": setting.zone,
        "LC_ALL": setting.locale,
    }
    done = subprocess.run(
        [*command, *([str(texts)] if texts is not None else [])],
        cwd=setting.directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    if done.returncode != 0:
        raise SystemExit(f"{setting}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def child(plan: str, pollute: int, texts: str | None) -> None:
    """Run the plan, in the process of a setting, and print digest and marks as JSON. `texts`: a file for every step and line as text."""
    import random

    random.seed(pollute)
    ballast = [
        object() for _ in range(pollute * 37 % 5000)
    ]  # addresses, and with them the order of sets of objects, shift
    from tribulation.harness.run.plan.plan import Plan
    from tribulation.harness.run.simulated import simulate

    lines: list[str] = []
    watch = _record_into(lines) if texts is not None else lambda cluster: None
    done = simulate(Plan.from_json(json.loads(Path(plan).read_text(encoding="utf-8")), plan), watch=watch)
    if texts is not None:
        Path(texts).write_text("\n".join(lines), encoding="utf-8")
    digest = done.cluster.digest
    answer = {"digest": done.digest, "marks": digest.marks, "steps": digest.steps, "version": sys.version.split()[0]}
    print(json.dumps({**answer, "ballast": len(ballast)}))


def _record_into(lines: list[str]) -> Callable[[Any], None]:
    """Every piece of text that goes into the digest, one an item."""

    def watch(cluster: Any) -> None:
        step, line = cluster.digest.step, cluster.digest.line

        def record_step(now_ns: int, node: str, events: Sequence[Any], effects: Sequence[Any]) -> None:
            lines.append(
                f"step {cluster.digest.steps + 1}: {now_ns} ns {node} {list(events)!r} -> {effects!r}".replace(
                    "\n", " "
                )
            )
            step(now_ns, node, events, effects)

        def record_line(what: Any) -> None:
            lines.append(f"after step {cluster.digest.steps}: {what!r}".replace("\n", " "))
            line(what)

        cluster.digest.step, cluster.digest.line = record_step, record_line

    return watch


def first_difference(one: Sequence[str], other: Sequence[str]) -> str:
    """The first text that differs between two runs, with what was the same before it."""
    for place, (a, b) in enumerate(itertools.zip_longest(one, other)):
        if a != b:
            before = one[place - 1] if place else "nothing"
            return f"same until: {before[:400]}\n  one:   {str(a)[:1200]}\n  other: {str(b)[:1200]}"
    return "both runs printed the same this time"


def explain(plan: Path, a: Setting, b: Setting, marks: tuple[list[str], list[str]]) -> str:
    """Describe where two runs diverge: the window of steps by their marks, the step by running both settings again."""
    equal = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(*marks, strict=False)))
    window = f"they part between steps {equal * MARK_EVERY} and {(equal + 1) * MARK_EVERY}"
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(5):
            texts = []
            for number, setting in enumerate((a, b)):
                path = Path(folder) / str(number)
                run_elsewhere(setting, plan, path)
                texts.append(path.read_text(encoding="utf-8").split("\n"))
            if texts[0] != texts[1]:
                return f"{window}\n{first_difference(*texts)}"
    return f"{window}; five more runs of each setting were alike"


def make_plans(folder: Path, count: int, load_s: float = LOAD_S) -> list[Path]:
    """Swarms of three to five nodes, with a liveness phase every third time; the digest covers every byte."""
    from dataclasses import replace

    from tribulation.harness.campaign.model import Campaign
    from tribulation.harness.run.plan.build import make_plan
    from tribulation.harness.search.swarm import swarm, swarm_faults, swarm_node
    from tribulation.harness.simulator.options import SECOND, SimOptions

    paths = []
    for seed in range(count):
        nodes = 3 + seed % 3
        liveness = {"rest": "isolated", "within": "2s", "for": "3s"} if seed % 3 == 0 else None
        campaign = Campaign.model_validate(
            {
                "name": f"determinism-{seed}",
                "hosts": {"provider": "sim", "nodes": nodes},
                "seed": seed,
                "duration": f"{load_s}s",
                "settle": "500ms",
                "system": swarm_node(seed),
                "workloads": [
                    {"register": {"keys": 2, "clients": nodes, "rate": "60/s"}},
                    {"set": {"clients": 1, "rate": "10/s"}},
                ],
                "faults": swarm_faults(seed, [f"n{i + 1}" for i in range(nodes)], int(load_s * SECOND)),
                "liveness": liveness,
            }
        )
        world = replace(swarm(seed, SimOptions()), digest_full=True).to_json()
        path = folder / f"plan-{seed}.json"
        path.write_text(json.dumps(replace(make_plan(campaign, ROOT), world=world).to_json()), encoding="utf-8")
        paths.append(path)
    return paths


def interpreters(venvs: Path | None) -> list[str]:
    """Pythons that can import the harness: this one, and one of each version that is found. With `venvs`, one is made ready where it is not."""
    found = {f"{sys.version_info.major}.{sys.version_info.minor}": sys.executable}
    for version in WANTED:
        if version in found:
            continue
        candidates = [which(f"python{version}") or "", *_from_uv(version)]
        candidates += map(str, sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python")))
        if venvs is not None:
            candidates.insert(0, str(venvs / version / "bin/python"))
        ready = next((python for python in candidates if _can_import(python)), None)
        if ready is None and venvs is not None:
            ready = next((_made(venvs / version, python) for python in candidates if _runs(python, version)), None)
        if ready is not None:
            found.setdefault(version, ready)
    return list(found.values())


def _from_uv(version: str) -> list[str]:
    uv = which("uv")
    if uv is None:
        return []
    done = subprocess.run([uv, "python", "find", version], capture_output=True, text=True, timeout=60)
    return done.stdout.split()


def _runs(python: str, version: str) -> bool:
    return _quiet([python, "-c", f"import sys; sys.exit(sys.version_info[:2] != ({version.replace('.', ',')}))"])


def _can_import(python: str) -> bool:
    return _quiet([python, "-c", "import tribulation.harness.run.simulated"])


def _quiet(command: Sequence[str]) -> bool:
    if not Path(command[0]).is_file():
        return False
    return subprocess.run(command, cwd=ROOT, capture_output=True, timeout=120).returncode == 0


def _made(folder: Path, python: str) -> str:
    print(f"making {folder} with {python}", flush=True)
    subprocess.run([python, "-m", "venv", str(folder)], check=True, timeout=120)
    made = str(folder / "bin/python")
    subprocess.run(
        [made, "-m", "pip", "install", "-q", "--require-hashes", "-r", str(ROOT / "requirements.lock")],
        check=True,
        timeout=1200,
    )
    return made


def survey(
    plans: Sequence[Path],
    repeats: int,
    pythons: Sequence[str],
    folder: Path,
    say: Callable[[str], None] = print,
    until_s: float = float("inf"),
) -> int:
    """Run every plan once, and again, and so on; the number of plans that have more than one digest. At `until_s` (monotonic) it stops and shows what
    it has.
    """
    directories = [str(ROOT), str(folder), "/"]
    streams = {plan: settings(pythons, directories) for plan in plans}
    runs: dict[Path, dict[str, list[tuple[Setting, dict[str, Any]]]]] = {plan: defaultdict(list) for plan in plans}
    versions: Counter[str] = Counter()
    for repeat in range(repeats):
        for plan in plans:
            if time.monotonic() > until_s:
                break
            setting = next(streams[plan])
            answer = run_elsewhere(setting, plan)
            versions[answer["version"]] += 1
            runs[plan][answer["digest"]].append((setting, answer))
            if len(runs[plan]) > 1 and repeat and len(runs[plan][answer["digest"]]) == 1:
                say(f"repeat {repeat + 1} of {plan.stem} has another digest")
    for plan in plans:
        _explain(plan, runs[plan], say)
    unsteady = sum(len(found) > 1 for found in runs.values())
    text = ", ".join(f"{count} on {version}" for version, count in sorted(versions.items()))
    done = f"{len(plans)} plans, {versions.total()} runs ({text})"
    say(f"{done}: {unsteady or 'no'} plan{'s' * (unsteady != 1)} with more than one digest")
    return unsteady


def _explain(plan: Path, runs: dict[str, list[tuple[Setting, dict[str, Any]]]], say: Callable[[str], None]) -> None:
    count = sum(len(group) for group in runs.values())
    steps = next((group[0][1]["steps"] for group in runs.values()), 0)
    say(f"{plan.stem}: {count} runs of {steps} steps, {len(runs)} digest{'s' * (len(runs) != 1)}: {', '.join(runs)}")
    if len(runs) > 1:
        (a, one), (b, other) = (group[0] for group in list(runs.values())[:2])
        say(f"  {a}\n  {b}\n{explain(plan, a, b, (one['marks'], other['marks']))}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--plans", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--load", type=float, default=LOAD_S, help="simulated seconds of load of each plan")
    parser.add_argument(
        "--venvs", type=Path, help="where to make environments for interpreters without the requirements"
    )
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="stop after so long, and print what there is"
    )
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        plan, pollute, *texts = arguments.child
        child(plan, int(pollute), texts[0] if texts else None)
        return 0
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="determinism-") as folder:
        pythons = interpreters(arguments.venvs)
        print("\n".join(pythons), flush=True)
        plans = make_plans(Path(folder), arguments.plans, arguments.load)
        until_s = began_s + 60 * arguments.minutes
        unsteady = survey(
            plans, arguments.repeats, pythons, Path(folder), lambda text: print(text, flush=True), until_s
        )
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{used.ru_utime + used.ru_stime:.0f} s of processor time in {time.monotonic() - began_s:.0f} s")
    return 1 if unsteady else 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
