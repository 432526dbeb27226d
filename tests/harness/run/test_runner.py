"""The runner's story, reported step by step without a clock: load, faults, heal, quiet, final reads."""

from __future__ import annotations

import heapq
from dataclasses import replace

from tribulation.harness.nemesis.faults.fault import Intent
from tribulation.harness.run.drive.actions import ActionDone, FaultAction, Verb
from tribulation.harness.run.drive.runner import HEAL_AGAIN_NS, HEAL_TRIES, OpDone, Phase, Runner
from tribulation.harness.run.plan.plan import Plan, Timing, make_slots
from tribulation.harness.run.preflight import never_begun
from tribulation.harness.systems.base import Outcome
from tribulation.harness.workloads import Register, RegisterSpec, Set, SetSpec

SECOND = 1_000_000_000
NODES = ("n1", "n2", "n3")


def make_plan(intents: tuple[Intent, ...] = (), seed: int = 7, **register: object) -> Plan:
    workloads = {
        "register": Register("register", RegisterSpec.model_validate({"clients": 3, "rate": "30/s", **register})),
        "set": Set("set", SetSpec(clients=1)),
    }
    return Plan(
        "story",
        seed,
        NODES,
        dict.fromkeys(NODES, 1),
        Timing(4 * SECOND, SECOND, 2 * SECOND, SECOND),
        workloads,
        make_slots(workloads, NODES),
        intents,
    )


def play(plan: Plan, outcome=lambda op: Outcome("ok", op.value), latency_ns: int = 1_000_000, make=Runner):
    """Drive the runner with a cluster that answers each operation after `latency_ns`; returns (runner, log)."""
    runner, now, queue, log, order = make(plan), 0, [], [], 0
    completions: list = []
    for _ in range(100_000):
        step = runner.step(now, completions)
        if step.phase is Phase.DONE:
            return runner, log
        for invocation in step.invocations:
            log.append((now, invocation.process, invocation.op, runner.phase))
            order += 1
            heapq.heappush(queue, (now + latency_ns, order, OpDone(invocation.slot.slot, outcome(invocation.op))))
        for action in step.actions:
            log.append((now, action.verb, action.intent and action.intent.id, runner.phase))
            order += 1
            heapq.heappush(queue, (now + 5 * latency_ns, order, ActionDone(action)))
        times = [t for t in (step.wake_ns, queue[0][0] if queue else None) if t is not None]
        assert times, "nothing can ever happen again, yet the run is not done"
        now = max(now, min(times))
        completions = []
        while queue and queue[0][0] <= now:
            completions.append(heapq.heappop(queue)[2])
    raise AssertionError("the run did not end")


def test_a_run_loads_heals_waits_and_reads_every_key():
    runner, log = play(make_plan())
    load = [entry for entry in log if entry[3] is Phase.LOAD]
    final = [entry[2] for entry in log if entry[3] is Phase.FINAL]
    assert 80 <= len(load) <= 220
    assert {op.f for op in final} == {"read"}
    touched = {op.key for _, _, op, phase in load if hasattr(op, "key")}
    assert {op.key for op in final} == touched
    marks = runner.marks
    assert marks["load_end"] == 4 * SECOND
    assert marks["quiet_end"] - marks["healed"] == SECOND
    assert marks["end"] < marks["quiet_end"] + 2 * SECOND


def test_a_fault_is_injected_healed_after_its_duration_and_everything_healed_at_the_end():
    cut = Intent("f1", "cut", {"shape": "halves"}, SECOND, SECOND, "f1")
    kept = Intent("f2", "pause", {"target": "one"}, 2 * SECOND, None, "f2")
    runner, log = play(make_plan((kept, cut)))
    actions = [(time, verb, intent) for time, verb, intent, _ in log if isinstance(verb, Verb)]
    assert actions == [
        (SECOND, Verb.INJECT, "f1"),
        (2 * SECOND, Verb.INJECT, "f2"),
        (2 * SECOND + 5_000_000, Verb.HEAL, "f1"),
        (4 * SECOND, Verb.HEAL_ALL, None),
    ]
    assert runner.marks["healed"] == 4 * SECOND + 5_000_000


def test_a_fault_that_could_not_be_injected_is_not_healed():
    cut = Intent("f1", "cut", {}, 0, SECOND, "f1")
    runner = Runner(make_plan((cut,)))
    (action,) = runner.step(0).actions
    runner.step(1, [ActionDone(action, failed=True)])
    assert runner.step(2 * SECOND).actions == []


def test_an_unknown_outcome_retires_the_process_and_an_ok_keeps_it():
    _, log = play(make_plan(), outcome=lambda op: Outcome("info" if op.f == "write" else "ok", op.value))
    processes = [process for _, process, op, phase in log if hasattr(op, "f") and phase is Phase.LOAD]
    assert max(processes) > 3, "a new process takes the slot over"
    by_slot: dict[int, list[int]] = {}
    for process in processes:
        by_slot.setdefault(process % 4, []).append(process)
    assert all(seen == sorted(seen) for seen in by_slot.values())


