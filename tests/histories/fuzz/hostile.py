"""What may stand where a value belongs: at and past every bound, in the words of JSON and of EDN; and damage to bytes and lines."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from tribulation.histories.model.bounds import DEPTH, INTEGER_DIGITS, NAME_CHARACTERS, POSITION_LIMIT

DEPTHS = [DEPTH - 3, DEPTH - 1, DEPTH, DEPTH + 1, DEPTH + 4, 900, 100_000]
DIGITS = ["9" * INTEGER_DIGITS, "9" * (INTEGER_DIGITS + 1), "9" * 4301, "9" * 100_000]
NUMBERS = [
    "0", "-1", "-0", "1.0", "1e3", "1e999", "-1E400", "0.1e-999", "01", "1.", "NaN", "Infinity", "2305843009213693952",
    *[str(sign * limit + more) for sign in (1, -1) for limit in (2**31, 2**53, POSITION_LIMIT, 2**63) for more in (-1, 0, 1)],
]  # fmt: skip
PLAIN = [
    "null",
    "true",
    "false",
    "[]",
    "{}",
    '""',
    '"x"',
    '"nemesis"',
    '"invoke"',
    '"ok"',
    "[[]]",
    '["r",1,null]',
    '[["r",1,null]]',
]
JSON_VALUES = [
    *PLAIN, *NUMBERS, *DIGITS,
    r'"\ud800"', r'"\udc00\ud800"', r'"\u0000"', '"\u2028\x85"', '{"a":1,"a":2}', '[1,true,1.0]', "tru", "", "]", '"',
    f'"{"n" * NAME_CHARACTERS}"', f'"{"n" * (NAME_CHARACTERS + 1)}"',
    *["[" * depth + "]" * depth for depth in DEPTHS], *['{"a":' * depth + "0" + "}" * depth for depth in DEPTHS],
]  # fmt: skip
EDN_VALUES = [
    "nil", "true", "#{}", "()", "{}", "#{{:a 1} {:b 2}}", "#{{:a 1} {:a 1.0}}", "{{:a 1} {[1] #{2}}}", "{:a 1 :a 2}", "#{1 true}",
    "^{:a 1} [1]", "^:a ^b 1", "^", "^:a", "#_ 1", "#_ #_ 1 2 3", "#inst \"2020\"", "#a.b/c #d {:e 1}", "#tag", "#:ns{:a 1 :b/c 2 :_/d 3}", "#:ns", "#:ns 5",
    "1/2", "4/2", "1/0", "-3/6", "1.5M", "0.1M", "1.00000000000000000000001M", "5N", "5M", "007", "0x1F", "2r101", "+5", "1e400M", "1e999999999M",
    r"\a", r"\newline", r"\u0041", r"\ud800", r"\(", r"\o101", "\\", r'"\u0041"', r'"\ud83d\ude00"', r'"\ud83d"', r'"\101"', r'"\q"',
    "##NaN", "##Inf", "##-Inf", "#\"regex\"", "#(f)", "@a", "'a", "`a", ":", "::a", ":a/b", "a/b", "\x00", "\ufeff", "]", "}", ")", '"', "; comment",
    *NUMBERS, *DIGITS,
    *["[" * depth + "]" * depth for depth in DEPTHS], *["#{" * depth + "1" + "}" * depth for depth in DEPTHS],
    *["{:a " * depth + "0" + "}" * depth for depth in DEPTHS], *["^:a " * depth + "1" for depth in DEPTHS], *["#_ " * depth + "1" for depth in DEPTHS],
]  # fmt: skip
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?|null|true|false')
_EDN_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s,\[\](){}"]+')
_WORD = re.compile(r"[^\s,()]+")

Mutation = Callable[[bytes], bytes]


def _replaced(tokens: re.Pattern[str], value: str, place: int) -> Mutation:
    """The token at `place` (of all there are, modulo) becomes `value`."""

    def mutate(content: bytes) -> bytes:
        text = content.decode("utf-8", "surrogateescape")
        found = list(tokens.finditer(text))
        if not found:
            return content
        at = found[place % len(found)]
        return (text[: at.start()] + value + text[at.end() :]).encode("utf-8", "surrogatepass")

    return mutate


def _lines(change: Callable[[list[bytes], int], Any], place: int) -> Mutation:
    def mutate(content: bytes) -> bytes:
        lines = content.split(b"\n")
        change(lines, place % len(lines))
        return b"\n".join(lines)

    return mutate


def _swap(lines: list[bytes], at: int) -> None:
    lines[at], lines[at - 1] = lines[at - 1], lines[at]


def _bytes(how: str, place: int, value: bytes) -> Mutation:
    def mutate(content: bytes) -> bytes:
        at = place % (len(content) + 1)
        return {
            "cut": content[:at],
            "behead": content[at:],
            "insert": content[:at] + value + content[at:],
            "flip": content[:at] + bytes([content[at] ^ value[0]]) + content[at + 1 :]
            if at < len(content)
            else content,
            "bom": b"\xef\xbb\xbf" + content,
            "utf-16": content.decode("utf-8", "replace").encode("utf-16"),
            "crlf": content.replace(b"\n", b"\r\n"),
        }[how]

    return mutate


_PLACES = st.integers(0, 10_000)
_DAMAGES = st.one_of(
    st.builds(
        _bytes,
        st.sampled_from(["cut", "behead", "insert", "flip", "bom", "utf-16", "crlf"]),
        _PLACES,
        st.sampled_from(
            [
                b"\x00",
                b"\xff",
                b"\x80",
                b"\xed\xa0\x80",
                b"\n",
                b"[",
                b"{",
                b'"',
                b"\\",
                b" 1 ",
                b"\xe2\x80\xa8",
                b"\x01",
            ]
        ),
    ),
    st.builds(_lines, st.just(lambda lines, at: lines.insert(at, lines[at])), _PLACES),
    st.builds(_lines, st.just(lambda lines, at: lines.pop(at)), _PLACES),
    st.builds(_lines, st.just(_swap), _PLACES),
)
_JSON = st.builds(_replaced, st.just(_JSON_TOKEN), st.sampled_from(JSON_VALUES), _PLACES)
_EDN = st.builds(_replaced, st.just(_EDN_TOKEN), st.sampled_from(EDN_VALUES), _PLACES)
_WORDS = st.builds(
    _replaced, st.just(_WORD), st.sampled_from([*NUMBERS, *DIGITS, "²", "١", "r", "w", "x", ""]), _PLACES
)
OF_FORMAT = {
    "jsonl": _JSON,
    "elle-json": _JSON,
    "edn": _EDN,
    "edn-vector": _EDN,
    "jepsen-log": _EDN,
    "awdit": _WORDS,
    "isovista": _WORDS,
}


def mutations(format: str) -> st.SearchStrategy[list[Mutation]]:
    own = OF_FORMAT[format]
    return st.lists(st.one_of(own, own, own, _DAMAGES), min_size=1, max_size=3)
