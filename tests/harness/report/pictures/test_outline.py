"""Values in words, whatever their form."""

from __future__ import annotations

from typing import Any

from hypothesis import given

from tribulation.harness.report.pictures.outline import MOST_ENTRIES, Entry, line, outline

from .test_cycle import JSON


def test_fields_become_names_and_texts() -> None:
    value = {
        "key": "register-0",
        "lag_ns": 31_200_000,
        "tries": {"ok": 3, "in_doubt": 1},
        "values": [1, 2, 3],
        "sure": True,
        "none": None,
    }
    assert outline(value) == [
        Entry("key", "register-0"),
        Entry("lag", "31.2 ms"),
        Entry("tries", "ok 3, in doubt 1"),
        Entry("values", "1, 2, 3"),
        Entry("sure", "yes"),
        Entry("none", "none"),
    ]


def test_what_nests_is_indented_and_what_is_long_is_counted() -> None:
    (entry,) = outline({"lines": [{"node": "n1", "deep": {"x": 1}}]})
    assert entry.inner == [Entry("1", inner=[Entry("node", "n1"), Entry("deep", "x 1")])]
    many = outline({str(n): n for n in range(MOST_ENTRIES + 5)})
    assert len(many) == MOST_ENTRIES + 1 and many[-1].text == "5 more in verdict.json"
    assert outline({"long": list(range(99))})[0].text.endswith("11, … 99 in all")


@given(JSON)
def test_no_value_is_shown_as_json(value: Any) -> None:
    def texts(entries: Any) -> list[str]:
        return [text for entry in entries for text in (entry.text, *texts(entry.inner))]

    assert not [text for text in texts(outline({"it": value})) if "{" in text or "None" in text or "True" in text]


def test_a_figure_above_a_thousand_has_no_exponent() -> None:
    assert line(23884.5) == "23884"
    assert line(1234.0) == "1234"
    assert line(5.2386) == "5.239"
