"""The formats by name: how each is read and written, and how a file's format is detected.

    history = read("history.edn")                  # detected by content, then by the name's ending
    write(history, "history.json", "elle-json")

A format is a row of the table here and a module next to it, imported when it is used.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from ..files.codec import decode_line
from ..files.files import write_history
from ..files.opening import opened, unreadable
from ..files.replacing import refuse_special
from ..model.columns import Columns
from ..model.errors import HistoryError
from ..model.history import History
from ..model.rows import history_of_columns

_HEAD_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Format:
    """`reader` and `writer` are "module:function" in `histories`. A writer takes the path and the events, or the whole history if `sessions`."""

    title: str
    reader: str
    writer: str
    endings: tuple[str, ...]
    sessions: bool = False


FORMATS: dict[str, Format] = {
    "jsonl": Format(
        "one JSON object per event, ours", "files.files:read_history", "files.files:write_history", (".jsonl",)
    ),
    "edn": Format(
        "Jepsen's EDN, one map per line",
        "formats.edn:read_edn_history",
        "formats.edn_writer:write_edn_lines",
        (".edn",),
    ),
    "edn-vector": Format(
        "Jepsen's EDN, one vector of maps", "formats.edn:read_edn_history", "formats.edn_writer:write_edn_vector", ()
    ),
    "jepsen-log": Format(
        "the operations that jepsen.util logs",
        "formats.jepsen_log:read_jepsen_log",
        "formats.jepsen_log:write_jepsen_log",
        (".log",),
    ),
    "elle-json": Format(
        "elle-cli's JSON, one array of objects",
        "formats.elle_json:read_elle_json",
        "formats.elle_json:write_elle_json",
        (".json",),
    ),
    "awdit": Format(
        "AWDIT's text: committed transactions in sessions",
        "formats.awdit:read_awdit",
        "formats.session_writers:write_awdit",
        (".awdit",),
        sessions=True,
    ),
    "isovista": Format(
        "IsoVista's text: committed transactions in sessions",
        "formats.isovista:read_isovista",
        "formats.session_writers:write_isovista",
        (".isovista",),
        sessions=True,
    ),
}

ALIASES = {
    "edn-lines": "edn",
    "elle": "elle-json",
    "json": "elle-json",
    "awdit-text": "awdit",
    "isovista-text": "isovista",
}


def format_named(name: str) -> str:
    """Return the format's own name. Raises `HistoryError` for an unknown one."""
    found = ALIASES.get(name, name)
    if found not in FORMATS:
        raise HistoryError(f"no history format {name!r}", f"there are {', '.join(FORMATS)}")
    return found


def read(path: str | Path, format: str | None = None) -> History:
    """The history in `path`. Raises `HistoryError` where it cannot be read, or no format is recognised."""
    name = detect(path) if format is None else format_named(format)
    try:
        found: History | Columns = _function(FORMATS[name].reader)(path)
    except OSError as error:
        raise unreadable(path, error) from error
    return history_of_columns(found, str(path)) if isinstance(found, Columns) else found


def write(history: History, path: str | Path, format: str | None = None) -> str:
    """Write the history in `format`, or in the one of the name's ending; return the name of the format.

    Refuse a history with a cut last line. Only our own format can record this; in another format the history would look complete.
    """
    name = format_named(format) if format is not None else of_ending(path)
    if name is None:
        endings = ", ".join(ending for found in FORMATS.values() for ending in found.endings)
        raise HistoryError(
            f"{path}: the file name does not have the ending of a known format",
            f"name the format, or end the name in {endings}",
        )
    spec = FORMATS[name]
    if history.torn is not None and name != "jsonl":
        raise HistoryError(
            f"{history.source or 'the history'}: its last line is cut, and {name} cannot record that: {history.torn[:80]!r}",
            "convert it to jsonl, which can record it; or remove the cut line from a copy: its verdict is then about the remaining lines",
        )
    try:
        refuse_special(path, links=False)
    except OSError as error:
        raise HistoryError(f"cannot write {path}: {error.strerror}", "name a new file or a regular one") from error
    try:
        if history.torn is not None:
            write_history(path, history.events, history.torn)
        else:
            _function(spec.writer)(path, history if spec.sessions else history.events)
    except (TypeError, OverflowError, UnicodeEncodeError) as error:
        raise HistoryError(
            f"a value of the history cannot be written in {name}: {error}", "another format may be able to express it"
        ) from error
    return name


def of_ending(path: str | Path) -> str | None:
    """Return the format of the name's ending."""
    suffix = Path(path).suffix
    return next((name for name, spec in FORMATS.items() if suffix in spec.endings), None)


def detect(path: str | Path) -> str:
    """Detect the format of a file, by its first lines, else by its name's ending. Raises `HistoryError` when neither is known."""
    try:
        with opened(path) as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise unreadable(path, error) from error
    found = of_content(head) or of_ending(path)
    if found is None:
        raise HistoryError(f"{path} is in no known format of histories", f"name one of {', '.join(FORMATS)}")
    return found


def of_content(head: bytes) -> str | None:
    """Return the format that begins like this content."""
    text = head.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    for pattern, name in _LOOKS:
        if pattern.search(text):
            return name
    return "jsonl" if _is_object(text.partition("\n")[0]) else None


_LOOKS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\A(;[^\n]*\s+)*(#[\w./-]+\s*)?\{\s*:"), "edn"),
    (re.compile(r"\A(;[^\n]*\s+)*\[\s*(#[\w./-]+\s*)?\{\s*:"), "edn-vector"),
    (re.compile(r'\A\[\s*\{\s*"'), "elle-json"),
    (re.compile(r"^INFO\s+jepsen\.util - ", re.MULTILINE), "jepsen-log"),
    (re.compile(r"\A[rw]\(-?\d+,"), "isovista"),
    (re.compile(r"\A(-{3,}\s+|={3,}\s+)*[rw] -?\d+ -?\d+\s"), "awdit"),
)


def _is_object(line: str) -> bool:
    try:
        decode_line(line)
    except ValueError:
        return False
    return True


def _function(name: str) -> Callable[..., History | Columns]:
    module, _, function = name.partition(":")
    found: Callable[..., History | Columns] = getattr(import_module(f"..{module}", __package__), function)
    return found
