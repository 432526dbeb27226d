"""Frames: bytes in any pieces give the same frames; what is no frame is refused with a reason and a hint."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tribulation.node.wire import HEADER, MAX_PAYLOAD, Decoder, FrameError, Kind, checked, encode, encode_payload, frame

text = st.text(max_size=8)
integers = st.integers(-(1 << 63), (1 << 63) - 1)
scalars = st.none() | st.booleans() | integers | st.floats(allow_nan=False, allow_infinity=False) | text
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3), max_leaves=6
)
bodies = st.dictionaries(text, values, max_size=3)
object_kinds = st.sampled_from([kind for kind in Kind if kind not in (Kind.MESSAGE, Kind.CHECKED)])


def decode_all(decoder: Decoder) -> list[tuple[Kind, Any]]:
    frames = []
    while (found := decoder.next()) is not None:
        frames.append((found.kind, found.payload))
    return frames


def refusal(data: bytes) -> FrameError:
    decoder = Decoder()
    decoder.feed(data)
    with pytest.raises(FrameError) as caught:
        decode_all(decoder)
    return caught.value


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(object_kinds, bodies), max_size=4), st.data())
def test_frames_survive_any_cutting(frames: list[tuple[Kind, dict[str, Any]]], data: st.DataObject) -> None:
    stream = b"".join(encode(kind, body) for kind, body in frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    decoder, got = Decoder(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        decoder.feed(stream[start:end])
        got += decode_all(decoder)
    assert got == frames
    assert decoder.pending == 0


def test_the_raw_payload_comes_along() -> None:
    decoder = Decoder()
    decoder.feed(encode(Kind.MESSAGE, ["raft.timeout-now", 3]))
    found = decoder.next()
    assert found is not None
    assert found == (Kind.MESSAGE, ["raft.timeout-now", 3], b'["raft.timeout-now",3]')


@pytest.mark.parametrize(
    ("reason", "data"),
    [
        ("bad-magic", b"GET / HTTP/1.1\r\n"),
        ("bad-magic", b"X"),
        ("bad-magic", b"Tx"),
        ("bad-version", HEADER.pack(b"TR", 0, 1, 2) + b"{}"),
        ("bad-kind", HEADER.pack(b"TR", 1, 0, 2) + b"{}"),
        ("bad-kind", HEADER.pack(b"TR", 1, 200, 2) + b"{}"),
        ("too-large", HEADER.pack(b"TR", 1, 3, MAX_PAYLOAD + 1)),
        ("too-large", HEADER.pack(b"TR", 1, 3, 0xFFFFFFFF)),
        ("not-json", frame(Kind.REQUEST, b"")),
        ("not-json", frame(Kind.REQUEST, b"{")),
        ("not-json", frame(Kind.REQUEST, b"\xff\xfe")),
        ("not-json", frame(Kind.REQUEST, b'{"a":NaN}')),
        ("not-json", frame(Kind.REQUEST, b'{"a":-Infinity}')),
        ("not-json", frame(Kind.REQUEST, b'{"a":1e999}')),
        ("not-json", frame(Kind.REQUEST, b'{"a":"\\ud800"}')),
        ("not-json", frame(Kind.REQUEST, b'{"a":' + b"9" * 5000 + b"}")),
        ("not-json", frame(Kind.REQUEST, b"[" * 100_000)),
        ("bad-shape", frame(Kind.REQUEST, b"[]")),
        ("bad-shape", frame(Kind.REQUEST, b"17")),
        ("bad-shape", frame(Kind.MESSAGE, b"{}")),
    ],
)
def test_what_is_no_frame_is_refused(reason: str, data: bytes) -> None:
    error = refusal(data)
    assert error.reason == reason
    assert "hint: " in str(error)
    assert json.dumps(error.body())


def test_a_bad_header_is_refused_before_its_payload_came() -> None:
    """No receiver is made to collect a megabyte of something foreign."""
    decoder = Decoder()
    decoder.feed(b"T")
    assert decoder.next() is None
    decoder.feed(HEADER.pack(b"TR", 1, 3, MAX_PAYLOAD + 1)[1:])
    with pytest.raises(FrameError):
        decoder.next()


def test_after_a_refusal_nothing_more_is_decoded() -> None:
    decoder = Decoder()
    decoder.feed(b"garbage")
    with pytest.raises(FrameError):
        decoder.next()
    decoder.feed(encode(Kind.REQUEST, {"id": 1}))
    with pytest.raises(FrameError):
        decoder.next()


def test_encoding_refuses_what_receivers_would() -> None:
    fitting = {"pad": "x" * (MAX_PAYLOAD - len(b'{"pad":""}'))}
    assert len(encode(Kind.REPLY, fitting)) == MAX_PAYLOAD + HEADER.size
    with pytest.raises(FrameError) as caught:
        encode(Kind.REPLY, {"pad": fitting["pad"] + "x"})
    assert caught.value.reason == "too-large"
    with pytest.raises(ValueError):
        encode_payload({"a": float("nan")})


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_random_bytes_give_frames_or_a_refusal_and_nothing_else(data: bytes, with_header: bool) -> None:
    decoder = Decoder()
    decoder.feed(HEADER.pack(b"TR", 1, 3, len(data)) + data if with_header else data)
    try:
        frames = decode_all(decoder)
    except FrameError as error:
        assert error.reason and error.message and error.hint
    else:
        # What was let in can be written out again.
        for kind, payload in frames:
            encode(kind, payload)


@given(st.data())
def test_a_checked_message_with_a_changed_bit_is_never_handed_out(data: st.DataObject) -> None:
    payload = encode_payload(["raft.timeout-now", data.draw(st.integers(0, 2**63))])
    sent = checked(payload)
    whole = Decoder()
    whole.feed(sent)
    assert whole.next() == (Kind.MESSAGE, [*json.loads(payload)], payload)
    changed = bytearray(sent)
    changed[data.draw(st.integers(0, len(sent) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    decoder = Decoder()
    decoder.feed(bytes(changed))
    try:
        assert decoder.next() is None, "it waits for bytes that do not come"
    except FrameError as error:
        assert error.reason in {"bad-checksum", "bad-magic", "bad-version", "bad-kind", "too-large"}
