"""Identifiers given out, and money moved: stories."""

from __future__ import annotations

from random import Random

from tribulation.checkers import Verdict

from .stories import Story, kinds, only, unknown, valid

A, B = {"from": "a", "to": "b", "amount": 10}, {"from": "b", "to": "a", "amount": 25}


def test_an_identifier_given_out_twice():
    story = Story().ok(0, "generate", None, 7).ok(1, "generate", None, 8).ok(1, "generate", None, 7)
    anomaly = only(story.judge("unique-ids"), "duplicate-identifier", (0, 4))
    assert anomaly.explanation == (
        "Identifier 7 was given out twice: generate by process 0 (index 0 to 1, 0.000 s to 0.001 s); generate by process 1 (index 4 to 5, 0.004 s to 0.005 s), "
        "3 ms after the first had returned."
    )
    assert anomaly.details == {"identifier": 7, "later_ms": 3.0}
    overlapping = Story().begin(0, "generate").begin(1, "generate").end(0, [1]).end(1, [1])
    assert (
        "while the first was under way"
        in only(overlapping.judge("unique-ids"), "duplicate-identifier", (0, 1)).explanation
    )


def test_identifiers_that_are_unique():
    story = Story().ok(0, "generate", None, 7).info(1, "generate").fail(2, "generate").ok(2, "generate", None, [7])
    assert valid(story.judge("unique-ids")) == {"attempted": 4, "acknowledged": 2, "distinct": 2}
    only(Story().ok(0, "generate", None, None).judge("unique-ids"), "no-identifier", (0,))
    unknown(Story().info(0, "generate").judge("unique-ids"), "none of 1 attempts")
    unknown(Story().ok(0, "add", 1).judge("unique-ids"), "does not apply")


def test_half_a_transfer():
    story = Story().ok(1, "read", None, {"a": 50, "b": 50}).ok(0, "transfer", A).ok(1, "read", None, {"a": 40, "b": 50})
    anomaly = only(story.judge("bank"), "wrong-total", (0, 2, 4))
    assert anomaly.explanation == (
        "The accounts held 100 together in read of {'a': 50, 'b': 50} by process 1 (index 0 to 1, 0.000 s to 0.001 s), but read of {'a': 40, 'b': 50} by process 1 "
        "(index 4 to 5, 0.004 s to 0.005 s) sums to 90, as if one half of transfer of {'from': 'a', 'to': 'b', 'amount': 10} by process 0 (index 2 to 3, "
        "0.002 s to 0.003 s) were seen without the other."
    )
    assert anomaly.details == {"key": None, "total": 90, "expected": 100}


C = {"from": "a", "to": "c", "amount": 5}


def two_at_once(a: int) -> Story:
    """10 from a to b and 5 from a to c at once; then everything is read."""
    story = Story().ok(3, "read", None, {"a": 50, "b": 50, "c": 0})
    story.begin(0, "transfer", A).begin(1, "transfer", C).end(0).end(1)
    return story.ok(3, "read", None, {"a": a, "b": 60, "c": 5})


def test_a_lost_update_names_the_two_transfers_that_read_the_same_balance():
    anomaly = only(two_at_once(a=45).judge("bank"), "wrong-total", (0, 2, 3, 6))
    assert anomaly.explanation.endswith(
        "sums to 110, as if transfer of {'from': 'a', 'to': 'b', 'amount': 10} by process 0 (index 2 to 4, 0.002 s to 0.004 s) and transfer of "
        "{'from': 'a', 'to': 'c', 'amount': 5} by process 1 (index 3 to 5, 0.003 s to 0.005 s), which were under way at once, had both read the balance of "
        "account a and one of the two changes were lost."
    )
    other = only(two_at_once(a=40).judge("bank"), "wrong-total", (0, 2, 3, 6))
    assert "sums to 105" in other.explanation and "one of the two changes were lost" in other.explanation


def test_two_transfers_at_once_are_not_blamed_where_the_balances_speak_against_it():
    """The account that both took from is right; what is missing is missing at b."""
    story = Story().ok(3, "read", None, {"a": 50, "b": 50, "c": 0})
    story.begin(0, "transfer", A).begin(1, "transfer", C).end(0).end(1).ok(3, "read", None, {"a": 35, "b": 50, "c": 5})
    anomaly = only(story.judge("bank"), "wrong-total", (0, 2, 6))
    assert anomaly.explanation.endswith("were seen without the other.")


