"""Reading a file that a user names: a regular file of a bounded size, or a `CampaignError` that names it.

A fifo or a terminal would wait without end, `/dev/zero` has no end, and a file of gigabytes is not a campaign.
"""

from __future__ import annotations

import os
from pathlib import Path

from tribulation.histories.files.opening import open_regular

from ..errors import CampaignError


def read_text(path: str | Path, most_bytes: int) -> str:
    """The UTF-8 text of a regular file."""
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            content = file.read(most_bytes + 1)
        if len(content) > most_bytes:
            raise CampaignError(
                f"{path}: has {max(size, len(content))} bytes, more than {most_bytes}",
                hint="is it the right file? files of this kind are smaller",
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
