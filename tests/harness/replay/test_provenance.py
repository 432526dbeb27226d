"""Matching what was received with what was sent: exact for every subsequence, and blind only to what no recording holds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.replay.provenance import BEYOND, UNEXPLAINED, Life, match


def keys(text: str) -> list[bytes]:
    return [letter.encode() for letter in text]


def matched(lives: list[str], received: str) -> list[int]:
    return match([Life(keys(life)) for life in lives], keys(received))


def test_the_earliest_equal_send_is_taken() -> None:
    assert matched(["abab"], "bb") == [1, 3]
    assert matched(["abab"], "ab") == [0, 1]
    assert matched([""], "") == []


def test_the_next_incarnation_goes_on() -> None:
    assert matched(["abc", "xyz"], "acyz") == [0, 2, 4, 5]
    assert matched(["abc", "xyz"], "yz") == [4, 5]


def test_a_lost_end_is_between_two_incarnations() -> None:
    """The sender was killed after it had sent d and e, which its recording lost."""
    assert matched(["abc", "xyz"], "abcdexy") == [0, 1, 2, BEYOND, BEYOND, 3, 4]
    assert matched(["abc"], "abcde") == [0, 1, 2, BEYOND, BEYOND]


def test_a_message_in_the_middle_that_was_never_sent_is_no_lost_end() -> None:
    assert matched(["abcdefghijkl"], "abc!defghijk") == [0, 1, 2, UNEXPLAINED, 3, 4, 5, 6, 7, 8, 9, 10]
    assert matched(["abcdef"], "ab!f") == [0, 1, UNEXPLAINED, 5]


@given(st.lists(st.lists(st.integers(0, 3), max_size=30), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_every_subsequence_is_explained(sent: list[list[int]], random: object) -> None:
    """Few contents, so that nearly every choice is ambiguous. Indices grow, and each is a send of that content."""
    flat = [bytes([key]) for life in sent for key in life]
    received = [key for key in flat if random.random() < 0.6]  # type: ignore[attr-defined]
    # Incarnations as one: what is ambiguous between them may be told as lost, which is for the next test.
    found = match([Life(flat)], received)
    assert all(index >= 0 for index in found)
    assert found == sorted(set(found))
    assert [flat[index] for index in found] == received


@given(st.integers(0, 20), st.integers(0, 5), st.integers(0, 20), st.data())
def test_lost_ends_of_incarnations_are_found(first: int, lost: int, second: int, data: st.DataObject) -> None:
    """With contents that are all different there is one answer."""
    sent = [f"a{i}".encode() for i in range(first)]
    beyond = [f"b{i}".encode() for i in range(lost)]
    later = [f"c{i}".encode() for i in range(second)]
    got_first = [i for i in range(first) if data.draw(st.booleans())]
    got_later = [i for i in range(second) if data.draw(st.booleans())]
    received = [*(sent[i] for i in got_first), *beyond, *(later[i] for i in got_later)]
    expected = [*got_first, *[BEYOND] * lost, *(first + i for i in got_later)]
    assert match([Life(sent), Life(later)], received) == expected
