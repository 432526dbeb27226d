"""The files of answers: under `[case]` a line for each seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from .cases import CASES

FOLDER = Path(__file__).parent / "answers"


def answers(case: str) -> list[str]:
    one = CASES[case]
    return [one.answer(seed) for seed in range(one.seeds)]


def stored(file: str) -> dict[str, list[str]]:
    path = FOLDER / f"{file}.txt"
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        if line.startswith("[") and line.endswith("]"):
            lines = found.setdefault(line[1:-1], [])
        elif line:
            lines.append(line)
    return found


def store(file: str, found: Mapping[str, Sequence[str]]) -> None:
    """Cases that there are no longer are left out."""
    names = [name for name, case in CASES.items() if case.file == file and name in found]
    text = "\n".join(f"[{name}]\n" + "\n".join(found[name]) + "\n" for name in names)
    (FOLDER / f"{file}.txt").write_text(text, encoding="utf-8")


def differences(case: str, known: Sequence[str], now: Sequence[str]) -> str | None:
    """The first few, with the command that stores the new answers; None where all are as they were."""
    changed = [seed for seed in range(max(len(known), len(now))) if known[seed : seed + 1] != now[seed : seed + 1]]
    if not changed:
        return None
    shown = "\n".join(
        f"{case}, seed {seed}\n  stored  {_at(known, seed)}\n  now     {_at(now, seed)}" for seed in changed[:SHOWN]
    )
    return (
        f"{len(changed)} of {len(now)} answers changed:\n{shown}\n"
        f"hint: if that is meant, python -m tests.checkers.golden {case!r} stores the new ones"
    )


SHOWN = 4


def _at(lines: Sequence[str], seed: int) -> str:
    return lines[seed] if seed < len(lines) else "(none)"
