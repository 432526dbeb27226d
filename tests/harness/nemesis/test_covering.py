"""Which fault hides which, by what was seen and when."""

from __future__ import annotations

from typing import Any

import pytest

from tribulation.harness.nemesis.faults.fault import Intent, Observation, Resolved
from tribulation.harness.nemesis.topology.masking import Covering, unseen

SEEN, UNSEEN = Observation(True), Observation(False)
LINK = {"edges": [["n1", "n2"]]}
NODE = {"nodes": ["n1"]}


def fault(ident: str, kind: str, what: dict[str, Any]) -> Resolved:
    return Resolved(Intent(ident, kind, {}, 0, None, ident), what)


def after(kind: str, what: dict[str, Any], seen: Observation | None = SEEN, ended_ns: int | None = None) -> Covering:
    """One fault is on from 10."""
    covering = Covering()
    covering.began(fault("other", kind, what), 10)
    if seen is not None:
        covering.saw(fault("other", kind, what), seen)
    if ended_ns is not None:
        covering.ended(fault("other", kind, what), ended_ns)
    return covering


@pytest.mark.parametrize(
    ("kind", "target", "other", "what", "hides"),
    [
        ("pause", "n1", "kill", NODE, True),
        ("pause", "n1", "disk", NODE, True),
        ("pause", "n2", "kill", NODE, False),
        ("pause", "n1", "cut", LINK, False),
        ("pause", "n1", "pause", NODE, False),
        ("cpu", "n1", "pause", NODE, True),
        ("link", ("n1", "n2"), "cut", LINK, True),
        ("link", ("n2", "n1"), "cut", LINK, False),
        ("link", ("n1", "n2"), "kill", NODE, False),
        ("link", ("n1", "n2"), "power", NODE, True),
        ("flap", ("n2", "n1"), "power", NODE, True),
        ("reset", ("n1", "n2"), "kill", NODE, True),
        ("reset", ("n1", "n2"), "cut", {"edges": [["n2", "n1"]]}, True),
        ("reset", ("n1", "n3"), "cut", LINK, False),
        ("kill", "n1", "cpu", NODE, False),
        ("clock", "n1", "power", NODE, True),
        ("clock", "n1", "pause", NODE, False),
        ("cut", ("n1", "n2"), "clog", LINK, False),
    ],
)
def test_what_hides_what(kind, target, other, what, hides):
    found = after(other, what).hidden(fault("mine", kind, {}), [target], 20)
    assert found == (("other",) if hides else ())


@pytest.mark.parametrize(
    ("effect", "other", "hides"),
    [
        ("slow", "full", True),
        ("full", "slow", False),
        ("stall", "slow", False),
        ("fsync-error", "stall", True),
        ("bit-rot", "misdirected-write", True),
        ("bit-rot", "full", False),
        ("slow", "bit-rot", False),
    ],
)
def test_a_disk_shows_what_is_gravest(effect, other, hides):
    found = after("disk", {**NODE, "effect": other}).hidden(
        fault("mine", "disk", {**NODE, "effect": effect}), ["n1"], 20
    )
    assert found == (("other",) if hides else ())
    ending = after("disk", {**NODE, "effect": other}).hidden(
        fault("mine", "disk", {**NODE, "effect": effect}), ["n1"], 20, ending=True
    )
    assert ending == ("other",), "what a device still shows may be the other's"


@pytest.mark.parametrize(
    ("other", "what", "hides"),
    [
        ("clog", {"edges": [["n2", "n1"]]}, True),
        ("clog", {"edges": [["n1", "n2"]]}, False),
        ("link", {"edges": [["n2", "n1"]]}, False),
        ("pause", NODE, True),
        ("disk", {**NODE, "effect": "stall"}, True),
        ("disk", {**NODE, "effect": "bit-rot"}, False),
        ("clock", {"offsets_ns": {"n1": 5}}, False),
    ],
)
def test_who_hears_nothing_has_nothing_to_lose(other, what, hides):
    mine = fault("mine", "disk", {**NODE, "effect": "lost-writes"})
    assert after(other, what).hidden(mine, ["n1"], 20) == (("other",) if hides else ())
    slow = fault("slow", "disk", {**NODE, "effect": "slow"})
    assert after("clog", {"edges": [["n2", "n1"]]}).hidden(slow, ["n1"], 20) == ()


def test_what_was_looked_at_in_vain_hides_nothing_and_what_was_not_yet_may():
    mine = fault("mine", "pause", NODE)
    assert after("kill", NODE, UNSEEN).hidden(mine, ["n1"], 20) == ()
    undecided = after("kill", NODE, None)
    assert undecided.hidden(mine, ["n1"], 20) == ("other",)
    undecided.began(fault("sure", "power", NODE), 12)
    undecided.saw(fault("sure", "power", NODE), SEEN)
    assert undecided.hidden(mine, ["n1"], 20) == ("sure",)


def test_only_what_was_on_since_then():
    mine = fault("mine", "pause", NODE)
    assert after("kill", NODE, ended_ns=19).hidden(mine, ["n1"], 20) == ()
    assert after("kill", NODE, ended_ns=20).hidden(mine, ["n1"], 20) == ("other",)
    covering = after("kill", NODE)
    covering.ended_all(15)
    assert covering.hidden(mine, ["n1"], 20) == ()


def test_every_target_needs_one():
    covering = after("kill", NODE)
    mine = fault("mine", "pause", {"nodes": ["n1", "n2"]})
    assert covering.hidden(mine, ["n1", "n2"], 20) == ()
    covering.began(fault("full", "disk", {"nodes": ["n2"], "effect": "full"}), 12)
    assert covering.hidden(mine, ["n1", "n2"], 20) == ("other", "full")
    assert covering.hidden(mine, [], 20) == ()


def test_a_host_that_is_frozen_whole_hides_its_links_and_a_process_that_is_stopped_does_not():
    mine = fault("mine", "link", LINK)
    assert after("pause", {**NODE, "whole": "host"}).hidden(mine, [("n1", "n2")], 20) == ("other",)
    assert after("pause", NODE).hidden(mine, [("n1", "n2")], 20) == ()


def test_no_fault_hides_behind_itself():
    covering = after("link", LINK)
    assert covering.hidden(fault("other", "link", LINK), [("n1", "n2")], 20) == ()


@pytest.mark.parametrize(("kind", "target"), [("cut", ("n1", "n2")), ("kill", "n1")])
def test_what_hides_an_end_hides_no_beginning(kind, target):
    covering = after("power", NODE)
    mine = fault("mine", kind, {})
    assert covering.hidden(mine, [target], 20) == ()
    assert covering.hidden(mine, [target], 20, ending=True) == ("other",)


@pytest.mark.parametrize(
    ("kind", "what", "observed", "left"),
    [
        ("pause", {"nodes": ["n1", "n2"]}, {"nodes": ["n2"]}, ["n1"]),
        ("pause", NODE, {}, ["n1"]),
        ("link", {"edges": [["n1", "n2"], ["n2", "n1"]]}, {"edges": [["n2", "n1"]]}, [("n1", "n2")]),
        ("clock", {"offsets_ns": {"n1": 5, "n2": 5}}, {"affected": {"n1": True, "n2": False}}, ["n2"]),
        ("clock", {"offsets_ns": {"n1": 5}}, {"affected": {"n1": True}}, []),
        ("clock", {"offsets_ns": {"n1": 5}}, {}, []),
    ],
)
def test_which_targets_showed_nothing(kind, what, observed, left):
    assert unseen(fault("mine", kind, what), Observation(False, observed)) == left
