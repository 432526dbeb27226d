"""Reading a file that a user names: a regular file of a bounded size, or a `CampaignError` that names it.

A fifo or a terminal would wait for ever, `/dev/zero` has no end, and a file of gigabytes is no campaign.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from node.bounded import WIDE, OutOfBounds, read_json

from .errors import CampaignError

MOST_JSON_BYTES = 256 << 20
"""A plan of a shrunk run holds its operations one by one."""

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def read_text(path: str | Path, most_bytes: int) -> str:
    """The UTF-8 text of a regular file. It is opened without waiting, and judged by what was opened."""
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                kind = _KINDS.get(stat.S_IFMT(about.st_mode), "something else")
                raise CampaignError(
                    f"{path}: is {kind}, not a regular file", hint="name a file; write what a pipe gives into one first"
                )
            content = file.read(most_bytes + 1)
        if len(content) > most_bytes:
            raise CampaignError(
                f"{path}: has {max(about.st_size, len(content))} bytes, more than {most_bytes}",
                hint="is it the right file? nothing of this kind is so large",
            )
        return content.decode("utf-8")
    except FileNotFoundError:
        raise CampaignError(
            f"{path}: no such file", hint="check the path; relative paths start at the current directory"
        ) from None
    except (OSError, ValueError) as error:
        raise CampaignError(f"{path}: cannot be read: {error}", hint="it must be a readable UTF-8 text file") from None


def read_json_file(path: str | Path, hint: str, most_bytes: int = MOST_JSON_BYTES) -> Any:
    """The value of a JSON file, bounded in size, depth and digits; `hint` says which file would do."""
    try:
        return read_json(read_text(path, most_bytes), WIDE)
    except json.JSONDecodeError as error:
        raise CampaignError(f"{path}:{error.lineno}: not JSON: {error.msg}", hint) from None
    except OutOfBounds as error:
        raise CampaignError(f"{path}: {error}", hint) from None


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
