"""The sender of every received message: each message is matched with its send, link by link.

A recording holds no message identifiers, and needs none. What node B took from node A came over one connection at a time, each in order and without
copies; a new connection is taken only when the old one is closed. So the messages B received from A are a subsequence of those A sent to B, over all
their lives. Matching each with the *earliest* equal send that is left finds that subsequence if there is one. (Any other choice pairs a message with
a later send; the earliest is the one that can contradict causality least.)

Only the end of a life of A may be missing: a killed node loses the last moments of its recording, and files are collected while nodes run. A message
that B received from that time is `BEYOND` it. A message that no send explains although later ones have theirs is `UNEXPLAINED`: A never sent it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

BEYOND = -1
"""Sent in steps that are not in the sender's recording."""
UNEXPLAINED = -2
"""Never sent, although the sender's recording covers that time."""

LOOK_AHEAD = 500
"""The most received messages that are tried as the first one of the sender's next incarnation."""
RESUMES = 5
"""The number of explained messages in a row (or all remaining ones) that must follow an unexplained message that the recording covers."""


class Life:
    """The messages that one incarnation of a sender sent over one link: a key for each content, in order."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._places: dict[bytes, list[int]] = {}
        self.count = len(keys)
        for index, key in enumerate(keys):
            self._places.setdefault(key, []).append(index)

    def explain(self, received: Sequence[bytes], at: int = 0) -> list[int]:
        """The earliest equal sends from `at` on, in order, up to the first received key that has none left."""
        found: list[int] = []
        for key in received:
            candidates = self._places.get(key, ())
            place = bisect_left(candidates, at)
            if place == len(candidates):
                break
            found.append(candidates[place])
            at = candidates[place] + 1
        return found

    def explain_all(self, received: Sequence[bytes]) -> list[int]:
        """Explain as `explain` does, but continue after a message that this incarnation never sent."""
        found = self.explain(received)
        while len(found) < len(received):
            at = next((index + 1 for index in reversed(found) if index >= 0), 0)
            following = received[len(found) + 1 :]
            ahead = following[:RESUMES]
            if not ahead or len(self.explain(ahead, at)) < len(ahead):
                break
            found.append(UNEXPLAINED)
            found += self.explain(following, at)
        return found


def match(lives: Sequence[Life], received: Sequence[bytes]) -> list[int]:
    """Return for each received key the index of its send (counted over all lives), `BEYOND` or `UNEXPLAINED`."""
    matched: list[int] = []
    base = 0
    for number, life in enumerate(lives):
        found = life.explain_all(received[len(matched) :])
        matched += [base + index if index >= 0 else index for index in found]
        base += life.count
        rest = received[len(matched) :]
        following = lives[number + 1] if number + 1 < len(lives) else None
        matched += [BEYOND] * (_before(following, rest) if following is not None else len(rest))
    return matched


def _before(life: Life, rest: Sequence[bytes]) -> int:
    """Return how many of `rest` come before the first message of the sender's next life: the number that lets that life explain most.

    Zero if it explains nothing at all: then a later life decides.
    """
    best, best_explained = 0, 0
    for skipped in range(min(len(rest), LOOK_AHEAD)):
        explained = len(life.explain(rest[skipped:]))
        if explained > best_explained:
            best, best_explained = skipped, explained
        if skipped + explained == len(rest):
            break
    return best
