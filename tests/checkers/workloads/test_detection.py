"""Failure detectors against the truth, and views of membership: stories of trace lines."""

from __future__ import annotations

import pytest

from tribulation.checkers import Verdict

from .lines import Lines, places
from .stories import MS, kinds, only, unknown, valid

Q = ("0", "0.5", "0.95", "0.99", "1")


def suspect(lines, observer, target, at_ms):
    return lines.line(observer, "suspect", at_ms, target=target)


def trust(lines, observer, target, at_ms):
    return lines.line(observer, "trust", at_ms, target=target)


def two(end_ms=10_000, **options):
    """n1 watches n2, for ten seconds unless it is set otherwise."""
    return {"phases": {"end": end_ms * MS}, "options": {"failure-detector": options}}


def pair():
    lines = Lines("n1", "n2")
    return lines.line("n2", "quorum", 0)


def test_detection_time_is_to_the_suspicion_that_lasts():
    """n2 dies at 1 s and stays down; n1 suspects it at 1.5 s, changes its mind, and suspects it for good at 3 s."""
    lines = trust(suspect(pair(), "n1", "n2", 1500), "n1", "n2", 2000)
    lines = suspect(lines, "n1", "n2", 3000).fault("kill", "n2", 1000)
    stats = valid(lines.judge("failure-detector", **two()))
    assert (stats["crashes"], stats["detected"], stats["mistakes"]) == (1, 1, 0)
    assert stats["detection_ms"] == dict.fromkeys(Q, 2000.0)
    anomaly = only(lines.judge("failure-detector", **two(max_detection_s=1.5)), "slow-detection", ())
    assert (
        anomaly.explanation == "n1 suspected n2 for good only 2.000 s after it went down at 1.000 s (allowed: 1.5 s)."
    )
    assert places(anomaly) == [("n1", 2)]
    valid(lines.judge("failure-detector", **two(max_detection_s=2.0)))


def test_trust_that_was_never_lost_is_no_change_of_mind_and_a_boot_changes_nothing():
    lines = trust(pair(), "n1", "n2", 100).boot("n1").line("n1", "quorum", 200)
    assert valid(lines.judge("failure-detector", **two()))["mistakes"] == 0


def test_a_crash_that_nobody_noticed():
    lines = trust(suspect(pair(), "n1", "n2", 100), "n1", "n2", 200).fault("pause", "n2", 1000, 5000)
    stats = valid(lines.judge("failure-detector", **two()))
    assert (stats["crashes"], stats["detected"]) == (1, 0)
    anomaly = only(lines.judge("failure-detector", **two(max_detection_s=3.9)), "crash-not-detected", ())
    assert anomaly.explanation == "n1 did not suspect n2, which was down from 1.000 s for 4.000 s (allowed: 3.9 s)."
    valid(lines.judge("failure-detector", **two(max_detection_s=4)))
    lasting = trust(suspect(pair(), "n1", "n2", 100), "n1", "n2", 200).fault("kill", "n2", 1000)
    assert (
        "from 1.000 s to the end"
        in only(lasting.judge("failure-detector", **two(max_detection_s=1)), "crash-not-detected", ()).explanation
    )


def test_a_suspicion_that_was_there_when_the_crash_came_took_no_time_and_was_a_mistake_until_then():
    lines = suspect(pair(), "n1", "n2", 500).fault("kill", "n2", 1000)
    stats = valid(lines.judge("failure-detector", **two()))
    assert stats["detection_ms"]["1"] == 0.0 and stats["mistakes"] == 1
    assert stats["mistake_duration_ms"] == dict.fromkeys(Q, 500.0)


