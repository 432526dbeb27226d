"""JSON documents of a run's folder, read in one place: regular files only, bounded in size, depth and numbers, and of the type that the reader needs.

    plan = read_document(run_dir / "plan.json")                  # any JSON object; `required_document` for a document that a user named
    facts = typed(document, RunFacts, "run.json")                # raises `DocumentError` where a field has another type

Anyone may have written the folder. `DocumentError` describes what is wrong with an existing file; `FileNotFoundError` is not caught.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from tribulation.histories import HistoryError
from tribulation.histories.files.codec import decode_value, refuse_repeats
from tribulation.histories.files.opening import read_bytes
from tribulation.histories.model.bounds import problem

from ..errors import CampaignError

DOCUMENT_BYTES = 256 << 20
"""Size limit of a plan: the plan of a shrunk run lists all its operations."""

T = TypeVar("T")
_BYTE = re.compile(r"\(byte ([0-9]+)\)")


class DocumentError(ValueError):
    """The file exists but is not what a run writes. The message has no path; `line` is where it is not JSON."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line

    def at(self, path: Path) -> str:
        """The message with its place."""
        return f"{path}: {self}" if self.line is None else f"{path}:{self.line}: {self}"


def read_document(path: Path) -> dict[str, Any]:
    """The JSON object in that file. Raises `FileNotFoundError`, and `DocumentError` for everything else."""
    content = b""
    try:
        content = read_bytes(path, DOCUMENT_BYTES)
        found = decode_value(content)
    except HistoryError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise error.__cause__ from None
        raise DocumentError(error.message.removeprefix(f"cannot read the history {path}: ")) from error
    except ValueError as error:
        byte = _BYTE.search(str(error))
        line = content.count(b"\n", 0, int(byte[1]) if byte else len(content)) + 1
        raise DocumentError(f"not JSON: {error}", line) from error
    if not isinstance(found, dict):
        raise DocumentError(f"{type(found).__name__}, not an object")
    wrong = problem(found)
    if wrong is not None:
        raise DocumentError(wrong)
    try:
        refuse_repeats(content)
    except ValueError as error:
        raise DocumentError(str(error)) from None
    return found


def required_document(path: Path, hint: str) -> dict[str, Any]:
    """The same for a file that a user named, or that must be there. Raises `CampaignError`; `hint` says which file is expected."""
    try:
        return read_document(path)
    except FileNotFoundError:
        raise CampaignError(
            f"{path}: no such file", hint="check the path; relative paths start at the current directory"
        ) from None
    except DocumentError as error:
        raise CampaignError(error.at(path), hint) from None


def typed(value: Any, kind: type[T]) -> T:
    """The value as that type. Raises `DocumentError` with the first field of another type."""
    try:
        return msgspec.convert(value, kind, str_keys=True)
    except (msgspec.ValidationError, OverflowError) as error:
        raise DocumentError(str(error)) from error
