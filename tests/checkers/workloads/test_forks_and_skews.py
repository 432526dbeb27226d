"""Long forks, causal reversals and write skews: stories, and each definition tried on random histories."""

from __future__ import annotations

from itertools import combinations, permutations
from random import Random

import pytest

from tribulation.checkers import Verdict, checker

from .stories import Story, kinds, only, unknown, valid


def w(key, value=1):
    return [["w", key, value]]


def seen(**values):
    return [["r", key, value] for key, value in values.items()]


def read(story, process, **values):
    return story.ok(process, "txn", seen(**dict.fromkeys(values)), seen(**values))


def test_a_long_fork():
    story = Story().ok(0, "txn", w("x")).ok(1, "txn", w("y"))
    story = read(read(story, 2, x=1, y=None), 3, x=None, y=1)
    anomaly = only(story.judge("long-fork"), "long-fork", (0, 2, 4, 6))
    assert anomaly.details == {"keys": ["y", "x"], "apart_ms": 1.0}
    assert "has the write of x and not that of y" in anomaly.explanation and anomaly.explanation.endswith("1 ms later.")
    assert story.judge("long-fork").stats == {
        "writes": 2,
        "reads": 2,
        "keys_written_once": 2,
        "forks": 1,
        "anomalies": {"long-fork": 1},
    }


def test_a_fork_across_reads_of_different_keys_and_of_unknown_writes():
    story = Story().info(0, "txn", w("x")).ok(1, "txn", w("y"))
    story = read(read(story, 2, x=1, y=None, z=None), 3, x=None, y=1)
    only(story.judge("long-fork"), "long-fork", (0, 2, 4, 6))


def test_near_misses_of_a_fork():
    story = Story().ok(0, "txn", w("x")).ok(1, "txn", w("y"))
    for values in ({"x": 1, "y": None}, {"x": 1, "y": 1}, {"x": None, "y": None}, {"x": 1, "y": None}):
        read(story, 2, **values)
    assert valid(story.judge("long-fork"))["forks"] == 0
    read(story, 2, x=None, z=1)  # z was never written
    assert kinds(story.judge("long-fork")) == ["thin-air"]


def test_large_reads_are_compared_with_reads_of_the_same_keys():
    keys = [f"k{number}" for number in range(20)]
    story = Story().ok(0, "txn", w("k0")).ok(1, "txn", w("k1"))
    read(story, 2, **{key: 1 if key == "k0" else None for key in keys})
    for reader in (2, 3):
        read(story, reader, **{key: 1 if key in ("k0", "k1") else None for key in keys})
    valid(story.judge("long-fork"))
    read(story, 2, **{key: 1 if key == "k1" else None for key in keys})
    anomaly = only(story.judge("long-fork"), "long-fork", (0, 2, 4, 10))
    assert sorted(anomaly.details["keys"]) == ["k0", "k1"]


def test_what_nobody_wrote_or_was_refused():
    story = Story().ok(0, "txn", w("x")).fail(1, "txn", w("y"))
    only(read(story, 2, x=1, y=1).judge("long-fork"), "aborted-read", (2, 4))


def test_a_history_for_long_forks_writes_every_key_once_and_reads_several():
    twice = read(Story().ok(0, "txn", w("x")).ok(0, "txn", w("x", 2)), 1, x=1, y=None)
    unknown(twice.judge("long-fork"), "does not apply")
    unknown(read(Story().ok(0, "txn", w("x")), 1, x=1).judge("long-fork"), "does not apply")
    unknown(read(Story().fail(0, "txn", w("x")), 1, x=None, y=None).judge("long-fork"), "does not apply")
    unknown(
        Story()
        .ok(0, "txn", w("x"))
        .ok(0, "txn", [["r", "x", None], ["w", "y", 1]], [["r", "x", 1], ["w", "y", 1]])
        .judge("long-fork"),
        "does not apply",
    )
    appends = read(Story().ok(0, "txn", [["append", "x", 1]]), 1, x=None, y=None)
    unknown(appends.judge("long-fork"), "does not apply")