def test_mistakes_their_recurrence_and_duration():
    """Wrong from 1 to 2 s and from 5 to 5.5 s; each of the two nodes is up for all of 10 s."""
    lines = suspect(trust(suspect(pair(), "n1", "n2", 1000), "n1", "n2", 2000), "n1", "n2", 5000)
    stats = valid(trust(lines, "n1", "n2", 5500).judge("failure-detector", **two()))
    assert stats["mistakes"] == 2 and stats["mistakes_per_node_hour"] == 360.0
    assert stats["mistake_duration_ms"] == {"0": 500.0, "0.5": 1000.0, "0.95": 1000.0, "0.99": 1000.0, "1": 1000.0}
    assert stats["mistake_recurrence_ms"] == dict.fromkeys(Q, 4000.0)
    assert stats["good_period_ms"] == dict.fromkeys(Q, 3000.0)
    assert stats["query_accuracy"] == 0.925
    result = lines.judge("failure-detector", **two(max_mistakes_per_hour=359))
    anomaly = only(result, "too-many-mistakes", ())
    assert anomaly.explanation == (
        "2 suspicions of members that were up, 360 per node and hour (allowed: 359); the first one is n1's of n2 at 1.000 s."
    )
    valid(lines.judge("failure-detector", **two(max_mistakes_per_hour=360)))


@pytest.mark.parametrize(("at_ms", "mistakes"), [(999, 1), (1000, 0), (1499, 0), (4000, 0), (4499, 0), (4500, 1)])
def test_while_a_fault_comes_and_goes_a_suspicion_is_neither_right_nor_wrong(at_ms, mistakes):
    lines = trust(suspect(pair(), "n1", "n2", at_ms), "n1", "n2", at_ms + 0.5).fault(
        "kill", "n2", 1000, 4000, within_ms=500
    )
    assert valid(lines.judge("failure-detector", **two()))["mistakes"] == mistakes


def test_an_observer_that_was_down_itself_detects_nothing():
    lines = suspect(pair(), "n1", "n2", 9000).fault("kill", "n2", 1000, 5000).fault("pause", "n1", 2000, 3000)
    stats = valid(lines.judge("failure-detector", **two()))
    # n1 is down while n2 is, so no node saw this crash; that n1 died, n2 could not have seen either.
    assert stats["crashes"] == 0
    apart = suspect(pair(), "n1", "n2", 9000).fault("kill", "n2", 1000, 5000).fault("pause", "n1", 5000, 6000)
    assert valid(apart.judge("failure-detector", **two()))["crashes"] == 2


def test_a_booted_observer_trusts_everybody_again():
    lines = suspect(pair(), "n1", "n2", 1000).boot("n1").line("n1", "quorum", 3000)
    stats = valid(suspect(lines, "n1", "n2", 6000).judge("failure-detector", **two()))
    assert stats["mistakes"] == 2 and stats["mistake_duration_ms"]["0"] == 2000.0
    again = suspect(suspect(pair(), "n1", "n2", 1000), "n1", "n2", 2000)
    assert valid(again.judge("failure-detector", **two()))["mistakes"] == 1
    trusting = trust(pair(), "n1", "n2", 1000)
    assert valid(trusting.judge("failure-detector", **two()))["mistakes"] == 0


def test_other_faults_stop_nobody():
    lines = suspect(pair(), "n1", "n2", 2000).fault("clock", "n2", 1000)
    assert valid(lines.judge("failure-detector", **two()))["mistakes"] == 1


def test_clocks_and_traces_are_needed():
    lines = suspect(pair(), "n1", "n2", 1000)
    unknown(lines.judge("failure-detector", without="n1", **two()), "the clock of n1 was not measured")
    unknown(suspect(Lines("n1", "n2"), "n1", "n2", 1).judge("failure-detector", **two()), "there is no trace of n2")
    unknown(pair().judge("failure-detector"), "does not apply")


def view(lines, node, epoch, members):
    return lines.line(node, "view", epoch=epoch, members=members)


def everybody(epoch=1, members=("n1", "n2", "n3")):
    lines = Lines()
    for node in lines.nodes:
        view(lines, node, epoch, list(members))
    return lines


def test_views_that_agree():
    stats = valid(everybody().judge("membership", phases={"healed": MS}))
    assert stats == {"views": 3, "nodes_up": 3, "down": [], "converged_ms_after_heal": 1.1}
    assert "converged_ms_after_heal" not in valid(everybody().judge("membership"))
    assert valid(everybody().judge("membership", phases={"healed": 9 * MS}))["converged_ms_after_heal"] == 0.0


