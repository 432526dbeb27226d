"""Messages between nodes around the witnesses of a simulated run, `messages.jsonl`: which, when sent, when arrived.

The simulator knows of every message; the file has those near witnesses, bounded in number. Real hosts record none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from tribulation.histories.files.codec import decode_value
from tribulation.histories.files.opening import open_regular

MESSAGES_FILE = "messages.jsonl"
MOST = 8000
_MOST_BYTES = 4 << 20

Log = Callable[[Sequence[tuple[int, int]]], Iterable[Mapping[str, Any]]]
"""Messages under way in spans of the run's time, each as a line of the file."""


@dataclass(frozen=True, slots=True)
class Message:
    """`arrived_ns` is None for one that was lost, or was under way when the run ended. `about` says what it is about: `term 2, 3 entries`."""

    sent_ns: int
    arrived_ns: int | None
    source: str
    target: str
    kind: str
    about: str

    @property
    def text(self) -> str:
        return f"{self.kind} ({self.about})" if self.about else self.kind


def keep_messages(folder: Path, log: Log, spans_ns: Sequence[tuple[int, int]]) -> None:
    """Write the messages of these spans into the run's folder; without spans no file."""
    if not spans_ns:
        return
    lines = [json.dumps(dict(one), ensure_ascii=False) + "\n" for one in islice(log(spans_ns), MOST)]
    (folder / MESSAGES_FILE).write_text("".join(lines), encoding="utf-8")


def read_messages(folder: Path, notes: list[str]) -> list[Message]:
    """The messages of the file, if there is one. A line of another form is left out, and a note says so."""
    try:
        with open_regular(folder / MESSAGES_FILE) as file:
            lines = file.read(_MOST_BYTES).split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        notes.append(f"{MESSAGES_FILE} cannot be read: {error.strerror}")
        return []
    found = [_message(line) for line in lines if line.strip()]
    if wrong := found.count(None):
        notes.append(f"{MESSAGES_FILE}: {wrong} of {len(found)} lines are not messages.")
    return [one for one in found if one is not None][:MOST]


def _message(line: bytes) -> Message | None:
    try:
        of = decode_value(line)
    except ValueError:
        return None
    if not isinstance(of, dict):
        return None
    sent_ns, arrived_ns = of.get("sent_ns"), of.get("arrived_ns")
    texts = [of.get(name) for name in ("from", "to", "kind", "about")]
    if type(sent_ns) is not int or not (arrived_ns is None or type(arrived_ns) is int):
        return None
    if not all(isinstance(text, str) for text in texts):
        return None
    return Message(sent_ns, arrived_ns, *(str(text)[:120] for text in texts))
