"""Tasks that are lost, done twice, done by the dead: stories of operations and trace lines."""

from __future__ import annotations

from random import Random

from .lines import Lines, places
from .stories import MS, Story, kinds, only, unknown, valid

QUIET = {"quiet_end": 50 * MS}


class Work(Lines):
    def __init__(self) -> None:
        super().__init__("store", "w1", "w2")

    def submit(self, task, key=None):
        self.operations.ok(0, "submit", task, key=key)
        self.at_ms = len(self.operations.events) - 1
        return self

    def effect(self, task, claim=None, node="store", **more):
        return self.line(node, "task-effect", task=task, claim=claim, worker="w1", **more)

    def claim(self, task, claim, node="store", worker="w2", **more):
        return self.line(node, "task-claim", task=task, claim=claim, worker=worker, **more)

    def ack(self, task, node, **more):
        return self.line(node, "task-ack", task=task, **more)

    def result(self, **more):
        return self.quiet().judge("tasks", **{"phases": QUIET, **more})


def test_every_task_once():
    stats = valid(Work().submit(1).effect(1, 1).submit(2).claim(2, 1).claim(2, 2).effect(2, 2).ack(2, "store").result())
    assert stats["submitted"] == stats["acknowledged"] == stats["effects"] == 2
    assert stats["most_claims_of_a_task"] == 2 and stats["at_least_once"] and stats["at_most_once"]
    # 1 ms after the submission's end, 0.1 ms less at least; claims take two more for the other one.
    assert stats["delivery_ms"]["0"] == 0.9 and stats["delivery_ms"]["1"] == 2.9


def test_a_lost_task():
    work = Work().submit(1).submit(2).effect(1)
    anomaly = only(work.result(), "lost-task", (2,))
    assert anomaly.explanation == (
        "Task 2 was acknowledged and took no effect in the 47 ms to the end of the quiet period: submit of 2 by process 0 (index 2 to 3, 0.002 s to 0.003 s)."
    )
    assert not work.result().stats["at_least_once"]
    anomaly = only(work.ack(2, "w1").result(), "lost-task", (2,))
    assert anomaly.explanation.endswith("; w1 even reported it done.")


def test_near_misses_of_loss():
    unknown(Work().submit(1).submit(2).effect(1).result(phases={}), "the run had no quiet period")
    booted = Work().submit(1).submit(2).effect(1).line("w1", "quorum").boot("w1").line("w1", "quorum")
    unknown(booted.result(), "1 acknowledged tasks have no effect, and lines of killed nodes may be missing")
    missing = Work().submit(1).submit(2).effect(1)
    unknown(missing.judge("tasks", phases=QUIET), "may be missing")
    unsure = Work().submit(1).effect(1)
    unsure.operations.info(1, "submit", 2)
    unsure.operations.fail(3, "submit", 3)
    assert valid(unsure.result())["submitted"] == 3


def test_a_list_of_effects_is_certain_whatever_the_traces_lack():
    story = Story().ok(0, "submit", 1).ok(0, "submit", 2).ok(1, "effects", None, [{"task": 1, "claim": 4}])
    anomaly = only(story.judge("tasks", phases=QUIET), "lost-task", (2,))
    assert anomaly.details["waited_ms"] == 47.0
    valid(story.ok(1, "effects", None, [1, 2]).judge("tasks", phases=QUIET))
    story = Story().ok(0, "submit", 1).ok(1, "effects", None, [1, 2, 1])
    result = story.judge("tasks", phases=QUIET)
    assert [(found.kind, found.ops) for found in result.anomalies] == [
        ("duplicated-task", (2,)),
        ("phantom-task", (2,)),
    ]
    assert (
        "as number 1 of the list of effects, and again as number 3 of the list of effects"
        in result.anomalies[0].explanation
    )


def test_a_task_done_twice():
    work = Work().submit(1).effect(1, 1).effect(1, 2, node="w2")
    anomaly = only(work.result(), "duplicated-task", ())
    assert anomaly.explanation == "Task 1 took effect 2 times: at store for claim 1, and again at w2 for claim 2."
    assert places(anomaly) == [("store", 0), ("w2", 0)]
    assert not work.result().stats["at_most_once"]


def test_phantoms():
    work = Work().submit(1).effect(1).effect(9)
    assert (
        only(work.result(), "phantom-task", ()).explanation == "Task 9 took effect at store, which no client submitted."
    )
    refused = Work().submit(1).effect(1).effect(9)
    refused.operations.fail(3, "submit", 9)
    only(refused.result(), "phantom-task", (2,))


def test_zombies():
    work = Work().submit(7).claim(7, 1).claim(7, 2).line("store", "quorum").effect(7, 1)
    anomaly = only(work.result(), "zombie", ())
    assert (
        anomaly.explanation == "Task 7 took effect at store for claim 1, 2 ms after claim 2 of it had been made by w2."
    )
    assert places(anomaly) == [("store", 1), ("store", 3)]
    valid(Work().submit(7).claim(7, 1).effect(7, 1).claim(7, 2).result())
    valid(Work().submit(7).claim(7, 1).claim(7, 2).effect(7, 2).result())
    valid(Work().submit(7).claim(7, 1).claim(7, 2).effect(7).result())