def test_a_transfer_that_is_under_way_when_everything_is_read_is_seen_by_half():
    story = Story().ok(3, "read", None, {"a": 50, "b": 50, "c": 0}).begin(0, "transfer", A).begin(1, "transfer", C)
    story.ok(3, "read", None, {"a": 40, "b": 50, "c": 0}).end(0).end(1)
    assert "one half of transfer" in only(story.judge("bank"), "wrong-total", (0, 2, 4)).explanation


def test_transfers_before_the_last_right_read_are_not_blamed():
    story = Story().ok(3, "read", None, {"a": 50, "b": 50, "c": 0}).ok(0, "transfer", A)
    story.ok(3, "read", None, {"a": 40, "b": 60, "c": 0}).ok(3, "read", None, {"a": 50, "b": 60, "c": 0})
    assert only(story.judge("bank"), "wrong-total", (0, 6)).explanation.endswith("sums to 110.")


def test_the_transfer_shown_is_the_latest_that_fits_and_had_begun():
    story = (
        Story()
        .ok(1, "read", None, {"a": 50, "b": 50})
        .ok(0, "transfer", A)
        .fail(0, "transfer", A)
        .ok(0, "transfer", A)
        .ok(0, "transfer", B)
    )
    story.ok(1, "read", None, {"a": 50, "b": 60}).ok(0, "transfer", A)
    only(story.judge("bank"), "wrong-total", (0, 6, 10))
    alone = Story().ok(1, "read", None, {"a": 50, "b": 50}).ok(1, "read", None, {"a": 50, "b": 60}).ok(0, "transfer", A)
    only(alone.judge("bank"), "wrong-total", (0, 2))


def test_a_total_that_is_reported():
    options = {"bank": {"total": 90}}
    story = Story().ok(1, "read", None, {"a": 50, "b": 50}).ok(0, "transfer", B).ok(1, "read", None, {"a": 45, "b": 45})
    anomaly = only(story.judge("bank", options=options), "wrong-total", (0,))
    assert anomaly.explanation.startswith("The accounts hold 90 together, but read of")
    assert kinds(story.judge("bank")) == ["wrong-total"]


def test_negative_balances():
    story = Story().ok(1, "read", None, {"a": 5, "b": 95}).ok(0, "transfer", A).ok(1, "read", None, {"a": -5, "b": 105})
    assert only(story.judge("bank"), "negative-balance", (4,)).details["accounts"] == ["a"]
    valid(story.judge("bank", options={"bank": {"negative_balances": True}}))
    empty = {"a": 0, "b": 1}
    valid(Story().ok(0, "transfer", A).ok(1, "read", None, empty).ok(1, "read", None, empty).judge("bank"))


def test_accounts_and_balances_must_be_there():
    story = Story().ok(1, "read", None, [["a", 5], ["b", 5]]).ok(0, "transfer", A)
    only(story.ok(1, "read", None, [["a", 10]]).judge("bank"), "wrong-accounts", (4,))
    story = Story().ok(1, "read", None, {"1": 5, "2": 5}).ok(0, "transfer", A).ok(1, "read", None, [[1, 10], [2, None]])
    only(story.judge("bank"), "null-balance", (4,))
    reported = Story().ok(1, "read", None, {"a": 5}).ok(0, "transfer", A)
    only(reported.judge("bank", options={"bank": {"accounts": ["a", "b"]}}), "wrong-accounts", (0,))


def test_before_the_accounts_were_made_a_read_of_none_is_in_order_and_afterwards_it_is_not():
    """A server that was down when every `create` was tried has no accounts, and lost none."""
    options, both = {"bank": {"total": 100, "accounts": ["a", "b"]}}, {"a": 50, "b": 50}
    empty = Story().fail(0, "create", both).ok(1, "transfer", A).ok(1, "read", None, {})
    unknown(empty.judge("bank", options=options), "0 reads ended ok")
    doubt = Story().info(0, "create", both).ok(1, "transfer", A).ok(1, "read", None, {}).ok(1, "read", None, both)
    assert valid(doubt.judge("bank", options=options))["reads"] == 1
    lost = Story().ok(0, "create", both).ok(1, "transfer", A).ok(1, "read", None, {})
    only(lost.judge("bank", options=options), "wrong-accounts", (4,))
    only(Story().ok(1, "transfer", A).ok(1, "read", None, {}).judge("bank", options=options), "wrong-accounts", (2,))


