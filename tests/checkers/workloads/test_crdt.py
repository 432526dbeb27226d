"""Replicas that converge, or do not: stories of trace lines."""

from __future__ import annotations

from itertools import permutations
from random import Random

from tribulation.checkers import Verdict

from .lines import Lines, places
from .stories import only, unknown, valid


class Replicas(Lines):
    def __init__(self) -> None:
        super().__init__("n1", "n2")

    def deliver(self, node, *updates, **more):
        return self.line(node, "crdt-deliver", object="cart", updates=list(updates), **more)

    def state(self, node, digest, **more):
        return self.line(node, "crdt-state", object="cart", digest=digest, **more)

    def add(self, node, update, element):
        return self.line(node, "crdt-add", object="cart", update=update, element=element)

    def remove(self, node, update, element, *observed):
        return self.line(node, "crdt-remove", object="cart", update=update, element=element, observed=list(observed))


def test_states_of_the_same_updates_differ():
    lines = (
        Replicas()
        .deliver("n1", "a", "b")
        .state("n1", "d1")
        .deliver("n2", "b")
        .state("n2", "x")
        .deliver("n2", "a")
        .state("n2", "d2")
    )
    anomaly = only(lines.judge("crdt"), "states-differ", ())
    assert anomaly.explanation == (
        "n1 and n2 had been delivered the same 2 updates of cart, and their states differ: digest d1 and d2."
    )
    assert places(anomaly) == [("n1", 1), ("n2", 3)] and anomaly.details["updates"] == ["a", "b"]


def test_states_of_the_same_updates_agree_in_any_order_and_twice_delivered():
    lines = (
        Replicas()
        .deliver("n1", "a", "b", "a")
        .state("n1", "d")
        .deliver("n2", "b")
        .state("n2", "x")
        .deliver("n2", "a", "b")
        .state("n2", "d")
    )
    stats = valid(lines.judge("crdt"))
    assert stats == {"deliveries": 4, "states": 3, "compared": 1, "merges": 0, "deltas": 0}


def test_objects_and_lives_are_apart():
    lines = Replicas().deliver("n1", "a").state("n1", "d").line("n2", "crdt-deliver", object="other", updates=["a"])
    lines.line("n2", "crdt-state", object="other", digest="e").boot("n1").state("n1", "empty").deliver("n1", "a").state(
        "n1", "d"
    )
    assert valid(lines.judge("crdt"))["compared"] == 1


def test_after_a_gap_nothing_is_known():
    lines = Replicas().deliver("n1", "a").state("n1", "d").deliver("n2", "a").lose("n2").state("n2", "wrong")
    unknown(lines.judge("crdt"), "n2: lines are missing from its trace")
    unknown(Replicas().deliver("n1", "a").state("n1", "d").deliver("n2").judge("crdt"), "nothing to compare")
    unknown(Lines().line("n1", "quorum").judge("crdt"), "does not apply")


def test_a_state_does_not_shrink():
    lines = (
        Replicas()
        .state("n1", "d", clock={"n1": 2, "n2": 1})
        .state("n2", "d")
        .state("n1", "d", clock={"n1": 2, "n2": 1})
    )
    assert valid(lines.judge("crdt"))["states"] == 3
    anomaly = only(lines.state("n1", "d", clock={"n1": 3}).judge("crdt"), "state-shrank", ())
    assert anomaly.explanation == "The state of cart at n1 went back: it had 1 updates of n2, then 0, 1 ms later."
    assert places(anomaly) == [("n1", 1), ("n1", 2)] and anomaly.details["apart_ms"] == 1.0
    booted = Replicas().state("n1", "d", clock={"n1": 2}).boot("n1").state("n1", "d", clock={}).state("n2", "d")
    valid(booted.judge("crdt"))