def test_a_claim_at_another_node_counts_when_clocks_say_that_it_was_earlier():
    work = Work().submit(7).claim(7, 2, node="w2", at_ms=5).effect(7, 1, at_ms=7)
    assert "for claim 1, at least 1.8 ms after claim 2" in only(work.result(), "zombie", ()).explanation
    valid(Work().submit(7).claim(7, 2, node="w2", at_ms=5).effect(7, 1, at_ms=5.1).result())
    unsure = Work().submit(7).claim(7, 2, node="w2", at_ms=5).effect(7, 1, at_ms=7).quiet()
    valid(unsure.judge("tasks", without="w2", phases=QUIET))


def test_an_effect_for_an_older_claim_after_one_for_a_newer():
    work = Work().submit(7).effect(7, 2).effect(7, 1)
    assert kinds(work.result()) == ["duplicated-task", "zombie"]
    assert kinds(Work().submit(7).effect(7, 1).effect(7, 2).result()) == ["duplicated-task"]
    assert kinds(Work().submit(7).effect(7, 2).effect(7, 2).result()) == ["duplicated-task"]


def test_acknowledged_before_the_effect():
    work = Work().submit(1).ack(1, "store").line("store", "quorum").effect(1)
    anomaly = only(work.result(), "acknowledged-before-effect", ())
    assert (
        anomaly.explanation
        == "Task 1 was reported done at store before it took effect at store: the effect came 2 ms after it."
    )
    valid(Work().submit(1).effect(1).ack(1, "store").result())
    valid(Work().submit(1).ack(1, "w1", at_ms=5).effect(1, at_ms=5.1).result())
    only(Work().submit(1).ack(1, "w1", at_ms=5).effect(1, at_ms=5.3).result(), "acknowledged-before-effect", ())
    twice = Work().submit(1).effect(1, 1).ack(1, "store").effect(1, 2)
    assert kinds(twice.result()) == ["duplicated-task"]


def test_order_by_key():
    work = Work().submit(1, "k").submit(2, "k").effect(2).effect(1)
    anomaly = only(work.result(), "out-of-order", (0, 2))
    assert anomaly.explanation.startswith(
        "On key k, task 2 was submitted 1 ms after task 1 had been and took effect before it at store: submit of 1"
    )
    valid(Work().submit(1, "k").submit(2, "l").effect(2).effect(1).result())
    valid(Work().submit(1).submit(2).effect(2).effect(1).result())
    valid(Work().submit(1, "k").submit(2, "k").effect(2, node="w1").effect(1).result())  # two sources have no order
    together = Work()
    together.operations.begin(0, "submit", 1, "k").begin(1, "submit", 2, "k").end(0).end(1)
    valid(together.effect(2).effect(1).result())


def test_nothing_to_compare():
    unknown(Work().effect(1).result(), "does not apply")
    unknown(Work().submit(1).result(phases={}), "1 tasks were acknowledged and 0 took effect")
    only(Work().submit(1).result(), "lost-task", (0,))


def test_tasks_in_order_are_never_found_wrong_and_a_planted_fault_is():
    random = Random(4)
    for _ in range(150):
        count = random.randrange(3, 9)
        story = Story()
        for task in range(count):
            story.ok(0, "submit", task, key="k")
        effects = list(range(count))
        fault = random.choice([None, "lost-task", "duplicated-task", "out-of-order", "phantom-task"])
        at = random.randrange(count - 1)
        if fault == "lost-task":
            del effects[at]
        elif fault == "duplicated-task":
            effects.append(at)
        elif fault == "out-of-order":
            effects[at], effects[at + 1] = effects[at + 1], effects[at]
        elif fault == "phantom-task":
            effects.insert(at, 99)
        result = story.ok(1, "effects", None, effects).judge("tasks", phases=QUIET)
        assert kinds(result) == ([] if fault is None else [fault])


def test_a_task_done_three_times_is_shown_by_the_first_two():
    anomaly = only(Work().submit(1).effect(1).effect(1).effect(1).result(), "duplicated-task", ())
    assert anomaly.explanation.startswith("Task 1 took effect 3 times") and places(anomaly) == [
        ("store", 0),
        ("store", 1),
    ]


def test_an_effect_before_the_acknowledgement_took_no_time():
    work = Work().submit(1).effect(1, at_ms=0.5)
    stats = valid(work.result())
    assert stats["delivery_ms"]["1"] == 0.0 and stats["most_claims_of_a_task"] == 0


def test_an_effect_at_a_node_without_a_measured_clock_has_no_time():
    work = Work().submit(1).effect(1).quiet()
    assert valid(work.judge("tasks", without="store", phases=QUIET))["delivery_ms"] == {}
