"""Which cycles are drawn, and that the words say what the drawing shows."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.harness.report.pictures.cycle import BOX_HEIGHT, BOX_WIDTH, MOST_STEPS, cycle_of

TEXT = st.text("ab <&", max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def ring(names: list[str], kind: str = "rw") -> dict[str, Any]:
    after = [*names[1:], names[0]]
    steps = [
        {"from": one, "to": two, "kind": kind, "key": f"key-{one}", "why": f"{one} missed {two}"}
        for one, two in zip(names, after, strict=True)
    ]
    about = [
        {"txn": name, "process": 3, "index": [1, 2], "outcome": "ok", "ops": [["r", "x", list(range(20))]]}
        for name in names
    ]
    return {"cycle": names, "steps": steps, "transactions": about}


def test_a_write_skew_is_two_boxes_and_two_arrows_that_stay_apart() -> None:
    drawn = cycle_of(ring(["T1", "T2"]))
    assert drawn is not None
    assert [(box.name, box.process) for box in drawn.boxes] == [("T1", "process 3"), ("T2", "process 3")]
    assert [(arrow.label, arrow.key) for arrow in drawn.arrows] == [("rw: missed", "key-T1"), ("rw: missed", "key-T2")]
    assert abs(drawn.arrows[0].y - drawn.arrows[1].y) > BOX_HEIGHT
    assert drawn.alternative == "A cycle of 2 transactions: T1 before T2 by rw on key-T1; T2 before T1 by rw on key-T2."
    assert drawn.steps[0].why == "T1 missed T2"
    assert drawn.transactions[0].operations == ["read x = [0 1 2 … 15 16 17 18 19]"]
    assert [kind for kind, _ in drawn.relations] == ["rw"]


@pytest.mark.parametrize("kind", ["wr", "ww", "process", "realtime", "", "other"])
def test_each_kind_of_step_has_words_on_its_arrow(kind: str) -> None:
    drawn = cycle_of(ring(["T1", "T2", "T3"], kind))
    assert drawn is not None
    assert all(arrow.label.startswith(kind) and arrow.label for arrow in drawn.arrows)


def test_a_cycle_too_long_to_draw_is_listed() -> None:
    drawn = cycle_of(ring([f"T{n}" for n in range(60)]))
    assert drawn is not None
    assert not drawn.boxes and not drawn.arrows
    assert len(drawn.steps) == 40 and drawn.hidden == 20


@pytest.mark.parametrize(
    "details",
    [
        {},
        {"steps": []},
        {"steps": [{"from": "T1", "to": "T1"}]},
        {"steps": [{"from": "T1", "to": "T2"}, {"from": "T3", "to": "T1"}]},
        {"steps": "T1"},
        {"steps": [1, 2]},
    ],
)
def test_what_is_no_cycle_makes_no_drawing(details: dict[str, Any]) -> None:
    assert cycle_of(details) is None


@given(st.integers(2, MOST_STEPS))
def test_boxes_and_labels_lie_inside_and_boxes_do_not_overlap(count: int) -> None:
    drawn = cycle_of(ring([f"T{n}" for n in range(count)]))
    assert drawn is not None
    for box in drawn.boxes:
        assert BOX_WIDTH / 2 <= box.x <= drawn.width - BOX_WIDTH / 2
        assert BOX_HEIGHT / 2 <= box.y <= drawn.height - BOX_HEIGHT / 2
    for at, one in enumerate(drawn.boxes):
        for other in drawn.boxes[:at]:
            assert abs(one.x - other.x) >= BOX_WIDTH or abs(one.y - other.y) >= BOX_HEIGHT
    for arrow in drawn.arrows:
        assert 20 < arrow.x < drawn.width - 20 and 10 < arrow.y < drawn.height - 10
        assert re.fullmatch(r"M[\d.]+ [\d.]+Q[\d.-]+ [\d.-]+ [\d.]+ [\d.]+", arrow.path)


@given(st.dictionaries(st.sampled_from(["steps", "transactions", "cycle"]), JSON))
def test_no_details_break_the_page(details: dict[str, Any]) -> None:
    cycle_of(details)


@given(
    st.lists(
        st.fixed_dictionaries(
            {"from": st.sampled_from("ab"), "to": st.sampled_from("ab"), "kind": JSON, "key": JSON, "why": JSON}
        ),
        max_size=3,
    )
)
def test_no_fields_of_a_step_break_the_page(steps: list[dict[str, Any]]) -> None:
    cycle_of({"steps": steps, "transactions": steps})
