"""Tokens of EDN, and the values of those that are not collections."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from ..model.bounds import INTEGER_DIGITS, is_unicode

TOKEN = re.compile(
    r"""[\s,]++|;[^\n]*+
    |(?P<open>\#\{|[\[({])|(?P<close>[\])}])
    |(?P<string>"[^"\\]*+(?:\\.[^"\\]*+)*+")
    |(?P<character>\\(?:newline|return|space|tab|formfeed|backspace|u[0-9a-fA-F]{4}|o[0-7]{1,3}|.)(?=[\s,\[\](){}";]|\Z))
    |(?P<namespace>\#:[^\s,\[\](){}";\#:\\@`~^]++)
    |(?P<prefix>\#_|\^|\#[A-Za-z][\w./*+!?$%&=<>-]*+)
    |(?P<atom>[^\s,\[\](){}";\#\\^@`~][^\s,\[\](){}";\\^@`~]*+)""",
    re.VERBOSE | re.DOTALL,
)
_CONSTANTS = {"nil": None, "true": True, "false": False}
_CHARACTERS = {"newline": "\n", "return": "\r", "space": " ", "tab": "\t", "formfeed": "\f", "backspace": "\b"}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", '"': '"', "\\": "\\"}
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|[0-3]?[0-7]{1,2}|.)", re.DOTALL)
_NUMBER = re.compile(r"[+-]?[0-9]")
_INTEGER = re.compile(r"[+-]?(0|[1-9][0-9]*)[NM]?")
_RATIO = re.compile(r"[+-]?[0-9]+/[0-9]+")
_FLOAT = re.compile(r"[+-]?(0|[1-9][0-9]*)(\.[0-9]*)?([eE][+-]?[0-9]+)?M?")
_LONGEST_NUMBER = 2 * INTEGER_DIGITS + 2


class Unreadable(ValueError):
    """Text that is not EDN, or out of bounds; the message says what."""


def string(token: str) -> str:
    if "\\" not in token:
        return token[1:-1]
    return _whole(_ESCAPE.sub(lambda found: _escaped(found[1]), token[1:-1]))


def character(token: str) -> str:
    name = token[1:]
    if name in _CHARACTERS or len(name) == 1:
        return _CHARACTERS.get(name, name)
    return _whole(chr(int(name[1:], 16 if name[0] == "u" else 8)))


def atom(token: str) -> str | int | float | bool | None:
    if token in _CONSTANTS:
        return _CONSTANTS[token]
    return _number(token) if _NUMBER.match(token) else token.removeprefix(":")


def _escaped(name: str) -> str:
    if name in _ESCAPES:
        return _ESCAPES[name]
    if name[0] in "u01234567" and name != "u":
        return chr(int(name[1:], 16) if name[0] == "u" else int(name, 8))
    raise Unreadable(f"a string with the escape \\{name}, which EDN does not have")


def _whole(text: str) -> str:
    """Join the two halves of each surrogate pair in the text, as Java writes them."""
    if not is_unicode(text):
        try:
            text = text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            raise Unreadable("a text with half of a surrogate pair") from None
    return text


def _number(token: str) -> int | float | str:
    if len(token) > _LONGEST_NUMBER:
        raise Unreadable(f"a number of {len(token)} digits")
    if _INTEGER.fullmatch(token):
        digits = token.rstrip("NM")
        if len(digits.lstrip("+-")) > INTEGER_DIGITS:
            raise Unreadable(f"an integer has more than {INTEGER_DIGITS} digits")
        return int(digits)
    if _RATIO.fullmatch(token):
        try:
            ratio = Fraction(token)
        except ZeroDivisionError:
            raise Unreadable("a ratio of nothing") from None
        return ratio.numerator if ratio.denominator == 1 else str(ratio)
    if _FLOAT.fullmatch(token):
        return _float(token)
    raise Unreadable("a number that EDN does not have")


def _float(token: str) -> float:
    value = float(token.rstrip("M"))
    if value - value != 0.0:
        raise Unreadable("a number that is too large for a float")
    try:
        exact = not token.endswith("M") or Decimal(repr(value)) == Decimal(token[:-1])
    except InvalidOperation:
        exact = False
    if not exact:
        raise Unreadable("a decimal with more digits than a float can hold")
    return value