def test_banks_in_order_and_nothing_to_compare():
    story = (
        Story()
        .ok(1, "read", None, {"a": 50, "b": 50})
        .begin(0, "transfer", A)
        .ok(1, "read", None, {"a": 40, "b": 60})
        .end(0)
    )
    story.ok(1, "read", None, {"a": 7}, key="other").ok(0, "transfer", A, key="other")
    unknown(story.judge("bank"), "On key other, one read ended ok and no total is given")
    story.ok(1, "read", None, {"a": 7}, key="other")
    assert valid(story.judge("bank")) == {"banks": 2, "transfers": 2, "reads": 4}
    unknown(
        Story().fail(0, "transfer", A).ok(1, "read", None, {"a": 1}).judge("bank"),
        "0 transfers may have happened and 1 reads",
    )
    unknown(Story().ok(0, "transfer", A).fail(1, "read").judge("bank"), "1 transfers may have happened and 0 reads")
    unknown(Story().ok(0, "transfer", A).ok(1, "read", None, 5).judge("bank"), "1 reads have no balances")
    unknown(Story().ok(1, "read", None, {"a": 1}).judge("bank"), "does not apply")


def test_a_bank_with_atomic_reads_is_never_found_wrong_and_torn_reads_always_are():
    random = Random(7)
    for _ in range(200):
        story, balances, torn = Story(), {"a": 100, "b": 100, "c": 100}, False
        story.ok(1, "read", None, dict(balances))
        for _ in range(8):
            one, other, amount = *random.sample("abc", 2), random.randrange(1, 9)
            before = dict(balances)
            balances[one] -= amount
            balances[other] += amount
            story.ok(0, "transfer", {"from": one, "to": other, "amount": amount})
            tear = random.random() < 0.05
            torn |= tear
            story.ok(1, "read", None, {**before, one: balances[one]} if tear else dict(balances))
        assert (story.judge("bank").verdict is Verdict.INVALID) == torn


def test_lists_that_are_no_balances():
    for wrong in ([["a", 1], ["b"]], ["ab"], [["a", 1], 5]):
        unknown(
            Story().ok(0, "transfer", A).ok(1, "read", None, [["a", 1]]).ok(1, "read", None, wrong).judge("bank"),
            "1 reads have no balances",
        )


def test_a_read_without_a_balance_reports_no_total():
    story = (
        Story().ok(1, "read", None, {"a": None, "b": 5}).ok(0, "transfer", A).ok(1, "read", None, {"a": 50, "b": 50})
    )
    only(story.ok(1, "read", None, {"a": 60, "b": 40}).judge("bank"), "null-balance", (0,))


def test_identifiers_of_one_read_are_reported_by_who_returned_first():
    story = Story().begin(0, "generate").ok(1, "generate", None, 3).end(0, 3)
    only(story.judge("unique-ids"), "duplicate-identifier", (0, 1))
    several = Story().ok(0, "generate", None, None).ok(0, "generate", None, None)
    assert kinds(several.judge("unique-ids")) == ["no-identifier", "no-identifier"]
    touching = Story().ok(0, "generate", None, 3).ok(0, "generate", None, 3).judge("unique-ids")
    assert touching.anomalies[0].explanation.endswith("1 ms after the first had returned.")


def test_reads_of_another_object_and_transfers_without_reads_are_no_reason_to_look_away():
    story = Story().ok(0, "transfer", A, key="quiet").ok(1, "read", None, 5, key="other")
    story.ok(1, "read", None, {"a": 1}, key="bank").ok(0, "transfer", A, key="bank")
    story.ok(1, "read", None, {"a": 1}, key="bank")
    unknown(story.judge("bank"), "On key quiet, transfers ended ok and no read did")
    story.ok(1, "read", None, {"a": 1}, key="bank").ok(1, "read", None, {"a": 2}, key="bank")
    (found,) = story.judge("bank").anomalies
    assert found.kind == "wrong-total"
