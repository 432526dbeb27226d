"""The seal of a run's folder: lines, bytes and digest of every file of evidence, taken at the end of the run and compared when it is judged.

    files = seal(run_dir)               # into run.json
    gaps = broken_seals(run_dir, files) # what is missing, cut or changed since then

`verdict.json` and `report.html` are not evidence: they can be written again from the rest. `run.json`, which holds the seal, is not either.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tribulation.checkers.base.result import Gap
from tribulation.checkers.soundness.gating import REPORTED_ONLY
from tribulation.histories.files.codec import decode_value
from tribulation.histories.files.opening import open_regular

HISTORY_FILE, LEDGER_FILE, PLAN_FILE, CAMPAIGN_FILE = "history.jsonl", "ledger.jsonl", "plan.json", "campaign.yaml"
RUN_FILE = "run.json"
PARTS = {HISTORY_FILE: "history", LEDGER_FILE: "ledger", PLAN_FILE: "plan", CAMPAIGN_FILE: "plan"}
FOLDERS = {"trace": "trace", "inputs": "input", "logs": "log", "adapter": "code", "plugins": "code"}
LARGE = frozenset({"log", "input"})
"""Parts of which only the size is compared: they may be large, and no verdict rests on them."""

Files = Mapping[str, Mapping[str, Any]]
"""Name below the run's folder → `{"lines", "bytes", "sha256"}`."""

MOST_UNKNOWN = 20
"""The most unsealed files that are reported by name."""
_CHUNK = 1 << 20
_TAIL = 1 << 16


def part_of(name: str) -> str:
    """The part of a run (see `Gap`) to which the file of this name belongs; a file of a later version is unknown here."""
    return PARTS.get(name) or FOLDERS.get(name.split("/", 1)[0], "input")


def place_of(node: str, name: str) -> str:
    """The place of a collected file: `trace/<node>.jsonl`, `inputs/<node>/…`, `logs/<node>/…`."""
    if name == "trace.jsonl":
        return f"trace/{node}.jsonl"
    folder, _, rest = name.partition("/")
    return f"{folder}/{node}/{rest}" if folder in ("inputs", "logs") and rest else f"logs/{node}/{name}"


def seal(run_dir: Path) -> dict[str, dict[str, Any]]:
    """Measure the files of the evidence, by name. Raises `OSError` if a file cannot be read."""
    return {name: _measured(run_dir / name) for name in _evidence(run_dir)}


def broken_seals(run_dir: Path, files: Files) -> list[Gap]:
    """Differences from the seal. Logs and inputs are compared only by size, which costs nothing."""
    gaps = [gap for name, sealed in files.items() if (gap := _compared(run_dir, name, sealed)) is not None]
    return gaps + _links(run_dir) + _unsealed(run_dir, files)


def _links(run_dir: Path) -> list[Gap]:
    """Gaps for folders that are links: they may lead anywhere, and to files without end."""
    return [
        Gap(part, folder, "is a link, which no run makes", changed=True)
        for folder, part in FOLDERS.items()
        if (run_dir / folder).is_symlink()
    ]


def _unsealed(run_dir: Path, files: Files) -> list[Gap]:
    unknown = [name for name in _evidence(run_dir) if name not in files and part_of(name) not in REPORTED_ONLY]
    why = "was not there when the run was sealed"
    gaps = [Gap(part_of(name), name, why, changed=True) for name in unknown[:MOST_UNKNOWN]]
    if more := unknown[MOST_UNKNOWN:]:
        parts = dict.fromkeys(map(part_of, more))
        gaps += [Gap(part, f"{len(more)} more files", why, changed=True) for part in parts]
    return gaps


def _evidence(run_dir: Path) -> Iterator[str]:
    """Names of the files of evidence. No link to a folder is followed."""
    for name in PARTS:
        if (run_dir / name).is_file():
            yield name
    for folder in FOLDERS:
        if (run_dir / folder).is_symlink():
            continue
        for place, inner, names in os.walk(run_dir / folder):
            inner.sort()
            for path in sorted(os.path.join(place, name) for name in names):
                if os.path.isfile(path):
                    yield Path(path).relative_to(run_dir).as_posix()


def _measured(path: Path) -> dict[str, Any]:
    digest, lines, size = hashlib.sha256(), 0, 0
    with open_regular(path) as file:
        while block := file.read(_CHUNK):
            digest.update(block)
            lines += block.count(b"\n")
            size += len(block)
    return {"lines": lines, "bytes": size, "sha256": digest.hexdigest()}


def _compared(run_dir: Path, name: str, sealed: Mapping[str, Any]) -> Gap | None:
    path, part = run_dir / name, part_of(name)
    try:
        size = path.stat().st_size
        if part in LARGE or size > sealed["bytes"]:
            # A file that grew differs from the seal: its content, which may be without end, need not be read.
            found: Mapping[str, Any] = {**sealed, "bytes": size}
        else:
            found = _measured(path)
    except FileNotFoundError:
        return Gap(part, name, "is missing", tail=True)
    except OSError as error:
        return Gap(part, name, f"cannot be read: {error.strerror}")
    if found == dict(sealed):
        return None
    shorter = found["bytes"] < sealed["bytes"]
    if not shorter or (part not in REPORTED_ONLY and found["lines"] >= sealed["lines"] > 0):
        return Gap(part, name, "is not what the run wrote", changed=True)
    if part in REPORTED_ONLY:
        return Gap(part, name, f"has {found['bytes']} of {sealed['bytes']} bytes")
    lines = f"{found['lines']} of {sealed['lines']} lines"
    if part == "history" and not _begins_a_history(path, found["lines"]):
        return Gap(part, name, f"has {lines}, and not the first ones")
    return Gap(part, name, f"ends after {lines}", tail=True)


def _begins_a_history(path: Path, lines: int) -> bool:
    """Return whether the file holds the first `lines` lines of a history, by the index in its last whole line."""
    if not lines:
        return True
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        whole = file.read().rpartition(b"\n")[0]
    try:
        return bool(decode_value(whole.rpartition(b"\n")[2])["index"] == lines - 1)
    except (ValueError, KeyError, TypeError):
        return False
