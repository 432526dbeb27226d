"""Characters allowed in names, with the same answer on every Python.

`str.isprintable` uses the Unicode tables of the interpreter, which grow with each release. Two nodes would judge one command differently, and their
states would diverge. Python keeps the tables of Unicode 3.2 for such cases (RFC 3454). A control, format or space character of those tables is
refused, and so is a format character that came later. A character that neither knows is accepted.
"""

from __future__ import annotations

from unicodedata import ucd_3_2_0

_REFUSED = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp", "Zs")
_LATER = (
    (0xAD, 0xAD),
    (0x600, 0x605),
    (0x61C, 0x61C),
    (0x890, 0x891),
    (0x8E2, 0x8E2),
    (0x2064, 0x2064),
    (0x2066, 0x2069),
    (0x110BD, 0x110BD),
    (0x110CD, 0x110CD),
    (0x13430, 0x1343F),
    (0x1BCA0, 0x1BCA3),
)
"""Format characters of Unicode 4 to 15, which `isprintable` refuses."""


def printable(text: str) -> bool:
    if text.isascii():
        return text.isprintable()
    return all(map(_fine, text))


def _fine(character: str) -> bool:
    if character == " ":
        return True
    code = ord(character)
    return ucd_3_2_0.category(character) not in _REFUSED and not any(first <= code <= last for first, last in _LATER)
