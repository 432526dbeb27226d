"""Agents that answer nonsense, hang or vanish, in the background and during faults: the run goes on, and says what happened and where."""

from __future__ import annotations

import threading
import time

import pytest

from tribulation.harness.errors import FaultError, HostError
from tribulation.harness.hosts.base import CommandResult
from tribulation.harness.hosts.errors import LateLineError
from tribulation.harness.nemesis.agent_client import agents
from tribulation.harness.nemesis.agent_client.heal import heal_each
from tribulation.harness.nemesis.faults.fault import Intent, Resolved
from tribulation.harness.nemesis.faults.ledger import read_ledger
from tribulation.harness.nemesis.inject import background
from tribulation.harness.nemesis.inject.leases import Leases

from .stand_ins import Slow, StandIns, injecting

WAIT_S = 15.0
LEASE_S = 1.0


def await_that(condition, what: str) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline_s, f"not within {WAIT_S} s: {what}"
        time.sleep(0.02)


def cut(a: str = "n1", b: str = "n2") -> Resolved:
    return Resolved(Intent("cut-1", "cut", {}, 0, None, "cut-1"), {"edges": [[a, b], [b, a]]})


GARBAGE = {
    "text": "Last login: Tue Dec  1",
    "a number": "7",
    "a list": "[1, 2]",
    "null": "null",
    "without ok": "{}",
    "ok is no truth": '{"ok": 1}',
    "cut": '{"ok": true, "in_f',
    "deep": "[" * 5000,
    "not UTF-8": UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    "gone": HostError("n2: connection lost", "is it up?"),
    "refused": '{"ok": false, "error": "OSError: no space left"}',
}
SHAPELESS = {
    "renew": '{"ok": true}',
    "heard": '{"ok": true, "heard": {"n1": [1]}, "period_s": 0.1}',
    "time": '{"ok": true, "mono_ns": "7", "wall_ns": 7}',
    "look": '{"ok": true, "readings": [7]}',
}


@pytest.mark.parametrize("lie", GARBAGE.values(), ids=GARBAGE.keys())
def test_the_lease_thread_survives_every_answer_to_a_renewal(tmp_path, lie):
    cluster = StandIns(3)
    with injecting(cluster, tmp_path / "ledger.jsonl", LEASE_S) as (injector, trouble):
        cluster.lies["n2"] = {"renew": lie}
        await_that(lambda: cluster.lied > 1, "a second renewal was answered so")
        await_that(lambda: any("lease of n2 ran out" in error for error in trouble.errors), "the lapse is an error")
        assert injector._background._threads[0].is_alive()
        assert trouble.bugs == [] and not any("lease of n1" in error for error in trouble.errors)


@pytest.mark.parametrize("verb", SHAPELESS)
def test_an_answer_of_the_wrong_shape_ends_no_thread_and_is_no_bug_of_ours(tmp_path, verb):
    cluster = StandIns(3)
    with injecting(cluster, tmp_path / "ledger.jsonl", LEASE_S) as (injector, trouble):
        cluster.lies["n2"] = {verb: SHAPELESS[verb]}
        await_that(lambda: cluster.lied > 1, "it was answered so twice")
        assert injector._background._threads[0].is_alive() and trouble.bugs == []
        cluster.lies.clear()
        await_that(lambda: "reachability" in injector.sample(), "samples go on")


@pytest.mark.parametrize("verb", ["set", "epoch", "heard"])
@pytest.mark.parametrize("lie", ["not JSON", '{"ok": true'], ids=["text", "cut"])
def test_garbage_during_a_fault_is_an_error_that_names_the_host_and_the_answer(tmp_path, verb, lie):
    cluster = StandIns(3)
    with injecting(cluster, tmp_path / "ledger.jsonl") as (injector, _):
        cluster.lies["n2"] = {verb: lie}
        with pytest.raises(FaultError, match="n2 answered") as raised:
            injector.inject(cut())
        assert lie in raised.value.message
        cluster.lies.clear()
        assert injector.heal_all().verified
        assert cluster.dropped["n2"] == set()
    (fault,) = read_ledger(tmp_path / "ledger.jsonl")
    assert not fault.verified


def test_one_line_of_noise_before_the_answer_is_asked_again(tmp_path):
    cluster = StandIns(3)
    with injecting(cluster, tmp_path / "ledger.jsonl") as (injector, _):

        def once(answer):
            cluster.lies.clear()
            return "Warning: apt has updates"

        cluster.lies["n2"] = {"set": once}
        assert injector.inject(cut()).verified and cluster.lied == 1
        assert injector.heal(cut()).verified


