"""What can happen to the evidence in a run's folder, by the words of the table in docs/concepts/verdicts.md."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tribulation.harness.run.outcome.run_folder import RunFacts, read_facts

Damage = Callable[[Path], object]


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines(keepends=True)


def keep(name: str, part: float) -> Damage:
    def damage(run: Path) -> None:
        lines = lines_of(run / name)
        (run / name).write_text("".join(lines[: int(len(lines) * part)]))

    return damage


def cut_bytes(name: str, count: int) -> Damage:
    return lambda run: (run / name).write_bytes((run / name).read_bytes()[:-count])


def without_middle(run: Path) -> None:
    """Whole operations of a process, so that the rest can still be read."""
    lines = lines_of(run / "history.jsonl")
    process = json.loads(lines[len(lines) // 2])["process"]
    kept = [line for line in lines if json.loads(line)["process"] != process]
    (run / "history.jsonl").write_text("".join(kept))


def change_value(run: Path) -> None:
    lines = lines_of(run / "history.jsonl")
    for at, line in enumerate(lines):
        event = json.loads(line)
        if event["type"] == "ok" and event["f"] == "read" and event["value"] is not None:
            event["value"] += 100_000
            lines[at] = json.dumps(event) + "\n"
            break
    (run / "history.jsonl").write_text("".join(lines))


def remove(name: str) -> Damage:
    return lambda run: (run / name).unlink()


def spoil_line(name: str) -> Damage:
    def damage(run: Path) -> None:
        lines = lines_of(run / name)
        lines[1] = "{no line\n" + "x" * len(lines[1]) + "\n"
        (run / name).write_text("".join(lines))

    return damage


def rewrite(name: str, change: Callable[[dict[str, Any]], object]) -> Damage:
    def damage(run: Path) -> None:
        document = json.loads((run / name).read_text())
        if document.pop("digest", None) is not None:
            del document["schema_version"]  # as a version that wrote neither
        change(document)
        (run / name).write_text(json.dumps(document, indent=1))

    return damage


def facts(change: Callable[[RunFacts], RunFacts]) -> Damage:
    """What the run itself knew, sealed."""
    return lambda run: change(read_facts(run)).sealed(run)


def ledger(change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> Damage:
    """What the run itself wrote, sealed."""

    def damage(run: Path) -> None:
        lines = [change(json.loads(line)) for line in lines_of(run / "ledger.jsonl")]
        text = "".join(json.dumps(line) + "\n" for line in lines if line is not None)
        (run / "ledger.jsonl").write_text(text)
        read_facts(run).sealed(run)

    return damage


def unseen_at_the_end(run: Path) -> None:
    """The look at everything after the last heal found something, as the simulator writes it."""
    lines = [json.loads(line) for line in lines_of(run / "history.jsonl")]
    for event in lines:
        if event["f"] == "healed" and event["value"].get("fault") is None:
            event["value"]["verified"] = False
    (run / "history.jsonl").write_text("".join(json.dumps(event) + "\n" for event in lines))


def without_final_reads(run: Path) -> None:
    """The last reads of one key were refused."""
    known, lines = read_facts(run), [json.loads(line) for line in lines_of(run / "history.jsonl")]
    for event in lines:
        if event["time"] >= known.phases["healed"] and event.get("key") == "register-0" and event["type"] == "ok":
            event.update(type="fail", error="no-quorum", value=None)
    (run / "history.jsonl").write_text("".join(json.dumps(event) + "\n" for event in lines))
    known.sealed(run)


def not_undone(line: dict[str, Any]) -> dict[str, Any]:
    return {**line, "verified": False} if line.get("phase") == "healed" else line


def killed(run: Path) -> None:
    """After its final reads: nothing was collected or sealed."""
    replace(read_facts(run), state="open", files={}).write(run)


def killed_in_the_load(run: Path) -> None:
    lines = lines_of(run / "history.jsonl")
    (run / "history.jsonl").write_text("".join(lines[: len(lines) * 9 // 10]))
    replace(read_facts(run), state="open", files={}, phases={}, final_states={}).write(run)


def both(first: Damage, second: Damage) -> Damage:
    def damage(run: Path) -> None:
        first(run)
        second(run)

    return damage


def uncollected(file: str) -> Damage:
    one = {"host": "n2", "file": file, "why": "connection lost"}
    place = "trace/n2.jsonl" if file == "trace.jsonl" else "logs/n1/node.log"
    return both(remove(place), facts(lambda known: replace(known, uncollected=[one])))


DAMAGES: dict[tuple[str, str], Damage] = {
    ("history", "nothing"): lambda run: None,
    ("history", "the end is missing"): keep("history.jsonl", 0.9),
    ("history", "the last line is torn"): cut_bytes("history.jsonl", 9),
    ("history", "lines in the middle are missing"): without_middle,
    ("history", "a value was changed"): change_value,
    ("history", "the file is missing"): remove("history.jsonl"),
    ("ledger", "the file is missing"): remove("ledger.jsonl"),
    ("ledger", "the end is missing"): keep("ledger.jsonl", 0.5),
    ("ledger", "a line is no ledger line"): spoil_line("ledger.jsonl"),
    ("trace", "the file of one node is missing"): remove("trace/n2.jsonl"),
    ("trace", "the end of one file is missing"): keep("trace/n2.jsonl", 0.5),
    ("trace", "a line is no trace line"): spoil_line("trace/n2.jsonl"),
    ("log", "a file is missing"): remove("logs/n1/node.log"),
    ("input", "a file is missing"): remove("inputs/n1/events-1.log"),
    ("plan", "the file is missing"): remove("plan.json"),
    ("plan", "the seed was changed"): rewrite("plan.json", lambda plan: plan.update(seed=1234567)),
    ("seal", "run.json is missing"): remove("run.json"),
    ("seal", "run.json is no JSON"): cut_bytes("run.json", 100),
    ("seal", "the run was killed after its final reads"): killed,
    ("seal", "the run was killed during the load"): killed_in_the_load,
    ("final reads", "a key was not read after the heal"): without_final_reads,
    ("verification", "a fault was not seen to take effect"): ledger(
        lambda line: {**line, "verified": False} if line.get("phase") == "verified" else line
    ),
    ("undo", "a fault was not seen undone"): both(unseen_at_the_end, ledger(not_undone)),
    ("undo", "a fault has no line of its heal"): both(
        unseen_at_the_end, ledger(lambda line: None if line.get("phase") == "healed" else line)
    ),
    ("collection", "a node's trace could not be collected"): uncollected("trace.jsonl"),
    ("collection", "a log could not be collected"): uncollected("logs/node.log"),
    ("harness", "an error of the environment"): facts(lambda known: replace(known, errors=["host n2 was away"])),
    ("harness", "a bug of its own"): facts(lambda known: replace(known, bugs=["the sampler ended: KeyError"])),
    ("harness", "one of its parts was not there all the time"): facts(
        lambda known: replace(known, gaps=[{"part": "harness", "name": "sampler", "why": "ended at 3 s"}])
    ),
}
