"""The results of a run over all flaws so far, line by line in a file, so that it can stop and go on.

Each line is a flaw's hunt, a control or an ablation; a later line about the same flaw replaces the earlier one. A torn line, as a
killed process leaves it, is done again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ...errors import CampaignError
from .hunt import Caught

MULTIPLE = 5


@dataclass(frozen=True, slots=True)
class Control:
    """The correct node in the same plans: those with `aim` and with `settings`, seeds 0 .. `tried` - 1. `alarms` are (seed, checker/kind, sentence)."""

    aim: str | None
    settings: str
    tried: int
    alarms: tuple[tuple[int, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Ablated:
    """A flaw without one sort of fault. `seeds` were tried with the sort and without it. `alone`: the rest of the smallest plan passes."""

    name: str
    sort: str
    aim: str | None
    seeds: int
    hits_with: int
    hits_without: int
    alone: bool

    @property
    def needed(self) -> bool:
        """Whether the flaw needs the sort: the smallest plan needs it, and hits are that many times rarer without it: at least five to none, since less shows nothing."""
        return self.alone and self.hits_with >= MULTIPLE * max(1, self.hits_without)


@dataclass
class State:
    """`path` None keeps everything in memory."""

    path: Path | None = None
    caught: dict[str, Caught] = field(default_factory=dict)
    controls: list[Control] = field(default_factory=list)
    ablated: list[Ablated] = field(default_factory=list)

    def add(self, found: Caught | Control | Ablated) -> None:
        """Add it, and write it to disk before anything else begins."""
        self._take(found)
        if isinstance(found, Caught):
            self._write({"caught": found.to_json()})
        else:
            self._write({"control" if isinstance(found, Control) else "ablated": asdict(found)})

    def control(self, aim: str | None, settings: str, tried: int) -> Control | None:
        """A control that covers so many seeds."""
        fits = [known for known in self.controls if (known.aim, known.settings) == (aim, settings)]
        return next((known for known in fits if known.tried >= tried), None)

    def _take(self, found: Caught | Control | Ablated) -> None:
        if isinstance(found, Caught):
            self.caught[found.name] = found
        elif isinstance(found, Control):
            self.controls.append(found)
        else:
            self.ablated = [known for known in self.ablated if (known.name, known.sort) != (found.name, found.sort)]
            self.ablated.append(found)

    def _write(self, line: Mapping[str, Any]) -> None:
        if self.path is None:
            return
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())


def open_state(path: Path | None) -> State:
    """The state in the file, or a new one. Raises `CampaignError` naming the first invalid line."""
    state = State(path)
    if path is None:
        return state
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    for line in _whole_lines(path):
        _read(state, line)
    return state


def _whole_lines(path: Path) -> list[dict[str, Any]]:
    """The lines; a torn last line is removed from the file, so that the next one begins on its own."""
    text = path.read_text(encoding="utf-8")
    whole, cut = text.rpartition("\n")[0], text.rpartition("\n")[2]
    if cut:
        with path.open("r+b") as file:
            file.truncate(len((whole + "\n").encode()) if whole else 0)
    lines = []
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            lines.append(json.loads(line))
        except ValueError as error:
            raise CampaignError(f"{path}:{number}: not a line of a zoo's state: {error}", hint="remove it") from error
    return lines


def _read(state: State, line: Mapping[str, Any]) -> None:
    if "caught" in line:
        state._take(Caught.from_json(line["caught"]))
    elif "control" in line:
        data = line["control"]
        state._take(Control(**{**data, "alarms": tuple((seed, kind, text) for seed, kind, text in data["alarms"])}))
    elif "ablated" in line:
        state._take(Ablated(**line["ablated"]))
