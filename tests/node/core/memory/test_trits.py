"""Trits, packed two a byte: what was packed is unpacked, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.node.core.memory.records.trits import from_text, pack, to_text, unpack

TRITS = st.lists(st.sampled_from([-1, 0, 1]), max_size=41)


@given(TRITS)
def test_what_was_packed_is_unpacked(trits: list[int]) -> None:
    packed = pack(trits)
    assert len(packed) == (len(trits) + 1) // 2
    assert unpack(packed) == trits
    assert from_text(to_text(trits)) == trits


@given(st.binary(max_size=12))
def test_bytes_are_what_pack_makes_or_refused(data: bytes) -> None:
    try:
        trits = unpack(data)
    except ValueError:
        assert any(byte > 8 for byte in data)
    else:
        assert pack(trits) == data


def test_the_bytes_themselves() -> None:
    assert pack([1, -1, 0]).hex() == "060a"
    assert pack([-1, -1, 1, 1]).hex() == "0008"
    assert pack([]) == b""


@pytest.mark.parametrize("text", ["?", "/w==", "AB==", "AAAA\n", "CgA="])
def test_a_text_that_none_makes_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        from_text(text)


def test_what_is_no_trit_is_refused() -> None:
    for wrong in ([2, 0], [0, 0, -2]):
        with pytest.raises(ValueError, match="trits are -1, 0 or 1"):
            pack(wrong)