def test_views_that_differ_at_the_end():
    anomaly = only(view(everybody(), "n3", 2, ["n3"]).judge("membership"), "views-differ", ())
    assert anomaly.explanation == "The last views of nodes that are up differ: n1, n2: n1 n2 n3; n3: n3."
    valid(view(view(everybody(), "n3", 2, ["n3"]), "n3", 3, ["n1", "n2", "n3"]).judge("membership"))


def test_who_is_down_has_no_view_and_is_in_none():
    lines = view(everybody(), "n3", 2, ["n3"]).fault("kill", "n3", 5)
    anomaly = only(lines.judge("membership"), "dead-member", ())
    assert anomaly.explanation == "n3 was down to the end and is still in the view of epoch 1 at n1."
    valid(lines.judge("membership", options={"membership": {"expels": False}}))
    expelled = view(view(everybody(), "n1", 2, ["n1", "n2"]), "n2", 2, ["n1", "n2"]).fault("kill", "n3", 5)
    assert valid(expelled.judge("membership"))["down"] == ["n3"]
    back = view(everybody(), "n3", 2, ["n3"]).fault("kill", "n3", 1, 5)
    only(back.judge("membership"), "views-differ", ())


def test_epochs_and_incarnations_do_not_go_back():
    lines = view(everybody(), "n1", 3, ["n1", "n2", "n3"])
    anomaly = only(view(lines, "n1", 2, ["n1", "n2", "n3"]).judge("membership"), "epoch-regressed", ())
    assert anomaly.explanation == "The view of n1 went back from epoch 3 to 2, 1 ms later."
    valid(view(everybody(3).boot("n1"), "n1", 2, ["n1", "n2", "n3"]).judge("membership"))
    numbered = view(view(everybody(), "n1", 1, {"n1": 1, "n2": 5, "n3": 1}), "n1", 2, {"n1": 1, "n2": 5, "n3": 2})
    valid(numbered.judge("membership"))
    anomaly = only(
        view(numbered, "n1", 3, {"n1": 1, "n2": 4, "n3": 2}).judge("membership"), "incarnation-regressed", ()
    )
    assert anomaly.explanation == "n1 went back from incarnation 5 of n2 to 4 in epoch 3, 1 ms later."
    assert places(anomaly) == [("n1", 2), ("n1", 3)]


def lifecycle(lines, node, to):
    return lines.line(node, "lifecycle", **{"from": "ACTIVE", "to": to})


def test_a_member_that_is_up_and_did_not_leave_is_in_the_views():
    lines = lifecycle(Lines("n1", "n2"), "n2", "ACTIVE")
    lines = view(view(lines, "n1", 3, {"n1": 1}), "n2", 3, {"n1": 1})
    anomaly = only(lines.judge("membership"), "absent-member", ())
    assert "n2" in anomaly.explanation
    valid(lifecycle(lines, "n2", "LEAVING").judge("membership"))


def test_one_epoch_is_one_view():
    lines = view(everybody(), "n2", 2, ["n1", "n2"])
    result = view(view(lines, "n1", 2, ["n1"]), "n1", 3, ["n1", "n2", "n3"])
    assert kinds(result.judge("membership")) == ["two-views-in-one-epoch", "views-differ"]
    own = {"membership": {"epoch_is_global": False}}
    assert kinds(result.judge("membership", options=own)) == ["views-differ"]
    assert result.judge("membership").anomalies[0].explanation == "Epoch 2 has the members n1 at n1 and n1 n2 at n2."


@pytest.mark.parametrize("members", [["n1"], ["n3"], ["n1", "n2", "n3"]])
@pytest.mark.parametrize("healed", [{}, {"healed": 2 * MS}])
def test_last_views_of_a_run_without_its_quiet_period_are_not_judged(members, healed):
    """A search found it: no quorum until the end, so the node that had come back could not be a member again."""
    phases = {"load_end": MS, "end": 9 * MS, **healed}
    lines = view(everybody(), "n3", 2, members)
    unknown(lines.judge("membership", phases=phases), "no complete quiet period")
    back = view(lines, "n3", 1, ["n1", "n2", "n3"])
    only(back.judge("membership", phases=phases), "epoch-regressed", ())
    assert lines.judge("membership", phases=phases | {"quiet_end": 8 * MS}).verdict is not Verdict.UNKNOWN