def test_forks_are_pairs_of_reads_that_no_order_of_the_writes_explains():
    random = Random(11)
    forks = 0
    for number in range(400):
        keys = "wxyz"[: random.randrange(2, 5)]
        story = Story()
        for key in keys:
            story.ok(0, "txn", w(key))
        reads = [
            {key: random.choice([1, None]) for key in random.sample(keys, random.randrange(2, len(keys) + 1))}
            for _ in range(random.randrange(1, 4))
        ]
        for values in reads:
            read(story, 1, **values)

        def explained(order, reads=reads):
            """Every read shows, of its keys, a beginning of the order."""
            return all(
                not any(
                    values[one] is None and values[other] == 1
                    for one, other in combinations([k for k in order if k in values], 2)
                )
                for values in reads
            )

        possible = any(explained(order) for order in permutations(keys))
        pairs = any(
            a[x] == 1 and b[x] is None and a[y] is None and b[y] == 1
            for a, b in permutations(reads, 2)
            for x, y in permutations(a.keys() & b.keys(), 2)
        )
        result = story.judge("long-fork")
        assert (result.verdict is Verdict.INVALID) == pairs, (number, reads)
        assert not (pairs and possible)
        forks += pairs
    assert forks > 40


def test_a_causal_reversal():
    story = Story().ok(0, "write", 1, key="k").ok(0, "write", 2, key="k").ok(1, "read", None, [2], key="k")
    anomaly = only(story.judge("causal-reverse"), "causal-reverse", (0, 2, 4))
    assert anomaly.explanation == (
        "On key k, read of [2] by process 1 (index 4 to 5, 0.004 s to 0.005 s) shows 2 and not 1, although write of 1 by process 0 (index 0 to 1, 0.000 s to 0.001 s) "
        "had returned 1 ms before write of 2 by process 0 (index 2 to 3, 0.002 s to 0.003 s) began."
    )
    assert anomaly.details == {"key": "k", "gap_ms": 1.0, "missing": 1, "shown": 2}


def test_near_misses_of_a_reversal():
    valid(Story().begin(0, "write", 1).ok(2, "write", 2).end(0).ok(1, "read", None, [2]).judge("causal-reverse"))
    valid(Story().info(0, "write", 1).ok(2, "write", 2).ok(1, "read", None, [2]).judge("causal-reverse"))
    valid(Story().fail(0, "write", 1).ok(2, "write", 2).ok(1, "read", None, [2]).judge("causal-reverse"))
    stats = valid(
        Story()
        .ok(0, "write", 1)
        .ok(0, "write", 2)
        .ok(1, "read", None, [1])
        .ok(1, "read", None, [])
        .judge("causal-reverse")
    )
    assert stats == {"writes": 2, "acknowledged": 2, "reads": 2, "unreadable": 0}
    one = Story().ok(0, "write", 1).ok(1, "read", None, [1]).ok(1, "read", None, 1).judge("causal-reverse")
    assert (one.verdict.value, one.reason, one.stats["unreadable"]) == ("unknown", "1 reads returned no list", 1)
    only(
        Story().ok(0, "write", 1).info(2, "write", 2).ok(1, "read", None, [2]).judge("causal-reverse"),
        "causal-reverse",
        (0, 2, 4),
    )


def test_values_from_nowhere_in_lists():
    only(
        Story().ok(0, "write", 1).fail(0, "write", 2).ok(1, "read", None, [1, 2]).judge("causal-reverse"),
        "aborted-read",
        (2, 4),
    )
    only(Story().ok(0, "write", 1).ok(1, "read", None, [1, 2]).judge("causal-reverse"), "thin-air", (2,))


def test_reversals_need_scalars_written_and_lists_read():
    unknown(Story().ok(0, "write", 1).ok(1, "read", None, 1).judge("causal-reverse"), "does not apply")
    unknown(Story().ok(0, "write", [1]).ok(1, "read", None, [1]).judge("causal-reverse"), "does not apply")
    unknown(Story().ok(0, "add", 1).ok(1, "read", None, [1]).judge("causal-reverse"), "does not apply")
    unknown(
        Story().info(0, "write", 1).ok(1, "read", None, []).judge("causal-reverse"),
        "0 writes were acknowledged and 1 reads",
    )


def test_reversals_are_those_of_the_definition():
    random = Random(12)
    bad = 0
    for _ in range(500):
        story, open_, written = Story(), {}, 0
        while written < 6 or open_:
            process = random.randrange(3)
            if process in open_:
                del open_[process]
                story.end(process)
            elif written < 6:
                written += 1
                open_[process] = written
                story.begin(process, "write", written)
        values = [value for value in range(1, 7) if random.random() < 0.8]
        story.ok(9, "read", None, values)
        spans = {
            event.value: index
            for index, event in enumerate(story.events)
            if event.f == "write" and event.type.value == "invoke"
        }
        ends = {
            event.value: index
            for index, event in enumerate(story.events)
            if event.f == "write" and event.type.value == "ok"
        }
        wrong = any(
            one not in values and other in values and ends[one] < spans[other]
            for one, other in permutations(range(1, 7), 2)
        )
        assert (story.judge("causal-reverse").verdict is Verdict.INVALID) == wrong
        bad += wrong
    assert 50 < bad < 450