def test_a_join_is_the_least_upper_bound():
    def merge(after):
        lines = Replicas().deliver("n2")
        return lines.line("n1", "crdt-merge", object="cart", before={"n1": 2}, received={"n1": 1, "n2": 4}, after=after)

    assert valid(merge({"n1": 2, "n2": 4}).judge("crdt"))["merges"] == 1
    anomaly = only(merge({"n1": 1, "n2": 4}).judge("crdt"), "join-is-no-least-upper-bound", ())
    assert anomaly.explanation == "n1 joined 2 and 1 updates of n1 in cart to 1, not 2."
    only(merge({"n1": 2, "n2": 5}).judge("crdt"), "join-is-no-least-upper-bound", ())
    only(merge({"n1": 2, "n2": 4, "n3": 1}).judge("crdt"), "join-is-no-least-upper-bound", ())


def delta(lines, event, **fields):
    return lines.line("n1", f"crdt-{event}", object="cart", **{"from": "n2"}, **fields)


def test_deltas_without_gaps():
    lines = delta(
        delta(delta(Replicas().deliver("n2"), "delta", low=0, high=3), "delta", low=2, high=4), "full", high=9
    )
    assert valid(delta(lines, "delta", low=9, high=10).judge("crdt"))["deltas"] == 4
    anomaly = only(delta(lines, "delta", low=11, high=12).judge("crdt"), "delta-gap", ())
    assert (
        anomaly.explanation
        == "n1 joined the updates 11 to 12 of n2 to cart, having those below 10 only: 1 are missing between."
    )
    assert anomaly.details["have"] == 10


def test_a_delta_that_repeats_does_not_take_back_what_was_there_and_a_boot_may_report_what_it_has():
    lines = delta(
        delta(delta(Replicas().deliver("n2"), "full", high=5), "delta", low=0, high=2), "delta", low=5, high=6
    )
    valid(lines.judge("crdt"))
    only(delta(lines.boot("n1"), "delta", low=6, high=7).judge("crdt"), "delta-gap", ())
    booted = delta(
        delta(Replicas().deliver("n2"), "full", high=5).boot("n1").deliver("n1", upto={"n2": 5}), "delta", low=5, high=6
    )
    valid(booted.judge("crdt"))


def test_an_add_that_no_remove_saw_must_be_there():
    lines = Replicas().add("n1", "a1", "milk").deliver("n1", "a1").remove("n2", "r", "milk").deliver("n2", "a1", "r")
    valid(lines.state("n2", "d", value=["milk"]).judge("crdt"))
    anomaly = only(lines.state("n2", "d", value=[]).judge("crdt"), "lost-add", ())
    assert anomaly.explanation.startswith("Milk is missing from cart at n2, although an add of it was delivered")
    assert places(anomaly) == [("n1", 0), ("n2", 3)]


def test_what_was_removed_stays_away():
    lines = (
        Replicas()
        .add("n1", "a1", "milk")
        .deliver("n1", "a1")
        .deliver("n2")
        .remove("n1", "r", "milk", "a1")
        .deliver("n1", "r")
    )
    valid(lines.state("n1", "d", value=[]).judge("crdt"))
    anomaly = only(lines.state("n1", "d", value=["milk"]).judge("crdt"), "removed-element-back", ())
    assert anomaly.details["element"] == "milk" and places(anomaly) == [("n1", 5)]


def test_sets_are_judged_only_by_updates_whose_making_was_traced():
    lines = (
        Replicas()
        .add("n1", "a1", "milk")
        .deliver("n1", "a1", "from-afar")
        .state("n1", "d", value=["tea"])
        .deliver("n2", "a1", "from-afar")
    )
    valid(lines.state("n2", "d").judge("crdt"))


def test_at_the_end_all_have_all():
    lines = Replicas().deliver("n1", "a", "b").deliver("n2", "a").state("n1", "d", final=True)
    anomaly = only(lines.state("n2", "e", final=True).state("n2", "e").judge("crdt"), "update-not-delivered", ())
    assert anomaly.explanation == "At the end n2 lacks 1 updates of cart that n1 has, such as b."
    valid(lines.deliver("n2", "b").state("n2", "d", final=True).judge("crdt"))