def test_what_membership_cannot_report():
    booted = everybody().boot("n1").line("n1", "quorum")
    unknown(booted.judge("membership"), "n1 traced no view since its last start")
    unknown(view(Lines("n1", "n2"), "n1", 1, ["n1", "n2"]).judge("membership"), "there is no trace of n2")
    unknown(Lines("n1").line("n1", "quorum").judge("membership"), "does not apply")
    assert "converged_ms_after_heal" not in everybody().judge("membership", without="n2", phases={"healed": MS}).stats


def test_time_counts_while_both_are_up():
    """n2 is down from 2 to 6 s of 10, n1 from 8 to 9: 5 s are left for each of the two opinions; one mistake is 720 per node and hour."""
    lines = trust(suspect(pair(), "n1", "n2", 7000), "n1", "n2", 7500)
    lines.fault("kill", "n2", 2000, 6000).fault("pause", "n1", 8000, 9000)
    stats = valid(lines.judge("failure-detector", **two()))
    assert stats["mistakes_per_node_hour"] == 360.0 and stats["query_accuracy"] == 0.95


def test_a_fault_that_lasts_to_the_end_takes_only_the_time_that_there_was():
    lines = trust(suspect(pair(), "n1", "n2", 1000), "n1", "n2", 1500).fault("kill", "n2", 5000)
    assert valid(lines.judge("failure-detector", **two()))["query_accuracy"] == 0.95


def test_a_suspicion_from_before_a_boot_is_none_of_the_next_life():
    """n1 trusts again when it is booted at 3 s, so n2's crash at 5 s is not noticed."""
    lines = suspect(pair(), "n1", "n2", 1000).boot("n1").line("n1", "quorum", 3000).fault("kill", "n2", 5000)
    stats = valid(lines.judge("failure-detector", **two()))
    assert (stats["mistakes"], stats["detected"], stats["crashes"]) == (1, 0, 1)
    assert stats["mistake_duration_ms"]["1"] == 2000.0


def test_a_mistake_that_lasts():
    """n1 suspects n2, which is up, from 1 s to 3.5 s."""
    lines = trust(suspect(pair(), "n1", "n2", 1000), "n1", "n2", 3500)
    anomaly = only(lines.judge("failure-detector", **two(max_mistake_s=2)), "lasting-mistake", ())
    assert anomaly.explanation == "n1 suspected n2, which was up, from 1.000 s for 2.500 s (allowed: 2 s)."
    assert places(anomaly) == [("n1", 0)]
    valid(lines.judge("failure-detector", **two(max_mistake_s=2.5)))


PROMISED = {"detection_ns": 2000 * MS, "worst_detection_ns": 6000 * MS, "datagrams_lossless": True, "election_ns": MS}


def members(lines, *nodes, at_ms=1):
    for node in nodes:
        lines.line(node, "view", at_ms, epoch=1, members=dict.fromkeys(nodes, 1))
    return lines


def promised(end_ms=10_000, **more):
    """A simulated run, whose detectors notice a crash within 2 s, and within 6 s whatever else happens."""
    return {"phases": {"end": end_ms * MS, "healed": 5000 * MS}, "truth": {**PROMISED, **more}}


def crashed():
    return members(pair(), "n1", "n2").fault("kill", "n2", 1000, 4500)


def noticed(lines, at_ms):
    return trust(suspect(lines, "n1", "n2", at_ms), "n1", "n2", 4600)


def test_a_simulated_run_is_held_to_the_configuration_of_its_detectors():
    anomaly = only(crashed().judge("failure-detector", **promised()), "crash-not-detected", ())
    assert anomaly.explanation == "n1 did not suspect n2, which was down from 1.000 s for 3.500 s (allowed: 2 s)."
    valid(noticed(crashed(), 2900).judge("failure-detector", **promised()))
    only(noticed(crashed(), 3100).judge("failure-detector", **promised()), "slow-detection", ())


