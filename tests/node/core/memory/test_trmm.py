"""TRMM: what was encoded is decoded, each damaged byte is noticed, and the example of the page is what the code makes."""

from __future__ import annotations

import re
import time
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.node.core.memory.records.trits import to_text
from tribulation.node.core.memory.records.trmm import SECTIONS, Trmm, checksum, decode, encode, verify
from tribulation.node.errors import CorruptionError

PAGE = Path(__file__).parents[4] / "docs/reference/trmm.md"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
STATE = st.dictionaries(st.text(max_size=4), JSON, max_size=3)
KEY = st.tuples(st.sampled_from(list(SECTIONS)), st.text(st.characters(), max_size=6) | st.just("\ud800"))
TRMM = st.builds(
    lambda delta, time_ms, base, records, removed, metadata: Trmm(
        delta, time_ms, base, [(*key, state) for key, state in records.items()], removed, metadata
    ),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.none() | st.integers(0, 2**32 - 1),
    st.dictionaries(KEY, STATE, max_size=5),
    st.lists(KEY, max_size=4),
    STATE,
)


def in_sections(trmm: Trmm) -> Trmm:
    """As it comes back: by section, else in its order."""
    kinds = list(SECTIONS)
    records = sorted(trmm.records, key=lambda item: kinds.index(item[0]))
    removed = sorted(trmm.removed, key=lambda key: kinds.index(key[0]))
    return Trmm(trmm.delta, trmm.time_ms, trmm.base, records, removed, trmm.metadata)


def example() -> Trmm:
    """The one of the page."""
    state = {"c": {"n1.1.3fb2": 1}, "t": {"hypervector": [["n1.1.3fb2", 1, to_text([1, -1, 0])]]}}
    return Trmm(True, 1_764_104_400_000, 0x1A2B3C4D, [("episode", "e1", state)], [("fact", "f7")], {"vector": {}})


@given(TRMM)
def test_what_was_encoded_is_decoded(trmm: Trmm) -> None:
    data = encode(trmm)
    assert decode(data) == in_sections(trmm)
    assert encode(decode(data)) == data
    assert verify(data).checksum == checksum(data)


def test_each_flipped_bit_and_each_cut_is_noticed() -> None:
    data = encode(example())
    for position in range(len(data)):
        with pytest.raises(CorruptionError, match=r"^memory.trmm: "):
            decode(data[:position], "memory.trmm")
        for bit in range(8):
            damaged = bytearray(data)
            damaged[position] ^= 1 << bit
            with pytest.raises(CorruptionError, match=r"^memory.trmm: "):
                decode(bytes(damaged), "memory.trmm")
    with pytest.raises(CorruptionError):
        decode(data + b"\0")


def sealed(data: bytes) -> bytes:
    """With checksums that fit what the bytes are now."""
    header, body = bytearray(data[:44]), data[44:]
    header[32:36] = len(body).to_bytes(4, "big")
    header[36:40] = zlib.crc32(body).to_bytes(4, "big")
    header[40:44] = zlib.crc32(header[:40]).to_bytes(4, "big")
    return bytes(header) + body


@given(st.data())
def test_decoding_is_total_whatever_the_checksums_say(data: st.DataObject) -> None:
    """Bytes of other programs may be wrong under right checksums: they are refused with a place, or they are a TRMM."""
    content = bytearray(encode(in_sections(data.draw(TRMM))))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    content = content[:44] + content[44:] if len(content) >= 44 else content + bytes(44 - len(content))
    damaged = sealed(bytes(content))
    try:
        found = decode(damaged)
    except CorruptionError as error:
        assert error.message.startswith("TRMM: ")
    else:
        assert decode(encode(found)) == found


@given(st.binary(max_size=80))
def test_no_bytes_make_decoding_fail_otherwise(data: bytes) -> None:
    for bytes_ in (data, b"TRMM" + data):
        with pytest.raises(CorruptionError):
            decode(bytes_)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (b'{"a":NaN}', "NaN is not JSON"),
        (b"[1]", "not an object"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"a":\xff}', "is not JSON"),
    ],
)
def test_a_state_that_is_none_is_refused(state: bytes, reason: str) -> None:
    good = encode(Trmm(False, 0, None, [("fact", "f", {})], [], {}))
    section = b"FACT" + (8 + 1 + len(state)).to_bytes(4, "big") + b"\0\0\0\x01\0\0\0\0"
    bad = good.replace(good[60:87], section + b"\0\0\0\x01" + len(state).to_bytes(4, "big") + b"f" + state)
    with pytest.raises(CorruptionError, match=reason):
        decode(sealed(bad))


def test_a_limit_holds_before_anything_is_read() -> None:
    with pytest.raises(CorruptionError, match="bytes, and the limit is 100"):
        decode(encode(example()), limit=100)


def test_what_cannot_be_said_is_refused_when_it_is_written() -> None:
    for wrong in ([("episodes", "e", {})], [("fact", "f", {"a": float("nan")})]):
        with pytest.raises(ValueError):
            encode(Trmm(False, 0, None, wrong, [], {}))


def test_checksums_report_files_apart_that_differ_in_their_headers_alone() -> None:
    """A CRC over a header and its own CRC is the same for any header: such a checksum would call these one file."""
    one, other = (encode(Trmm(False, time_ms, None, [], [], {})) for time_ms in (1, 2))
    assert one[44:] == other[44:]
    assert checksum(one) != checksum(other)


def episode(number: int) -> tuple[str, str, dict[str, Any]]:
    """As large as they come without a hypervector."""
    dot = ["n1.1.3fb2", number + 1]
    texts = {name: [[*dot, f"{name} of episode {number}"]] for name in ("goal", "outcome", "strategy")}
    quality = {f"n1.1.3fb2:{number + 1}": [800, 1, 0, 0]}
    state = {"c": {"n1.1.3fb2": number + 1, "n2.1.77aa": number}, "t": texts, "q": {"quality": quality}}
    return "episode", f"e{number}", {**state, "s": {"agents": {"a1": [dot], "a2": [dot]}}}


def test_ten_thousand_episodes_take_a_fraction_of_a_second() -> None:
    """0.2 s where nothing else runs; the bound is for machines that are busy."""
    trmm = Trmm(False, 1, None, [episode(number) for number in range(10_000)], [], {"vector": {"n1.1.3fb2": 10_000}})
    begun = time.process_time()
    assert decode(encode(trmm)) == trmm
    assert time.process_time() - begun < 2


def dump(data: bytes) -> str:
    """Sixteen bytes a line, in hexadecimal and as text, as `hexdump -C` shows them."""
    lines = []
    for at in range(0, len(data), 16):
        row = data[at : at + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{at:04x}  {row[:8].hex(' '):23}  {row[8:].hex(' '):23}  |{text}|")
    return "\n".join(lines)


def test_the_example_of_the_page_is_what_the_code_makes() -> None:
    page = PAGE.read_text(encoding="utf-8")
    shown = re.search(r"```text\n(.*?)\n```", page, re.S)
    assert shown is not None and shown[1] == dump(encode(example())), dump(encode(example()))