def test_a_cas_expects_what_was_last_seen_on_its_key():
    plan = make_plan(mix={"write": 50, "cas": 50}, keys=1)
    _, log = play(plan)
    last = None
    for _, _, op, phase in log:
        if getattr(op, "workload", "") != "register" or phase is not Phase.LOAD:
            continue
        if op.f == "cas":
            assert op.value[0] is None or isinstance(op.value[0], int)
            last = op.value[1]
        elif op.f == "write":
            last = op.value
    assert last is not None


def test_operations_depend_on_the_seed_alone_not_on_timing_or_faults():
    def operations(plan, latency):
        _, log = play(plan, latency_ns=latency)
        streams: dict[int, list] = {}
        for _, process, op, phase in log:
            if phase is Phase.LOAD and getattr(op, "f", "cas") != "cas":
                streams.setdefault(process, []).append(op)
        return streams

    cut = Intent("f1", "cut", {}, SECOND, SECOND, "f1")
    slow, fast = operations(make_plan((cut,)), 9_000_000), operations(make_plan(), 1_000_000)
    for process, ops in slow.items():
        common = min(len(ops), len(fast[process]))
        assert common > 10 and ops[:common] == fast[process][:common]
    assert operations(make_plan(seed=8), 1_000_000) != fast


def test_written_values_are_unique():
    _, log = play(make_plan(mix={"write": 1}))
    values = [op.value for _, _, op, phase in log if getattr(op, "f", "") == "write"]
    assert len(values) == len(set(values)) > 50


def test_an_operation_whose_time_passed_starts_late_and_is_not_dropped():
    plan = make_plan()
    _, slow = play(plan, latency_ns=300_000_000)
    _, fast = play(plan, latency_ns=1_000_000)
    first_slow = [op for _, p, op, phase in slow if p == 0 and phase is Phase.LOAD]
    first_fast = [op for _, p, op, phase in fast if p == 0 and phase is Phase.LOAD]
    strip = lambda ops: [replace(op, value=None) for op in ops]  # noqa: E731
    assert strip(first_slow) == strip(first_fast)[: len(first_slow)]
    assert len(first_slow) >= 12


def test_stop_heals_and_makes_no_final_reads():
    runner = Runner(make_plan())
    runner.step(0)
    runner.stop()
    step = runner.step(SECOND)
    assert [action.verb for action in step.actions] == [Verb.HEAL_ALL]
    step = runner.step(SECOND + 1, [ActionDone(FaultAction(Verb.HEAL_ALL, None))])
    assert step.phase in (Phase.FINAL, Phase.DONE)
    assert step.invocations == []


def test_a_fault_whose_turn_did_not_come_since_the_run_was_ended_does_not_blame_the_load():
    runner = Runner(make_plan((Intent("f1", "cut", {}, 2 * SECOND, SECOND, "f1"),)))
    runner.step(0)
    runner.stop()
    runner.step(SECOND)
    assert never_begun(runner) == [{"fault": "f1", "why": "the run ended before it could start", "hint": ""}]


def healed_badly(step_failures: int):
    """A run without faults whose first tries to heal everything fail."""
    runner, now, completions, tries = Runner(make_plan()), 0, [], []
    for _ in range(100_000):
        step = runner.step(now, completions)
        if step.phase is Phase.DONE:
            return runner, tries
        completions = [OpDone(one.slot.slot, Outcome("ok", one.op.value)) for one in step.invocations]
        for action in step.actions:
            tries.append((now, runner.phase))
            failed = len(tries) <= step_failures
            completions.append(ActionDone(action, failed, "n2 is away" if failed else ""))
        assert completions or step.wake_ns is not None
        now = max(now, step.wake_ns) if step.wake_ns is not None and not completions else now + 1_000_000
    raise AssertionError("the run did not end")


def test_a_heal_of_everything_that_failed_is_tried_again_later():
    runner, tries = healed_badly(HEAL_TRIES - 1)
    assert [phase for _, phase in tries] == [Phase.HEAL] * HEAL_TRIES
    assert tries[1][0] - tries[0][0] >= HEAL_AGAIN_NS
    assert runner.marks["healed"] > tries[-1][0] and not runner.unhealed


def test_what_could_not_be_healed_has_no_mark_and_the_run_ends():
    runner, tries = healed_badly(HEAL_TRIES + 5)
    assert len(tries) == HEAL_TRIES
    assert set(runner.marks) == {"load_end", "end"}
    assert "n2 is away" in runner.unhealed


def test_a_dropped_client_gets_a_new_process():
    runner = Runner(make_plan())
    first = runner.step(3 * SECOND).invocations
    done = [OpDone(one.slot.slot, Outcome("fail", error="connection-lost"), dropped=True) for one in first]
    runner.step(3 * SECOND, done)
    again = runner.step(3 * SECOND + 500_000_000).invocations
    assert again and all(one.fresh and one.process >= len(first) for one in again)