@pytest.mark.parametrize("more", [{"datagrams_lossless": False}, {"fair": False}])
def test_a_slow_or_lossy_world_promises_nothing(more):
    valid(noticed(crashed(), 4400).judge("failure-detector", **promised(**more)))


def test_other_faults_lengthen_the_time_and_those_that_delay_datagrams_end_the_promise():
    valid(crashed().fault("kill", "n3", 500, 600).judge("failure-detector", **promised()))
    valid(crashed().fault("clog", "n3", 500, 600).judge("failure-detector", **promised(worst_detection_ns=2000 * MS)))
    long = members(pair(), "n1", "n2").fault("kill", "n2", 1000, 9000).fault("kill", "n3", 500, 600)
    only(long.judge("failure-detector", **promised()), "crash-not-detected", ())


def test_a_member_that_left_the_view_need_not_be_suspected():
    left = crashed().line("n1", "view", 1500, epoch=2, members={"n1": 1})
    valid(noticed(left, 4400).judge("failure-detector", **promised()))


def test_a_suspicion_that_outlasts_the_heal():
    lines = suspect(members(pair(), "n1", "n2").fault("cut", "n2", 1000, 2000), "n1", "n2", 1500)
    only(lines.judge("failure-detector", **promised()), "lasting-mistake", ())
    valid(lines.judge("failure-detector", **promised(end_ms=6900)))
    valid(trust(lines, "n1", "n2", 6000).judge("failure-detector", **promised()))


def test_detectors_that_had_no_reason_to_doubt_themselves_notice_a_crash_sooner():
    """Twice 0.6 s: the crash itself is one reason. Another fault shortly before leaves the longer time."""
    late = noticed(crashed(), 2300)
    only(late.judge("failure-detector", **promised(probing_ns=600 * MS)), "slow-detection", ())
    valid(noticed(crashed(), 2100).judge("failure-detector", **promised(probing_ns=600 * MS)))
    valid(late.fault("kill", "n3", 100, 200).judge("failure-detector", **promised(probing_ns=600 * MS)))


def failed(lines, at_ms):
    return lines.line("n1", "failed", at_ms, target="n2")


def down_long(lines=None):
    return noticed_from(members(lines or pair(), "n1", "n2").fault("kill", "n2", 1000, 9000), 2000)


def noticed_from(lines, at_ms):
    return suspect(lines, "n1", "n2", at_ms)


CONCLUDED = {"suspicion_ns": 3000 * MS}
"""Detection takes 2 s, a suspicion 3 s: failed by 6 s."""


def test_a_suspicion_that_nothing_refutes_ends():
    anomaly = only(down_long().judge("failure-detector", **promised(**CONCLUDED)), "crash-not-concluded", ())
    assert anomaly.explanation == (
        "n1 suspected n2, which was down from 1.000 s for 8.000 s, but did not count it as failed in time (allowed: 5 s)."
    )
    assert places(anomaly) == [("n1", 1)]
    only(failed(down_long(), 6001).judge("failure-detector", **promised(**CONCLUDED)), "crash-not-concluded", ())
    valid(failed(down_long(), 6000).judge("failure-detector", **promised(**CONCLUDED)))


def test_a_suspicion_need_not_end_where_nothing_is_promised():
    valid(down_long().judge("failure-detector", **promised()))
    short = suspect(members(pair(), "n1", "n2").fault("kill", "n2", 1000, 6000), "n1", "n2", 2000)
    valid(trust(short, "n1", "n2", 6100).judge("failure-detector", **promised(**CONCLUDED)))
    valid(down_long().fault("clog", "n3", 4000, 4100).judge("failure-detector", **promised(**CONCLUDED)))
    left = down_long().line("n1", "view", 4000, epoch=2, members={"n1": 1})
    valid(left.judge("failure-detector", **promised(**CONCLUDED)))