def skew(first_reads, second_reads, first_writes="x", second_writes="y", **more):
    """Two transactions under way together, after x=1 and y=1; each reads values and writes a key."""
    story = Story().ok(0, "txn", [["w", "x", 1], ["w", "y", 1]])
    one, other = [*seen(**first_reads), ["w", first_writes, 2]], [*seen(**second_reads), ["w", second_writes, 3]]
    return story.begin(0, "txn", one).begin(1, "txn", other).end(0).end(1).judge("write-skew", **more)


BOTH = {"x": 1, "y": 1}


def test_write_skew():
    anomaly = only(skew(BOTH, BOTH), "write-skew", (2, 3))
    assert anomaly.explanation == (
        "T2 read y as it was before T3 wrote it, and T3 read x as it was before T2 wrote it: neither can have been first. They were under way together for 1 ms."
    )
    assert anomaly.details["keys"] == ["y", "x"] and anomaly.details["overlap_ms"] == 1.0
    assert [found["txn"] for found in anomaly.details["transactions"]] == ["T2", "T3"]


def test_near_misses_of_write_skew():
    result = skew(BOTH, {"x": 2, "y": 1})  # the second saw the first
    assert result.verdict is Verdict.VALID and result.stats["write_skews"] == 0
    result = skew(BOTH, BOTH, "x", "x")  # both wrote x, having read it: a lost update
    assert (result.stats["write_skews"], result.stats["lost_updates"], result.verdict) == (0, 1, Verdict.VALID)
    result = skew(BOTH, BOTH, options={"consistency": "snapshot-isolation"})
    assert (result.verdict, result.stats["allowed_by"], result.stats["write_skews"]) == (
        Verdict.VALID,
        "snapshot-isolation",
        1,
    )
    unknown(skew(BOTH, BOTH, options={"consistency": "pretty-good"}), "no consistency level 'pretty-good'")


def test_write_skew_of_lists():
    """Each appended where the other had looked and seen nothing; a later read shows the order."""
    story = Story()
    one = [["r", "x", []], ["r", "y", []], ["append", "x", 1]]
    other = [["r", "x", []], ["r", "y", []], ["append", "y", 2]]
    story.begin(0, "txn", one).begin(1, "txn", other).end(0).end(1)
    story.ok(2, "txn", [["r", "x", None], ["r", "y", None]], [["r", "x", [1]], ["r", "y", [2]]])
    only(story.judge("write-skew"), "write-skew", (0, 1))


def test_inserts_of_which_only_one_may_be_done():
    story = Story().ok(0, "insert", [5, [1, None]]).ok(1, "insert", [6, [None, 2]]).fail(1, "insert", [5, [None, 2]])
    assert valid(story.judge("write-skew")) == {"inserts": 3, "inserted": 2}
    only(story.ok(1, "insert", [5, [None, 3]]).judge("write-skew"), "write-skew", (0, 6))
    keyed = (
        Story().ok(0, "insert", [1, None], key=5).ok(0, "insert", [1, None], key=6).ok(0, "insert", [None, 1], key=5)
    )
    only(keyed.judge("write-skew"), "write-skew", (0, 4))
    unknown(Story().info(0, "insert", [5, [1, None]]).judge("write-skew"), "none of 1 inserts ended ok")


def test_transactions_are_left_to_others_in_auto():
    from tribulation.checkers import RunRecord
    from tribulation.histories import History

    found = checker("write-skew")
    story = Story().ok(0, "txn", [["w", "x", 1]])
    assert not found.in_auto(RunRecord(history=History(story.events)))
    assert found.in_auto(RunRecord(history=History(Story().ok(0, "insert", [5, [1, None]]).events)))
    unknown(story.judge("write-skew"), "nothing to compare")
    unknown(Story().ok(0, "write", 1).judge("write-skew"), "does not apply")


