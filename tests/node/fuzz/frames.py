"""Bytes as a connection may bring them: frames with payloads at and past every bound, in right and wrong encodings, whole and cut."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from hypothesis import strategies as st

from tribulation.node.bounded import INTEGER_LIMIT, STRICT, WIDE
from tribulation.node.wire import HEADER, MAGIC, MAX_PAYLOAD, VERSION, Kind

from .values import REQUESTS, WIRES, around

SHOWN_CHARACTERS = 300


class Lazy:
    """A text or bytes that are made when they are asked for: Hypothesis keeps every `str` and `bytes` that it draws until the test ends, some megabytes an example."""

    def __init__(self, make: Callable[..., Any], *parts: Any) -> None:
        self._make, self._parts = make, parts

    def __call__(self) -> Any:
        return self._make(*(part() if isinstance(part, Lazy) else part for part in self._parts))

    def __repr__(self) -> str:
        text = f"{self._make.__name__}({', '.join(map(repr, self._parts))})"
        return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def lazily(make: Callable[..., Any], *parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Lazy]:
    return st.builds(partial(Lazy, make), *parts)


class Long(str):
    """A text that is shown by its length: Hypothesis keeps what each strategy and each step of a stateful run looks like, 25 MB of it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Long({self[:12] + '…'!r}, {len(self)} characters)"


DEPTHS = [*around(STRICT.depth - 2, STRICT.depth, WIDE.depth), 970, 3000, 200_000]
NUMBERS = [str(number) for number in around(INTEGER_LIMIT, -INTEGER_LIMIT)]
NUMBERS += ["9" * digits for digits in (*around(4300), 100_000)] + [
    "1e308",
    "1e309",
    "-1E400",
    "NaN",
    "Infinity",
    "-0",
    "0.1e-999",
    "01",
    "1.",
]
STRINGS = [r'"\ud800"', r'"\udc00\ud800"', r'"\u0000"', '"\u2028"', '"']
LONG = st.sampled_from(
    [Long(f'"{text}"') for text in ("é" * 300_000, "i" * (MAX_PAYLOAD - 2000), "i" * (MAX_PAYLOAD - 200))]
)
ODD = st.one_of(
    st.sampled_from([Long(number) if len(number) > 100 else number for number in NUMBERS]),
    st.sampled_from(STRINGS),
    st.sampled_from([Long("[" * depth + "]" * depth) for depth in DEPTHS]),
    st.sampled_from([Long('{"a":' * depth + "0" + "}" * depth) for depth in DEPTHS]),
    st.sampled_from(["null", "{}", "[]", "{", "tru", '{"a":1,"a":2}', ""]),
)
"""Texts that no Python value stands for, or not on every Python."""
MARK = "odd value here"


def _texts(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Lazy]:
    """JSON with one odd text in the place of some value, mostly of the id, which is what comes back."""

    def put(value: Any, odd: str, place: int) -> str:
        if not isinstance(value, dict) or not value:
            return odd
        name = [*value, "id", "id"][place % (len(value) + 2)]
        return json.dumps({**value, name: MARK}, ensure_ascii=False).replace(json.dumps(MARK), odd, 1)

    return st.one_of(
        lazily(put, values, ODD, st.integers(0, 20)),
        lazily(put, values, LONG, st.integers(0, 20)),
        lazily(json.dumps, values),
    )


def _encoded(text: str, encoding: str) -> bytes:
    return text.encode(encoding, "surrogatepass" if encoding.startswith("utf") else "replace")


def _short_json(value: Any) -> str:
    return json.dumps(value)[:200_000]


ENCODINGS = st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-8", "latin-1", "utf-16", "utf-8-sig"])
HELLOS = st.fixed_dictionaries(
    {
        "cluster": st.sampled_from(["one", "other"]),
        "role": st.sampled_from(["client", "node", "king", 7]),
        "name": st.sampled_from(["n1", "n2", "c", "", "x" * 65, None]),
        "incarnation": st.sampled_from([1, -1, 10**30, "1", None]),
    }
)
PAYLOADS = lazily(
    _encoded, st.one_of(_texts(REQUESTS), _texts(HELLOS), lazily(_short_json, WIRES), _texts(st.just({}))), ENCODINGS
)


def _frame(kind: int, payload: bytes, said: int, version: int, magic: bytes) -> bytes:
    """`said`: how far the length in the header is from the true one."""
    return HEADER.pack(magic, version, kind, min(0xFFFFFFFF, max(0, len(payload) + said))) + payload


_KINDS = st.one_of(
    st.just(int(Kind.REQUEST)), st.sampled_from([int(kind) for kind in Kind]), st.sampled_from([0, 8, 255])
)
_REQUESTS = lazily(
    _frame,
    st.just(int(Kind.REQUEST)),
    lazily(_encoded, _texts(REQUESTS), st.just("utf-8")),
    st.just(0),
    st.just(VERSION),
    st.just(MAGIC),
)
_ANY = st.one_of(
    lazily(_frame, _KINDS, PAYLOADS, st.just(0), st.just(VERSION), st.just(MAGIC)),
    lazily(
        _frame,
        _KINDS,
        PAYLOADS,
        st.sampled_from([-1, 1, MAX_PAYLOAD, 2**32]),
        st.sampled_from([0, VERSION, 255]),
        st.sampled_from([MAGIC, b"TX", b"\x16\x03"]),
    ),
    lazily(bytes, st.binary(max_size=40)),
)
CONNECTIONS = st.one_of(
    st.builds(lambda requests, last: [*requests, *last], st.lists(_REQUESTS, max_size=5), st.lists(_ANY, max_size=1)),
    st.lists(_ANY, min_size=1, max_size=6),
)
"""What one connection brings. Whatever is wrong with a frame ends it, so that comes last."""
