"""Reading a file that a user names: a regular file of a bounded size, or a `CampaignError` that names it.

A fifo or a terminal would wait for ever, `/dev/zero` has no end, and a file of gigabytes is no campaign.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tribulation.histories.files.opening import open_regular
from tribulation.node.bounded import WIDE, OutOfBounds, read_json, refuse_surrogates

from ..errors import CampaignError, shown

MOST_JSON_BYTES = 256 << 20
"""A plan of a shrunk run holds its operations one by one."""


def read_text(path: str | Path, most_bytes: int) -> str:
    """The UTF-8 text of a regular file."""
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            content = file.read(most_bytes + 1)
        if len(content) > most_bytes:
            raise CampaignError(
                f"{path}: has {max(size, len(content))} bytes, more than {most_bytes}",
                hint="is it the right file? nothing of this kind is so large",
            )
        return content.decode("utf-8")
    except FileNotFoundError:
        raise CampaignError(
            f"{path}: no such file", hint="check the path; relative paths start at the current directory"
        ) from None
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise CampaignError(
            f"{path}: cannot be read: {reason}", hint="it must be a regular file of UTF-8 text"
        ) from None


def read_json_file(path: str | Path, hint: str, most_bytes: int = MOST_JSON_BYTES) -> Any:
    """The value of a JSON file, bounded in size, depth and digits; `hint` says which file would do. A name that an object has twice is refused."""
    try:
        text = read_text(path, most_bytes)
        value = read_json(text, WIDE)
        refuse_surrogates(text, value)
        json.loads(text, object_pairs_hook=_once_each)
        return value
    except json.JSONDecodeError as error:
        raise CampaignError(f"{path}:{error.lineno}: not JSON: {error.msg}", hint) from None
    except OutOfBounds as error:
        raise CampaignError(f"{path}: {error}", hint) from None


def _once_each(pairs: list[tuple[str, Any]]) -> None:
    """Raises `OutOfBounds`: of two values of one name a reader would silently take the last."""
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise OutOfBounds(f"an object has {shown(next(name for name in names if names.count(name) > 1))} twice")
