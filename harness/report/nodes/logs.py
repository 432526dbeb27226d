"""The tested system's own logs, `logs/<node>/…`: the alarms, and what else fits.

A JSON line with `mono_ns` (the reference node writes such) is placed on the run's time. A line of another system has a place only by its order.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tribulation.checkers.traces.traces import Clocks
from tribulation.histories.files.codec import decode_value
from tribulation.histories.files.opening import open_regular

from .lines import Line, of_text
from .traces import placed

MOST_BYTES = 8 << 20
"""Read of each file: its end, where the run's last moments are."""
MOST_LINES = 400
"""Kept of each file."""
MOST_FILES = 8
_HEADER = frozenset(("time", "mono_ns", "level", "message", "node", "incarnation"))
_NOT_LOGS = (".json", ".yaml", ".conf", ".pem", ".key", ".crt")


def read_logs(folder: Path, clocks: Clocks, notes: list[str]) -> list[Line]:
    found: list[Line] = []
    if folder.is_symlink() or not folder.is_dir():
        return found
    for home in sorted(one for one in folder.iterdir() if one.is_dir() and not one.is_symlink()):
        files = [path for path in sorted(home.rglob("*")) if _is_log(path)]
        if len(files) > MOST_FILES:
            notes.append(f"logs/{home.name} has {len(files)} files; {MOST_FILES} are on this page.")
        for path in files[:MOST_FILES]:
            name = str(path.relative_to(home))
            try:
                lines = [_line(home.name, name, text, clocks) for text in _tail(path) if text.strip()]
            except OSError as error:
                notes.append(f"logs/{home.name}/{name} cannot be read: {error.strerror}")
                continue
            found += _chosen(lines, f"logs/{home.name}/{name}", notes)
    return found


def _is_log(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and path.suffix not in _NOT_LOGS


def _tail(path: Path) -> Iterator[str]:
    with open_regular(path) as file:
        skipped = max(0, os.fstat(file.fileno()).st_size - MOST_BYTES)
        file.seek(skipped)
        content = file.read(MOST_BYTES)
    lines = content.decode("utf-8", "replace").split("\n")
    yield from lines[1:] if skipped else lines


def _line(node: str, source: str, text: str, clocks: Clocks) -> Line:
    try:
        fields = decode_value(text.encode()) if text.startswith("{") else None
    except ValueError:
        fields = None
    if not isinstance(fields, dict) or not isinstance(fields.get("message"), str):
        return of_text(node, None, source, text)
    rest = ", ".join(f"{name} {value}" for name, value in fields.items() if name not in _HEADER)
    at_ns = placed(clocks, node, fields.get("mono_ns"), fields.get("incarnation", 0))
    level = fields.get("level")
    message = f"{fields['message']}: {rest}" if rest else fields["message"]
    return of_text(node, at_ns, source, message, level if isinstance(level, str) else None)


def _chosen(lines: list[Line], name: str, notes: list[str]) -> list[Line]:
    """All alarms that fit, and then the last of the others; in their order."""
    if len(lines) <= MOST_LINES:
        return lines
    notes.append(f"{name} has {len(lines)} lines; {MOST_LINES} are on this page, warnings and errors first.")
    order = sorted(range(len(lines)), key=lambda at: (lines[at].level == "info", -at))
    return [lines[at] for at in sorted(order[:MOST_LINES])]
