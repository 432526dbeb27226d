"""Signed datagrams: what was not signed, was changed, or has come before is not taken; what is in order is, once."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.node.errors import ConfigError
from tribulation.node.runtime.security.authentic import OVERHEAD, WINDOW, Signer, Verifier, load_keys
from tribulation.node.runtime.telemetry.refusals import Refused

OLD, NEW = b"o" * 32, b"n" * 32


def reason(verifier: Verifier, data: bytes, keys: tuple[bytes, ...] = (NEW,)) -> str | None:
    """Why it is refused; None when it is taken."""
    try:
        assert verifier.open(keys, data) is not None
    except Refused as refused:
        return refused.reason
    return None


def test_a_signed_datagram_is_taken_once_and_is_what_was_signed() -> None:
    signer, verifier = Signer("c", "n1", 1), Verifier("c", "n2")
    signed = signer.sign((NEW,), b"beacon")
    assert verifier.open((NEW,), signed) == b"beacon"
    assert reason(verifier, signed) == "replayed"
    assert len(signed) - len(b"beacon") <= OVERHEAD


@given(st.binary(max_size=60), st.data())
def test_a_changed_bit_or_a_cut_anywhere_is_noticed(content: bytes, data: st.DataObject) -> None:
    signed = Signer("c", "n1", 1).sign((NEW,), content)
    bit = data.draw(st.integers(0, 8 * len(signed) - 1))
    changed = bytearray(signed)
    changed[bit // 8] ^= 1 << bit % 8
    assert reason(Verifier("c", "n2"), bytes(changed)) in ("forged", "unsigned")
    assert reason(Verifier("c", "n2"), signed[: data.draw(st.integers(0, len(signed) - 1))]) in ("forged", "unsigned")


@given(st.binary(max_size=200))
def test_garbage_is_refused_and_harms_nothing(garbage: bytes) -> None:
    assert reason(Verifier("c", "n2"), garbage) in ("forged", "unsigned")


def test_another_key_or_another_cluster_is_a_forgery() -> None:
    assert reason(Verifier("c", "n2"), Signer("c", "n1", 1).sign((OLD,), b"x")) == "forged"
    assert reason(Verifier("c", "n2"), Signer("d", "n1", 1).sign((NEW,), b"x")) == "forged"


@given(st.lists(st.integers(1, 3 * WINDOW), max_size=200))
def test_the_window_takes_each_number_once_and_never_one_too_old(numbers: list[int]) -> None:
    """Against a set of all numbers that came, which is what the window saves."""
    signer, verifier = Signer("c", "n1", 1), Verifier("c", "n2")
    signed = {number: signer.sign((NEW,), b"x") for number in range(1, max(numbers, default=0) + 1)}
    came: set[int] = set()
    for number in numbers:
        fits = number not in came and number > max(came, default=0) - WINDOW
        assert (reason(verifier, signed[number]) is None) == fits
        if fits:
            came.add(number)


def test_an_earlier_incarnation_is_a_replay_until_a_certificate_vouches_for_it() -> None:
    verifier = Verifier("c", "n2")
    first, third = Signer("c", "n1", 1), Signer("c", "n1", 3)
    assert reason(verifier, first.sign((NEW,), b"x")) is None
    assert reason(verifier, third.sign((NEW,), b"x")) is None
    assert reason(verifier, first.sign((NEW,), b"x")) == "replayed"
    verifier.meet("n1", 1)  # Its directory was lost, and it counts from 1 again.
    assert reason(verifier, first.sign((NEW,), b"x")) is None


def test_senders_do_not_disturb_each_other_and_a_broadcast_of_our_own_is_no_news() -> None:
    verifier = Verifier("c", "n2")
    one, three = Signer("c", "n1", 9), Signer("c", "n3", 1)
    assert [reason(verifier, signer.sign((NEW,), b"x")) for signer in (one, three, one, three)] == [None] * 4
    assert verifier.open((NEW,), Signer("c", "n2", 1).sign((NEW,), b"x")) is None


def test_a_key_is_changed_in_steps_and_nobody_is_refused_meanwhile() -> None:
    """old → old, new → new, old → new, on one node after the other; a node that is a step apart is understood."""
    steps = [(OLD,), (OLD, NEW), (NEW, OLD), (NEW,)]
    for ours, theirs in [*pairwise(steps), *pairwise(reversed(steps))]:
        assert reason(Verifier("c", "n2"), Signer("c", "n1", 1).sign(theirs, b"x"), ours) is None


@pytest.mark.parametrize(
    ("content", "mode", "wrong"),
    [
        ("", 0o600, "has 0 keys"),
        (f"{'ab' * 32}\n" * 3, 0o600, "has 3 keys"),
        (f"{'ab' * 32}\n{'secret' * 6}\n", 0o600, "key 2 is not hexadecimal"),
        ("abcd\n", 0o600, "key 1 has 4 digits, not 64"),
        ("ab" * 31 + "a\n", 0o600, "key 1 has 63 digits, not 64"),
        ("ab" * 32 + "a\n", 0o600, "key 1 has 65 digits, not 64"),
        ("ab" * 33 + "\n", 0o600, "key 1 has 66 digits, not 64"),
        (f"{'ab' * 32}\n{'cd' * 64}\n", 0o600, "key 2 has 128 digits, not 64"),
        ("a" * 70_000, 0o600, "has more than 65536 bytes"),
        ("ab" * 32, 0o640, "others may read it"),
    ],
)
def test_a_key_file_that_cannot_be_right_is_refused_and_not_quoted(
    content: str, mode: int, wrong: str, tmp_path: Path
) -> None:
    path = tmp_path / "datagram.key"
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=wrong) as refused:
        load_keys(path)
    assert not [line for line in content.split() if line in str(refused.value)]


def test_keys_are_read(tmp_path: Path) -> None:
    path = tmp_path / "datagram.key"
    path.write_text(f"{NEW.hex()}\n{OLD.hex()}\n")
    path.chmod(0o600)
    assert load_keys(path) == (NEW, OLD)


def test_a_key_that_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    """A pipe held the node until someone wrote to it, and `/dev/zero` took all memory."""
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(ConfigError, match=r"not a regular file|cannot read"):
            load_keys(path)