def test_sets_follow_the_specification_in_every_order_of_delivery():
    """Any order of delivery gives the same set, and the set of the specification; any other value is found wrong."""
    random = Random(9)
    for _ in range(60):
        adds = {f"a{number}": random.choice("xy") for number in range(3)}
        removes = {f"r{number}": random.sample(sorted(adds), random.randrange(0, 3)) for number in range(2)}
        order = random.choice(list(permutations([*adds, *removes])))
        wanted = {element for add, element in adds.items() if not any(add in seen for seen in removes.values())}
        lines = Replicas().deliver("n2")
        for add, element in adds.items():
            lines.add("n1", add, element)
        for remove, seen in removes.items():
            lines.remove("n1", remove, "x", *seen)
        for update in order:
            lines.deliver("n1", update)
        assert lines.state("n1", "d", value=sorted(wanted)).judge("crdt").verdict is Verdict.VALID
        assert lines.state("n1", "d", value=sorted(wanted ^ {"x"})).judge("crdt").verdict is Verdict.INVALID


def test_a_join_keeps_who_is_on_one_side_only():
    for before, received in (({"n1": 2}, {}), ({}, {"n1": 2})):
        lines = (
            Replicas().deliver("n2").line("n1", "crdt-merge", object="cart", before=before, received=received, after={})
        )
        only(lines.judge("crdt"), "join-is-no-least-upper-bound", ())


def test_the_first_delta_begins_at_the_beginning():
    only(delta(Replicas().deliver("n2"), "delta", low=1, high=2).judge("crdt"), "delta-gap", ())


def test_a_state_grows_by_any_number_of_replicas_and_says_whose_updates_are_gone():
    lines = (
        Replicas()
        .state("n2", "d")
        .state("n1", "d", clock={"n1": 2, "n2": 3})
        .state("n1", "d", clock={"n1": 2, "n2": 2, "n3": 1})
    )
    anomaly = only(lines.judge("crdt"), "state-shrank", ())
    assert anomaly.details["replica"] == "n2"
    # What was reported is compared with what is reported next, not with what was reported first.
    assert len(lines.state("n1", "d", clock={"n1": 2, "n2": 2, "n3": 1}).judge("crdt").anomalies) == 1


def test_an_element_added_twice_and_removed_once_is_there():
    lines = Replicas().add("n1", "a1", "milk").add("n1", "a2", "milk").deliver("n1", "a1", "a2").deliver("n2")
    lines.remove("n1", "r", "milk", "a1").deliver("n1", "r")
    valid(lines.state("n1", "d", value=["milk"]).judge("crdt"))
    only(lines.state("n1", "d", value=[]).judge("crdt"), "lost-add", ())


def test_a_late_add_that_a_remove_had_seen_stays_away():
    lines = Replicas().add("n1", "a1", "milk").remove("n1", "r", "milk", "a1").deliver("n1").deliver("n2", "r", "a1")
    valid(lines.state("n2", "d", value=[]).judge("crdt"))
    only(lines.state("n2", "d", value=["milk"]).judge("crdt"), "removed-element-back", ())


def test_no_state_but_a_join_or_a_delta_is_something_to_look_at():
    lines = Replicas().deliver("n2").line("n1", "crdt-merge", object="cart", before={}, received={}, after={})
    valid(lines.judge("crdt"))
    valid(delta(Replicas().deliver("n2"), "full", high=1).judge("crdt"))


def test_states_of_as_many_but_other_updates_are_not_compared():
    lines = (
        Replicas()
        .deliver("n1", "a")
        .state("n1", "d")
        .deliver("n2", "b")
        .state("n2", "e")
        .deliver("n1", "b")
        .state("n1", "f")
    )
    assert valid(lines.deliver("n2", "a").state("n2", "f").judge("crdt"))["compared"] == 1


def test_a_state_that_lost_updates_of_two_replicas_shrank_once():
    lines = Replicas().state("n1", "d", clock={"n1": 2, "n2": 2}).state("n2", "d").state("n1", "d", clock={})
    assert only(lines.judge("crdt"), "state-shrank", ()).details["replica"] == "n1"
