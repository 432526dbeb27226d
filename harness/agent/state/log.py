"""Lines for the log of a process that must go on whatever becomes of its log: what a full disk does not take is lost."""

from __future__ import annotations

import contextlib
import os


def log_line(line: str) -> None:
    """Write to standard error, past Python's buffer, which would try the same bytes again and fail again."""
    with contextlib.suppress(OSError):
        os.write(2, f"{line}\n".encode("utf-8", "backslashreplace"))
