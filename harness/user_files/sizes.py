"""Numbers of bytes as people write them in a campaign (`64MiB`) and as the code holds them: bytes.

>>> parse_bytes("64MiB"), format_bytes(1536)
(67108864, '1536B')
"""

from __future__ import annotations

import re
from typing import Any

from ..errors import shown

_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_SIZE = re.compile(rf"(\d+)\s*({'|'.join(_UNITS)})", re.ASCII)
MOST_BYTES = 1 << 44
_HINT = "write a whole number with one of B, KiB, MiB, GiB, such as 64MiB"


def parse_bytes(text: Any) -> int:
    """Raises `ValueError` that shows the value and what would do."""
    match = _SIZE.fullmatch(text.strip()) if isinstance(text, str) and len(text) <= 32 else None
    if match is None:
        raise ValueError(f"{shown(text)} is no number of bytes: {_HINT}")
    amount = int(match[1]) * _UNITS[match[2]]
    if amount > MOST_BYTES:
        raise ValueError(f"{text!r} is more than {format_bytes(MOST_BYTES)}")
    return amount


def format_bytes(amount: int) -> str:
    """The shortest exact text that `parse_bytes` reads back as the same number."""
    unit = next(unit for unit in reversed(_UNITS) if amount % _UNITS[unit] == 0)
    return f"{amount // _UNITS[unit]}{unit}"
