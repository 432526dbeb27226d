"""Damage to the files of a run's folder: to bytes, to lines, to what kind of file it is, and to any value of its JSON."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests.histories.fuzz.hostile import JSON_VALUES
from tribulation.histories.model.bounds import DEPTH, INTEGER_DIGITS

RAW = "raw value here"


@dataclass(frozen=True)
class Damage:
    """`how` is done to the file at `file` (of all there are, modulo), at `place`; `value` is JSON text, or a byte."""

    file: int
    how: str
    place: int = 0
    value: str = ""

    def do(self, run: Path) -> str:
        """The name of the file."""
        names = sorted(
            path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file() and path.name != "report.html"
        )
        name = names[self.file % len(names)]
        if (run / name).stat().st_size < 1 << 30:  # not sparse already
            _WAYS[self.how](run / name, self.place, self.value)
        return name


def _replace(make: Callable[[Path], object]) -> Callable[[Path, int, str], None]:
    def way(path: Path, place: int, value: str) -> None:
        path.unlink()
        make(path)

    return way


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def _on_bytes(change: Callable[[bytes, int], bytes]) -> Callable[[Path, int, str], None]:
    def way(path: Path, place: int, value: str) -> None:
        content = path.read_bytes()
        path.write_bytes(change(content, place % max(1, len(content))))

    return way


def _on_lines(change: Callable[[list[bytes], int], object]) -> Callable[[Path, int, str], None]:
    def way(path: Path, place: int, value: str) -> None:
        lines = path.read_bytes().split(b"\n")
        change(lines, place % len(lines))
        path.write_bytes(b"\n".join(lines))

    return way


def _swap(lines: list[bytes], at: int) -> None:
    lines[at], lines[at - 1] = lines[at - 1], lines[at]


def _value(path: Path, place: int, value: str) -> None:
    """Any value of a JSON document, or of one line of many, becomes another, or goes."""
    text = path.read_text(errors="replace")
    if path.suffix == ".jsonl":
        lines = text.split("\n")
        at = place % max(1, len(lines) - 1)
        lines[at] = _changed(lines[at], place // 7, value)
        path.write_text("\n".join(lines))
    elif path.suffix == ".json":
        path.write_text(_changed(text, place, value))
    else:
        words = list(re.finditer(r"[^\s:,\[\]{}]+", text))
        if words:
            word = words[place % len(words)]
            path.write_text(text[: word.start()] + value[:1_000_000] + text[word.end() :])


def _changed(text: str, place: int, value: str) -> str:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):  # an earlier damage
        return text
    places = list(_places(document))
    if not places:
        return value
    holder, name = places[place % len(places)]
    if value == "gone":
        del holder[name]
        return json.dumps(document)
    holder[name] = RAW
    return json.dumps(document).replace(json.dumps(RAW), value, 1)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    names: Any = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for name in names:
        yield value, name
        yield from _places(value[name])


_WAYS: dict[str, Callable[[Path, int, str], None]] = {
    "value": _value,
    "remove": _replace(lambda path: None),
    "empty": _replace(lambda path: path.touch()),
    "folder": _replace(lambda path: path.mkdir()),
    "fifo": _replace(os.mkfifo),
    "zeros": _replace(lambda path: path.symlink_to("/dev/zero")),
    "dangling": _replace(lambda path: path.symlink_to("nothing")),
    "itself": _replace(lambda path: path.symlink_to(path.name)),
    "sparse": _replace(_sparse),
    "cut": _on_bytes(lambda content, at: content[:at]),
    "flip": _on_bytes(
        lambda content, at: content[:at] + bytes([content[at] ^ 0x81]) + content[at + 1 :] if content else b"\x81"
    ),
    "zero": _on_bytes(lambda content, at: content[:at] + b"\0" + content[at + 1 :]),
    "double": _on_lines(lambda lines, at: lines.insert(at, lines[at])),
    "swap": _on_lines(_swap),
    "drop": _on_lines(lambda lines, at: lines.pop(at)),
}

_TEXTS = [
    *JSON_VALUES, "gone", "gone", "1" + "0" * 400, "9" * INTEGER_DIGITS, "-1", '"x"', "[]", "{}", "null", "[null]", '[["a"]]', '{"a":null}', "true", '"../../x"',
    "[" * DEPTH + "]" * DEPTH,
]  # fmt: skip
_PLACES = st.integers(0, 1 << 24)
DAMAGES = st.one_of(
    st.builds(Damage, _PLACES, st.just("value"), _PLACES, st.sampled_from(_TEXTS)),
    st.builds(Damage, _PLACES, st.just("value"), _PLACES, st.sampled_from(_TEXTS)),
    st.builds(Damage, _PLACES, st.sampled_from(sorted(_WAYS)[:-1]).filter("value".__ne__), _PLACES),
)


def copied(run: Path, place: Path) -> Path:
    return Path(shutil.copytree(run, place / "run"))