def test_a_host_that_hangs_keeps_no_other_from_being_renewed(tmp_path):
    cluster = StandIns(5)
    with injecting(cluster, tmp_path / "ledger.jsonl", LEASE_S) as (_, trouble):
        for name in ("n1", "n2", "n3"):
            cluster.lies[name] = {"renew": 60.0, "heard": 60.0, "time": 60.0, "hello": 20.0}
        await_that(lambda: sum("ran out" in error for error in trouble.errors) == 3, "three leases ran out")
        assert not any(f"lease of {name}" in error for error in trouble.errors for name in ("n4", "n5", "clients"))


def test_a_slow_agent_is_not_replaced_and_the_lease_that_it_renewed_late_counts(tmp_path):
    cluster = StandIns(3)
    with injecting(cluster, tmp_path / "ledger.jsonl", LEASE_S) as (injector, trouble):
        every = injector._cluster.agents
        channels = {name: agent._channel for name, agent in every.items()}
        assert injector.inject(cut()).verified
        # An answer takes longer than is waited for it, and is there when the next one is asked for.
        cluster.lies["n2"] = {"renew": Slow(0.4), "heard": Slow(0.4), "time": Slow(0.4)}
        await_that(lambda: cluster.lied > 12, "several answers were late")
        cluster.lies.clear()
        assert injector.heal(cut()).verified
        assert {name: agent._channel for name, agent in every.items()} == channels
        assert not [error for error in trouble.errors if "ran out" in error]


def test_an_agent_that_owes_an_answer_for_too_long_is_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(agents, "LATE_S", 0.5)
    cluster = StandIns(3)
    with injecting(cluster, tmp_path / "ledger.jsonl", LEASE_S) as (injector, _):
        agent = injector._cluster.agents["n2"]
        before = agent._channel
        cluster.lies["n2"] = {"renew": 60.0}
        await_that(lambda: agent._channel not in (None, before), "another connection")
        assert injector._cluster.agents["n1"]._channel is not None


def test_a_late_answer_is_never_taken_for_that_of_the_next_request():
    cluster = StandIns(1)
    agent = {"n1": agents.on_host("n1", cluster.hosts[0], 1)}
    agent["n1"].connect()
    cluster.lies["n1"] = {"renew": Slow(0.3)}
    renewal, read = {"do": "renew", "lease_s": 1}, {"do": "time"}
    answers, failures = agents.ask(agent, {"n1": renewal}, patient=False, timeout_s=0.1)
    assert answers == {} and isinstance(failures["n1"], LateLineError) and agent["n1"].connected
    answers, failures = agents.ask(agent, {"n1": read}, patient=False, timeout_s=0.1)
    assert answers == {} and isinstance(failures["n1"], LateLineError), "the background goes on waiting for it"
    answers, _ = agents.ask(agent, {"n1": read})
    assert "mono_ns" in answers["n1"]
    assert agent["n1"].answered_late.keys() == {"renew"}


def test_a_fault_whose_lease_ran_out_did_not_last(tmp_path):
    cluster = StandIns(3)
    with injecting(cluster, tmp_path / "ledger.jsonl", LEASE_S) as (injector, trouble):
        assert injector.inject(cut()).verified
        cluster.lies["n2"] = {"renew": "garbage", "hello": HostError("n2 is away", None)}
        await_that(lambda: trouble.errors, "the lapse is an error")
        cluster.lies.clear()
        observed = injector.heal(cut()).observed
        assert observed["lapsed"]
    (fault,) = read_ledger(tmp_path / "ledger.jsonl")
    assert not fault.verified


def test_a_heal_of_everything_that_failed_half_way_ends_what_it_had_begun(tmp_path):
    cluster = StandIns(3)
    with injecting(cluster, tmp_path / "ledger.jsonl") as (injector, _):
        injector.inject(cut())
        cluster.lies["n2"] = {"clear": "garbage"}
        with pytest.raises(FaultError):
            injector.heal_all()
        cluster.lies.clear()
        assert injector.heal_all().verified
    (fault,) = read_ledger(tmp_path / "ledger.jsonl")
    assert fault.healed_ns is not None and fault.undone


def test_an_old_sample_is_never_served_as_a_new_one(tmp_path, monkeypatch):
    monkeypatch.setattr(background, "STALE_S", 0.5)
    cluster = StandIns(3)
    with injecting(cluster, tmp_path / "ledger.jsonl") as (injector, _):
        assert "reachability" in injector.sample()
        monkeypatch.setattr(type(injector._background), "_try_sample", lambda self: None)
        await_that(lambda: "sample-failed" in injector.sample(), "the old sample is refused")
        assert "reachability" not in injector.sample()


