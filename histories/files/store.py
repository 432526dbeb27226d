"""Storage of runs: `runs/<campaign>/<timestamp>/`, with links `latest` to the newest run of a campaign and of all.

| in a run's folder | holds |
|---|---|
| `campaign.yaml`, `plan.json` | what was requested, as resolved |
| `history.jsonl` | what clients did and saw |
| `ledger.jsonl` | what was done to the cluster |
| `trace/<node>.jsonl` | each node's own trace |
| `run.json` | the run's other facts, and the seal of the files above |
| `verdict.json`, `report.html` | the results of the checkers |

Every file is text, and any may be missing or end in a torn line when the run was killed; `load_run` reports which. The meaning of the lines is not
known here.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..lines.table import LineTable, TableBuilder
from ..model.bounds import TEXT_BYTES, may_exceed, problem
from ..model.errors import HistoryError
from ..model.history import History
from .codec import AT_ONCE_BYTES, any_may_repeat, decode_line, decode_lines, decode_once, decode_value, refuse_repeats
from .files import read_history
from .opening import opened, read_bytes, read_text
from .replacing import replacing

LATEST = "latest"
_NAME = re.compile(r"[\w.-]+")


class RunStore:
    """The runs below `root`."""

    def __init__(self, root: str | Path = "runs") -> None:
        self.root = Path(root)

    def create(self, campaign: str, now_s: float | None = None) -> Path:
        """A new folder for a run of `campaign`, named after the time (UTC), with both `latest` links on it.

        Two runs that begin in the same second get different folders, also when two processes create them.
        """
        if not _NAME.fullmatch(campaign) or campaign in (LATEST, ".", ".."):
            raise HistoryError(
                f"a campaign cannot be named {campaign!r}", "use letters, digits, dots, dashes and underscores"
            )
        parent = self.root / campaign
        parent.mkdir(parents=True, exist_ok=True)
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_s))
        for attempt in range(1, 10_000):
            folder = parent / (stamp if attempt == 1 else f"{stamp}-{attempt}")
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            _link(parent / LATEST, folder.name)
            _link(self.root / LATEST, f"{campaign}/{folder.name}")
            return folder
        raise HistoryError(f"{parent} has too many runs with the time {stamp}", "remove some of them")

    def latest(self, campaign: str | None = None) -> Path:
        """The newest run, of `campaign` or of all."""
        link = (self.root if campaign is None else self.root / campaign) / LATEST
        if not link.is_dir():
            raise HistoryError(f"{link} is not a run", "run a campaign first: tri run CAMPAIGN")
        return link.resolve()

    def runs(self, campaign: str | None = None) -> list[Path]:
        """All runs, oldest first."""
        pattern = f"{campaign or '*'}/*"
        found = [path for path in self.root.glob(pattern) if path.is_dir() and not path.is_symlink()]
        return sorted(
            (path for path in found if not path.parent.is_symlink()), key=lambda path: (_order(path), str(path))
        )

    @staticmethod
    def write_json(path: Path, value: Any) -> None:
        """Write `value` in one step, so that a reader never sees half of it."""
        with replacing(path) as file:
            file.write((json.dumps(value, indent=1, default=str) + "\n").encode())


def _order(path: Path) -> tuple[str, int]:
    stamp, _, number = path.name.partition("-")
    return stamp, int(number) if number.isdigit() else 0


def _link(link: Path, target: str) -> None:
    """Point `link` to `target` in one step: there is no moment without a link."""
    temporary = link.with_name(f".{link.name}-{os.getpid()}-{time.monotonic_ns()}")
    temporary.symlink_to(target)
    try:
        os.replace(temporary, link)
    finally:
        # Where a folder has the name of the link, none takes its place.
        temporary.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class RunPieces:
    """A run's folder as data. `torn` maps the files whose last line was unfinished to that text."""

    folder: Path
    history: History
    traces: Mapping[str, Sequence[Mapping[str, Any]]]
    ledger: Sequence[Mapping[str, Any]]
    campaign: str | None
    plan: Mapping[str, Any] | None
    facts: Mapping[str, Any] | None
    torn: Mapping[str, str] = field(default_factory=dict)


def load_run(folder: str | Path) -> RunPieces:
    """Read everything in a run's folder. Only the history must exist. Raises `HistoryError` with the place of what is malformed."""
    folder = Path(folder)
    torn: dict[str, str] = {}
    if not folder.is_dir():
        raise HistoryError(f"{folder} is not a folder", "name a run: runs/<campaign>/<timestamp>, or runs/latest")
    history = read_history(folder / "history.jsonl")
    if history.torn is not None:
        torn["history.jsonl"] = history.torn
    campaign = folder / "campaign.yaml"
    ledger = folder / "ledger.jsonl"
    return RunPieces(
        folder=folder,
        history=history,
        traces=read_traces(folder, torn),
        ledger=read_json_lines(ledger, torn) if ledger.exists() else (),
        campaign=read_text(campaign) if campaign.exists() else None,
        plan=_read_json(folder / "plan.json"),
        facts=_read_json(folder / "run.json"),
        torn=torn,
    )


