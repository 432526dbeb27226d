"""Matching what was received with what was sent: exact for every subsequence, and blind only to what no recording holds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tribulation.harness.replay.nodes.provenance import BEYOND, UNEXPLAINED, Life, match


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


def test_an_incarnation_that_sent_nothing_does_not_hide_the_next() -> None:
    """Killed before it found the receiver; what came before and after it is explained all the same."""
    assert matched(["abc", "", "xyz"], "acyz") == [0, 2, 4, 5]
    assert matched(["abc", "q", "", "xyz"], "abcdxz") == [0, 1, 2, BEYOND, 4, 6]


def test_a_message_in_the_middle_that_was_never_sent_is_no_lost_end() -> None:
    assert matched(["abcdefghijkl"], "abc!defghijk") == [0, 1, 2, UNEXPLAINED, 3, 4, 5, 6, 7, 8, 9, 10]
    assert matched(["abcdef"], "ab!f") == [0, 1, UNEXPLAINED, 5]


@given(st.lists(st.lists(st.integers(0, 3), max_size=30), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_every_subsequence_is_explained(sent: list[list[int]], random: object) -> None:
    """Few contents, so that nearly every choice is ambiguous. Indices grow, and each is a send of that content."""
    flat = [bytes([key]) for life in sent for key in life]
    received = [key for key in flat if random.random() < 0.6]  # type: ignore[attr-defined]
    # Incarnations as one: what is ambiguous between them may be reported as lost, which is for the next test.
    found = match([Life(flat)], received)
    assert all(index >= 0 for index in found)
    assert found == sorted(set(found))
    assert [flat[index] for index in found] == received


@given(st.lists(st.tuples(st.lists(st.booleans(), max_size=20), st.integers(0, 5)), min_size=1, max_size=5))
def test_lost_ends_of_incarnations_are_found(lives: list[tuple[list[bool], int]]) -> None:
    """Of each incarnation: which of its recorded messages arrived, and how many more that its recording lost. All contents differ, so there is one answer."""
    sent, received, expected = [], [], []
    base = 0
    for number, (arrived, lost) in enumerate(lives):
        sent.append(Life([f"{number} {index}".encode() for index in range(len(arrived))]))
        got = [index for index, there in enumerate(arrived) if there]
        received += [f"{number} {index}".encode() for index in got] + [
            f"{number} lost {i}".encode() for i in range(lost)
        ]
        expected += [base + index for index in got] + [BEYOND] * lost
        base += len(arrived)
    assert match(sent, received) == expected