def test_a_sample_has_the_time_at_which_it_was_taken_also_when_run_time_began_later(tmp_path):
    cluster = StandIns(3)
    with injecting(cluster, tmp_path / "ledger.jsonl") as (injector, _):
        before_ns = time.monotonic_ns()
        injector._background._clock = lambda: time.monotonic_ns() - before_ns
        injector._background._try_sample = lambda: None
        first = injector.sample()["reachability"]["sampled_ns"]
        assert first < 10_000_000 and abs(injector.sample()["reachability"]["sampled_ns"] - first) < 1_000_000


def test_a_bug_in_the_lease_thread_is_kept_with_its_traceback_and_the_thread_goes_on(tmp_path):
    cluster = StandIns(3)
    with injecting(cluster, tmp_path / "ledger.jsonl", LEASE_S) as (injector, trouble):
        real, injector._cluster.renew = injector._cluster.renew, None
        await_that(lambda: trouble.bugs, "the bug is known")
        assert "Traceback" in trouble.bugs[0] and "renewing leases" in trouble.bugs[0]
        injector._cluster.renew = real
        assert injector._background._threads[0].is_alive()


def test_a_lease_thread_that_ended_is_an_error_of_the_run(tmp_path):
    cluster = StandIns(3)
    with injecting(cluster, tmp_path / "ledger.jsonl") as (injector, trouble):
        gone = threading.Thread(target=lambda: None)
        gone.start()
        gone.join()
        real, injector._background._threads = injector._background._threads, [gone]
        injector.sample()
        injector.sample()
        injector._background._threads = real
        assert len(trouble.errors) == 1 and "a thread that renews leases has ended" in trouble.errors[0]


def test_leases_are_overdue_once_until_they_are_renewed():
    leases = Leases(10.0)
    assert leases.newly_overdue(["n1"], 99.0) == {}, "never renewed: never armed"
    leases.renewed(["n1", "n2"], 0.0)
    leases.renewed(["n2"], 8.0)
    # The answer to an earlier request, which came late.
    leases.renewed(["n2"], 3.0)
    assert leases.newly_overdue(["n1", "n2"], 9.0) == {}
    assert leases.newly_overdue(["n1", "n2"], 12.0) == {"n1": 12.0}
    assert leases.newly_overdue(["n1", "n2"], 13.0) == {}
    leases.renewed(["n1"], 14.0)
    assert leases.overdue(["n1", "n2"], 15.0) == {}
    leases.forget(["n1"])
    assert leases.newly_overdue(["n1"], 99.0) == {}


def test_a_bug_during_an_injection_leaves_nothing_in_force(tmp_path, monkeypatch):
    cluster = StandIns(3)
    with injecting(cluster, tmp_path / "ledger.jsonl") as (injector, _):
        monkeypatch.setattr(injector, "_look", None)
        with pytest.raises(TypeError):
            injector.inject(cut())
        assert cluster.dropped["n2"] == set(), "it was taken back"
    (fault,) = read_ledger(tmp_path / "ledger.jsonl")
    assert not fault.verified


@pytest.mark.parametrize("said", ["", "Last login: today", "[]", '{"undone": 3, "faults": []}', '{"undone": []}'])
def test_a_host_that_answers_nonsense_to_heal_is_named_and_keeps_no_other_from_it(monkeypatch, said):
    cluster = StandIns(2)
    good = '{"undone": ["cut"], "faults": []}'
    for host, text in zip(cluster.hosts, (said, good), strict=True):
        monkeypatch.setattr(host, "run", lambda command, text=text, **_: CommandResult(0, text, "", 0.0), raising=False)
    first, second = heal_each(cluster.hosts)
    assert isinstance(first.error, FaultError) and "n1 answered" in first.error.message
    assert second.value.undone == ["cut"]


class PoweredStandIns(StandIns):
    """Its supervisor hangs when it is asked to renew outages."""

    asked = 0

    def power_off(self, *hosts, lease_s=None):
        pass

    boot = freeze = thaw = power_off

    def renew_outages(self, lease_s):
        self.asked += 1
        self.released.wait(30)
        return ["n1"]


def test_a_provider_that_hangs_keeps_no_agent_from_being_renewed(tmp_path):
    cluster = PoweredStandIns(3)
    with injecting(cluster, tmp_path / "ledger.jsonl", LEASE_S) as (injector, trouble):
        injector._cluster.leased = frozenset({"n1"})
        await_that(lambda: cluster.asked, "the provider was asked")
        time.sleep(2 * LEASE_S)
        assert trouble.errors == [], "no lease ran out"
        injector._cluster.leased = frozenset()
