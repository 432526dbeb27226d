"""Read committed, read atomic, causal, session guarantees and sequential keys as stories."""

from __future__ import annotations

import pytest

from tribulation.checkers import Verdict

from .stories import judge, kinds

FRACTURED = "p0 wx1 wy1\np1 wx2 wy2\np2 rx1 ry2"
BACKWARDS = "p0 wx1\np1 wx2 wy2\np2 rx1\np1 rx1 wz1\np3 ry2 rx1 rz1"
CAUSAL = "p0 wx1\np1 rx1 wy1\np2 ry1 rx_"
LEVELS = ("read-committed", "read-atomic", "causal")


def verdicts(text: str) -> list[bool]:
    return [judge(level, text).verdict is Verdict.VALID for level in LEVELS]


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("p0 wx1 wy1\np1 rx1 ry1", [True, True, True]),
        ("p0 |--| wx1 ry_\np1 |--| wy1 rx_", [True, True, True]),  # write skew
        ("p0 |--| wx1\np1 |--| wy1\np2 |--| rx1 ry_\np3 |--| rx_ ry1", [True, True, True]),  # long fork
        (CAUSAL.replace("ry1 rx_", "ry1") + "\np2 rx_", [True, True, False]),
        ("p0 wx1 wy1\np1 rx_ ry1", [True, False, False]),
        ("p0 wx1 wy1\np1 ry1 rx_", [False, False, False]),
        ("p0 wx1\np1 rx_ rx1", [True, False, False]),  # non-repeatable
        ("p0 wx1 rx1\np1 ry1\np1 wy2", [False, False, False]),  # thin air
        ("p0 rx1\np0 wy1\np1 ry1\np1 wx1", [False, False, False]),  # causality cycle
        ("p0 wx1 wx2\np1 rx1", [False, False, False]),  # intermediate
        ("p0 wx1 fail\np1 rx1", [False, False, False]),
        ("p0 ax1\np0 ax2\np1 rx[1 2]\np1 rx[1]", [True, True, False]),
    ],
)
def test_levels(text: str, holds: list[bool]) -> None:
    assert verdicts(text) == holds


def test_a_fractured_read_says_what_was_seen_and_what_was_missed() -> None:
    (anomaly,) = judge("read-atomic", "p0 wx1 wy1\np1 rx_ ry1").anomalies
    assert anomaly.kind == "fractured-read" and anomaly.ops == (0, 2)
    assert (
        "T2 read x=null from the initial state, though T0 wrote x too and T2 also read y=1 from T0"
        in anomaly.explanation
    )


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("p0 wx1\np0 rx_", {"read-your-writes", "PRAM"}),
        ("p0 wx1\np0 wx2\np0 rx1", {"read-your-writes", "PRAM"}),
        ("p0 wx1\np1 rx1\np1 rx_", {"monotonic-reads", "PRAM"}),
        ("p0 wx1\np0 wy1\np1 ry1\np1 rx_", {"monotonic-writes", "PRAM"}),
        ("p0 wx1\np1 rx1\np1 wy1\np2 ry1\np2 rx_", {"writes-follow-reads"}),
        (
            "p0 |--| wx1\np1 |--| wx2\np2      |--| rx1\np2          |--| rx2\np3      |--| rx2\np3          |--| rx1",
            {"monotonic-reads", "PRAM"},
        ),
        ("p0 |--| wx1\np1 |--| wx2\np2      |--| rx1\np2          |--| rx2\np3      |--| rx2", set()),
        ("p0 ax1\np0 rx[]", {"read-your-writes", "PRAM"}),
        ("p0 ax1\np1 ax2\np2 rx[1 2]\np2 rx[1]", {"monotonic-reads", "PRAM"}),
    ],
)
def test_guarantees(text: str, broken: set[str]) -> None:
    found = judge("session-guarantees", text).stats["guarantees"]
    assert {name for name, state in found.items() if state == "violated"} == broken


@pytest.mark.parametrize(
    ("text", "kind", "ops"),
    [
        ("p0 wx1\np0 rx_", "read-your-writes", (0, 2)),
        ("p0 wx1\np1 rx1\np1 rx_", "monotonic-reads", (0, 2, 4)),
        ("p0 wx1\np0 wy1\np1 ry1\np1 rx_", "monotonic-writes", (0, 4, 6)),
        ("p0 wx1\np1 rx1\np1 wy1\np2 ry1\np2 rx_", "writes-follow-reads", (0, 2, 6, 8)),
        ("p0 ax1\np1 ax2\np2 rx[1 2]\np2 rx[1]", "monotonic-reads", (0, 2, 4, 6)),
    ],
)
def test_a_broken_guarantee_names_all_transactions_that_its_words_name(
    text: str, kind: str, ops: tuple[int, ...]
) -> None:
    found = {anomaly.kind: anomaly.ops for anomaly in judge("session-guarantees", text).anomalies}
    assert found[kind] == ops


FRACTURED_KEYS = "p{0} w{k}1 w{m}1\np{1} w{k}2 w{m}2\np{2} r{k}1 r{m}2"
TURNED = "p{0} a{k}1\np{1} a{k}2\np{2} r{k}[1 2]\np{2} r{k}[1]"


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("causal", FRACTURED_KEYS, "causality-violation"),
        ("read-atomic", FRACTURED_KEYS, "fractured-read"),
        ("sequential-keys", TURNED, "not-sequential"),
    ],
)
def test_all_violations_are_counted_and_a_few_shown(name: str, text: str, kind: str) -> None:
    """Each on keys of its own."""
    keys = enumerate(zip("abcdefg", "tuvwxyz", strict=True))
    found = judge(name, "\n".join(text.format(3 * n, 3 * n + 1, 3 * n + 2, k=k, m=m) for n, (k, m) in keys))
    assert found.stats["anomalies"] == {kind: 7} and len(found.anomalies) == 5


def test_one_guarantee_alone() -> None:
    text = "p0 wx1\np0 rx_"
    assert judge("session-guarantees", text, {"consistency": "monotonic-reads"}).verdict is Verdict.VALID
    assert kinds(judge("session-guarantees", text, {"consistency": "read-your-writes"})) == {"read-your-writes"}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("p0 wx1\np0 rx_", "not-sequential"),
        ("p0 wx1\np1 rx1\np1 rx_", "not-sequential"),
        ("p0 rx1\np0 wx1", "not-sequential"),
        ("p0 wx1\np1 wx2\np2 rx1\np2 rx2\np3 rx2\np3 rx1", "not-sequential"),
        ("p0 rx_ wx1\np1 rx_ wx2", "lost-update"),
        ("p0 rx_ wx1\np1 rx1 wx2\np2 rx2\np2 rx1", "not-sequential"),
        ("p0 ax1\np1 rx[] ax2\np2 rx[1 2]", "lost-update"),
        ("p0 wx1\np1 rx9", "thin-air-read"),
        ("p0 wx1\np0 wy1\np1 ry1\np1 rx_", None),  # each key by itself is fine
        ("p0 wx1\np1 rx_\np1 rx1", None),
    ],
)
def test_sequential_keys(text: str, kind: str | None) -> None:
    result = judge("sequential-keys", text)
    assert result.verdict is (Verdict.VALID if kind is None else Verdict.INVALID)
    assert kind is None or kind in kinds(result)