_HEAD = b'{"node":'
"""Beginning of every trace line."""


def read_traces(folder: str | Path, torn: dict[str, str] | None = None) -> dict[str, list[dict[str, Any]]]:
    """Node → its trace lines in order, of every `trace/<node>.jsonl`. A torn last line is dropped (and put into `torn`)."""
    paths = sorted(Path(folder).glob("trace/*.jsonl"))
    return {path.stem: read_json_lines(path, torn, of_lives=True) for path in paths}


def read_json_lines(path: Path, torn: dict[str, str] | None = None, *, of_lives: bool = False) -> list[dict[str, Any]]:
    """Return each line's object. The last line may be torn; any other that is not an object is an error with file:line.

    `of_lives`: a process wrote the file in several incarnations, so the last line of each may be torn. The first line of the next incarnation follows
    it, or is joined to it.
    """
    content = read_bytes(path)
    whole = _decoded(content)
    if whole is not None:
        return whole
    *lines, tail = content.split(b"\n")
    found: list[dict[str, Any]] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            found.append(_bounded(line))
        except ValueError as error:
            following = lines[number] if number < len(lines) else tail
            if of_lives and (born := _first_of_a_life(line, following)) is not None:
                found += born
                if torn is not None:
                    torn[f"{path.name}:{number}"] = line.decode("utf-8", "replace")
                continue
            shown = line[:200].decode("utf-8", "replace")
            raise HistoryError(
                f"{path}:{number}: not a JSON object: {error}\n  {shown}", "only the last line may be unfinished"
            ) from error
    if tail.strip():
        try:
            found.append(_bounded(tail))
        except ValueError:
            if torn is not None:
                torn[path.name] = tail.decode("utf-8", "replace")
    return found


LARGE_BYTES = 1 << 16
_BLOCK_BYTES = 1 << 20


def read_trace(path: Path) -> Sequence[Mapping[str, Any]]:
    """Return each line's object of a node's trace, as `read_json_lines` does; a large one as a table of its lines."""
    try:
        table = _table(path)
    except ValueError:
        table = None
    return read_json_lines(path, of_lives=True) if table is None else table


def _table(path: Path) -> LineTable | None:
    """Read a history into a table of lines. Return None for a file that is small, or too large. Raises `ValueError` for a line that must be parsed
    separately.
    """
    builder, rest = TableBuilder(_bounded), b""
    with opened(path) as file:
        if not LARGE_BYTES <= os.fstat(file.fileno()).st_size <= TEXT_BYTES:
            return None
        while block := file.read(_BLOCK_BYTES):
            end = block.rfind(b"\n") + 1
            if end:
                builder.add(rest + block[:end])
                rest = b""
            rest += block[end:]
    try:
        whole = bool(rest.strip()) and bool(_bounded(rest))
    except ValueError:
        whole = False  # The last line is torn.
    if whole:
        builder.add(rest + b"\n")
    return builder.finish()


def _decoded(content: bytes) -> list[dict[str, Any]] | None:
    """The objects of a file of whole, ordinary lines; None for any other file, whose lines must be parsed one by one."""
    found: list[dict[str, Any]] = []
    at = 0
    while at < len(content):
        end = content.rfind(b"\n", at, at + AT_ONCE_BYTES) + 1
        objects = decode_lines(content[at:end]) if end else None
        if objects is None or any_may_repeat(content[at:end], objects):
            return None
        found += objects
        at = end
    return found


def _bounded(line: bytes) -> dict[str, Any]:
    """Parse the line's object. Raises `ValueError` for anything else, or for values out of the bounds of histories."""
    found = decode_once(line)
    if may_exceed(line) and (wrong := problem(found)) is not None:
        raise ValueError(wrong)
    return found


def _first_of_a_life(line: bytes, following: bytes) -> list[dict[str, Any]] | None:
    """Return the part of a torn line that belongs to the next process: its first line, if it was appended to the torn one. None: no process starts
    here, and the line is damaged.
    """
    glued = line.find(_HEAD, 1)
    for text, parsed in ((line[glued:] if glued > 0 else b"", True), (following, False)):
        try:
            if decode_line(text).get("seq") == 0:
                return [decode_once(text)] if parsed else []
        except ValueError:
            continue
    return None


def _read_json(path: Path) -> Any:
    if not path.exists():
        return None
    try:
        text = read_text(path)
        found = decode_value(text)
        refuse_repeats(text)
        return found
    except ValueError as error:
        raise HistoryError(f"{path}: not JSON: {error}", "the file was changed or cut") from error
