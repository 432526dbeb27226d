"""Options of checkers: each is declared, and what no checker could apply is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tribulation.checkers import CHECKERS, OptionError, RunRecord, Verdict, check, checker
from tribulation.checkers.base.options import declared, settings_of
from tribulation.checkers.campaign_options import problems
from tribulation.histories import parse

DOCS = Path(__file__).parents[2] / "docs/reference/checkers"

REFUSED = [
    ({"max_recovery": 5}, "option max_recovery: no checker and no option 'max_recovery' (got 5)", "max_recovery_s"),
    ({"failure-detecter": {}}, "no checker and no option 'failure-detecter'", "failure-detector"),
    ({"max_recovery_s": -1}, "option max_recovery_s: must be 0 or more (got -1)", "from a heal"),
    ({"max_recovery_s": float("nan")}, "must be a finite number (got nan)", ""),
    ({"max_recovery_s": float("inf")}, "must be a finite number (got inf)", ""),
    ({"max_recovery_s": True}, "must be a finite number (got True)", ""),
    ({"max_recovery_s": "5"}, "must be a finite number (got '5')", ""),
    ({"max_recovery_s": None}, "must be a finite number (got None)", ""),
    ({"availability": {"max_recovery": 5}}, "availability.max_recovery: checker 'availability' has no option", "_s"),
    ({"availability": 5}, "the options of checker 'availability' must be a mapping (got 5)", "max_recovery_s: …"),
    ({"recovery": {"elections": 1.5}}, "recovery.elections: must be a whole number (got 1.5)", ""),
    ({"bank": {"total": "100"}}, "bank.total: must be a finite number (got '100')", ""),
    ({"bank": {"accounts": "ab"}}, "bank.accounts: must be a list of names (got 'ab')", ""),
    ({"bank": {"accounts": ["a", "a"]}}, "bank.accounts: contains a name twice", ""),
    ({"bank": {"negative_balances": 1}}, "bank.negative_balances: must be true or false (got 1)", ""),
    ({"memory": {"conflicts": "last-wins"}}, "memory.conflicts: must be merge or latest-wins (got 'last-wins')", ""),
    ({"convergence": {"within": 5}}, "checker 'convergence' has no options", "leave it out"),
    ({"priority": "least"}, "option priority: must be max or min (got 'least')", ""),
]


@pytest.mark.parametrize(("options", "message", "hint"), REFUSED, ids=[str(case[0]) for case in REFUSED])
def test_options_that_no_checker_can_apply_are_refused(options, message, hint):
    with pytest.raises(OptionError) as caught:
        check(parse("p0 w1 p1 r1"), options=options)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_options_of_a_record_are_refused_as_those_of_a_call_are():
    with pytest.raises(OptionError):
        check(RunRecord(parse("p0 w1"), options={"agents": {"max_pause": 5}}), "vacuity")


def test_what_a_run_records_of_itself_is_no_option():
    record = RunRecord(parse("p0 w1 p1 r1"), options={"digest": "d", "core": "c", "simulator": "s"})
    assert check(record, "linearizable", exact=True)["linearizable"].verdict is Verdict.VALID


def test_an_option_comes_from_the_checkers_name_then_from_all_then_from_its_default():
    found = checker("availability")
    both = {"max_recovery_s": 1, "availability": {"max_recovery_s": 2}}
    listed = [settings_of(RunRecord(parse(""), options=some), found) for some in (both, {"max_recovery_s": 1}, {})]
    assert [settings["max_recovery_s"] for settings in listed] == [2, 1, None]


def test_a_bound_that_nothing_can_be_held_against_is_unknown():
    """Of `auto` a checker that finds nothing to judge is left out; one that was given a bound is not."""
    history = parse("p0 w1 p1 r1")
    assert "failure-detector" not in check(history)
    found = check(history, options={"failure-detector": {"max_detection_s": 5}})["failure-detector"]
    assert found.verdict is Verdict.UNKNOWN
    assert "memory" not in check(history, options={"memory": {"conflicts": "merge"}}), "a rule is no bound"


@pytest.mark.parametrize("name", CHECKERS)
def test_every_default_is_none_or_accepted_and_the_reference_lists_every_option(name):
    options = declared(checker(name))
    for option in options:
        assert option.default is None or option.accepts(option.default) is None
        assert option.description
    page = (DOCS / f"{name}.md").read_text()
    section = page.partition("\n**Options** ")[2].partition("\n**")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", section, re.MULTILINE)
    assert {row[0]: row[2] for row in rows} == {option.name: option.description for option in options}
    assert [row[1] for row in rows] == [_shown(option.default) for option in options]


def _shown(default: object) -> str:
    if default is None:
        return "none"
    return (
        str(default).lower()
        if isinstance(default, bool)
        else f"{default:g}"
        if isinstance(default, float)
        else str(default)
    )


def test_problems_of_good_options_are_none():
    assert not list(problems({"bank": {"total": 100.0}, "initial": 3, "failure-detector": {"max_mistake_s": 0}}))