@pytest.mark.parametrize("seed", range(4))
def test_skews_are_pairs_that_overlooked_each_other(seed):
    """Writes follow a read of the key, so that the order of versions is known: v is replaced by the transaction that read v and wrote."""
    random = Random(seed)
    reported = 0
    for _ in range(60):
        story, transactions, newest = Story(), [], {"x": 0, "y": 0, "z": 0}
        story.ok(0, "txn", [["w", key, 0] for key in newest])
        states = [dict(newest)]
        replaced: set[tuple[str, int]] = set()
        for number in range(1, random.randrange(3, 6)):
            snapshot = random.choice(states[-2:])
            reads = random.sample(sorted(newest), random.randrange(1, 4))
            writes = [key for key in reads if random.random() < 0.5 and (key, snapshot[key]) not in replaced]
            replaced |= {(key, snapshot[key]) for key in writes}
            transactions.append((number, {key: snapshot[key] for key in reads}, writes))
            story.begin(
                number,
                "txn",
                [*seen(**{key: snapshot[key] for key in reads}), *([["w", key, number] for key in writes])],
            )
            newest = {**newest, **dict.fromkeys(writes, number)}
            states.append(dict(newest))
        for number, _, _ in transactions:
            story.end(number)

        def overlooked(one, other):
            """Keys whose version, read by one, other replaced."""
            return {key for key in one[1] if key in other[2] and one[1][key] == other[1][key] and one is not other}

        pairs = [
            (a, b)
            for a, b in combinations(transactions, 2)
            if any(one != two for one in overlooked(a, b) for two in overlooked(b, a))
        ]
        result = story.judge("write-skew")
        assert result.stats["write_skews"] == len(pairs), transactions
        reported += len(pairs)
    assert reported > 2


def test_reads_of_nothing_and_of_no_list():
    valid(Story().ok(1, "read", None, None).ok(0, "write", 1).ok(1, "read", None, [1]).judge("causal-reverse"))
    unknown(
        Story().ok(0, "write", 1).ok(1, "read", None, [1]).ok(1, "read", None, 5).judge("causal-reverse"),
        "1 reads returned no list",
    )
    unknown(Story().ok(0, "write", 1).info(1, "read").judge("causal-reverse"), "does not apply")


def test_forks_are_looked_for_in_each_workload_by_itself():
    from dataclasses import replace

    from tribulation.checkers import Budget, RunRecord
    from tribulation.histories import History

    story = Story().ok(0, "txn", w("x")).ok(1, "txn", w("y"))
    read(read(story, 2, x=1, y=None), 3, x=None, y=1)
    apart = [replace(event, workload="a" if event.process in (0, 1, 2) else "b") for event in story.events]
    result = checker("long-fork").check(RunRecord(history=History(apart)), Budget())
    assert kinds(result) == ["thin-air"] and result.stats["forks"] == 0


def test_few_forks_are_kept_and_all_are_counted():
    story = Story().ok(0, "txn", w("x")).ok(1, "txn", w("y"))
    read(story, 2, x=1, y=None)
    for _ in range(7):
        read(story, 3, x=None, y=1)
    result = story.judge("long-fork")
    assert len(result.anomalies) == 5 and result.stats["anomalies"] == {"long-fork": 7} and result.stats["forks"] == 7


def test_failed_writes_of_a_key_do_not_count_as_a_second_write():
    story = Story().fail(0, "txn", w("x", 7)).ok(0, "txn", w("x")).ok(1, "txn", w("y"))
    read(read(story, 2, x=1, y=None), 3, x=None, y=1)
    only(story.judge("long-fork"), "long-fork", (2, 4, 6, 8))


def test_reads_under_way_together_have_no_time_between_them():
    story = Story().ok(0, "txn", w("x")).ok(1, "txn", w("y"))
    story.begin(2, "txn", seen(x=None, y=None)).begin(3, "txn", seen(x=None, y=None))
    story.end(2, seen(x=1, y=None)).end(3, seen(x=None, y=1))
    anomaly = only(story.judge("long-fork"), "long-fork", (0, 2, 4, 5))
    assert anomaly.details["apart_ms"] == -1.0 and not anomaly.explanation.endswith("later.")


def test_a_budget_that_is_used_up_is_a_doubt():
    from tribulation.checkers import Budget, RunRecord
    from tribulation.histories import History

    story = Story().ok(0, "write", 1)
    for _ in range(600):
        story.ok(1, "read", None, [1])
    unknown(
        checker("causal-reverse").check(RunRecord(history=History(story.events)), Budget(time_s=0)),
        "time budget of 0 s is exhausted",
    )
    forks = Story().ok(0, "txn", w("x"))
    for _ in range(600):
        read(forks, 1, x=1, y=None)
    unknown(
        checker("long-fork").check(RunRecord(history=History(forks.events)), Budget(time_s=0)),
        "time budget of 0 s is exhausted",
    )


def test_a_transaction_that_ended_in_a_refused_cas_is_no_error_of_the_checker():
    """A cas has two operands: in a search the checker failed on it, and a correct run was unknown."""
    refused = [["w", "c", 3], ["cas", "a", -1, -1]]
    story = Story().ok(0, "txn", w("a")).ok(0, "txn", w("b")).fail(1, "txn", refused, refused)
    valid(read(story, 2, a=1, b=1).judge("long-fork"))
