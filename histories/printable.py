"""Text from outside, safe for a terminal: characters that move the cursor, change colours, turn the direction or are invisible become escapes.

    printable("k\\x1b[2J")     # 'k\\\\u001b[2J'

The escapes are those of JSON, so that a JSON document stays one, with the same values.
"""

from __future__ import annotations

import re

_HIDDEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 except tab and line feed, DEL, C1
    "\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # zero width, or a change of direction
    "\ud800-\udfff\U000e0000-\U000e0fff"  # halves of characters, tags
)
_IN_TEXT = re.compile(f"[{_HIDDEN}]")
_IN_A_LINE = re.compile(f"[{_HIDDEN}\t\n]")


def printable(text: str) -> str:
    """Escape a text. Lines and tabs stay."""
    return _IN_TEXT.sub(_escape, text)


def in_a_line(text: str) -> str:
    """Escape one value in a sentence or a table, including its line breaks."""
    return _IN_A_LINE.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    data = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{data[at : at + 2].hex()}" for at in range(0, len(data), 2))
