"""The small parts of SWIM: how long a suspicion lasts, what is reported how often, and in which order members are probed."""

from __future__ import annotations

from math import ceil, log10
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tribulation.node.config.node import MS
from tribulation.node.core.detector.lifeguard import HEALTH_LIMIT, Health, make_suspicion
from tribulation.node.core.detector.order import Order
from tribulation.node.core.detector.rumours import LIMIT, ROOM, Rumour, Rumours, read_rows
from tribulation.node.core.interface.entry import canonical

S = 1000 * MS


def draw(random: Random) -> Order:
    return Order(lambda purpose, low, high: random.randint(low, high))


def test_a_suspicion_becomes_shorter_as_others_confirm_it() -> None:
    """9 members, periods of 1 s: 5 s at the shortest, six times that at the longest (Dadgar et al., IV.B)."""
    suspicion = make_suspicion(0, "n1", 9, 5, S)
    ends = [suspicion.end_ns]
    for accuser in ("n2", "n3", "n4"):
        assert suspicion.confirm(accuser) and not suspicion.confirm(accuser)
        ends.append(suspicion.end_ns)
    assert ends == [30 * S, 17_500 * MS, 10_200 * MS, 5 * S]
    assert not suspicion.confirm("n5"), "enough is enough"


def test_with_two_members_nobody_can_confirm_and_with_three_one_can() -> None:
    assert make_suspicion(0, "n1", 2, 5, S).end_ns == 2385 * MS
    three = make_suspicion(0, "n1", 3, 5, S)
    assert three.end_ns == 6 * 3010 * MS
    assert three.confirm("n2") and three.end_ns == 3010 * MS


def test_a_suspicion_lasts_a_period_at_the_least() -> None:
    assert make_suspicion(0, "n1", 2, 1, S).end_ns == S


@given(st.lists(st.booleans()))
def test_health_has_bounds(changes: list[bool]) -> None:
    health = Health()
    for better in changes:
        if better:
            health.better()
        else:
            health.worse()
        assert 0 <= health.score <= HEALTH_LIMIT and health.scaled(S) == S * (health.score + 1)


def test_each_rumour_is_reported_a_bounded_number_of_times_and_new_ones_first() -> None:
    rumours = Rumours()
    old, new = Rumour("alive", "n2", 7, "n1"), Rumour("suspect", "n3", 8, "n1")
    rumours.put(old)
    assert rumours.take(9) == [["alive", "n2", 7, "n1"]]
    rumours.put(new)
    assert [row[1] for row in rumours.take(9)] == ["n3", "n2"]
    reported = 0
    while rumours.take(9):
        reported += 1
    assert reported == 3, "each was sent four times in a cluster of nine"


def test_news_of_a_member_replaces_what_was_reported_and_accusations_stand_beside_each_other() -> None:
    rumours = Rumours()
    rumours.put(Rumour("suspect", "n2", 7, "n1"))
    rumours.put(Rumour("suspect", "n2", 7, "n3"))
    assert [row[3] for row in rumours.take(9)] == ["n1", "n3"]
    rumours.put(Rumour("alive", "n2", 8, "n2"))
    assert rumours.take(9) == [["alive", "n2", 8, "n2"]]


def test_what_is_reported_first_is_reported_always() -> None:
    rumours, accusation = Rumours(), Rumour("suspect", "n2", 7, "n1")
    assert all(rumours.take(9, [accusation]) == [["suspect", "n2", 7, "n1"]] for _ in range(20))


NAMES = st.text(min_size=1, max_size=64)
RUMOURS = st.lists(
    st.builds(Rumour, st.sampled_from(["alive", "suspect", "failed"]), NAMES, st.integers(0, 1 << 60), NAMES),
    max_size=40,
)


@given(RUMOURS, st.integers(1, 64))
def test_rumours_fit_are_read_back_and_end(listed: list[Rumour], members: int) -> None:
    rumours = Rumours()
    for rumour in listed:
        rumours.put(rumour)
    for _ in range(4 * ceil(log10(members + 1)) * (len(listed) + 1)):
        rows = rumours.take(members)
        assert len(canonical(rows)) <= ROOM + 2
        assert all(rumour in listed for rumour in read_rows(rows))
    assert rumours.take(members) == []


def test_rumours_are_bounded() -> None:
    rumours = Rumours()
    for i in range(2 * LIMIT):
        rumours.put(Rumour("alive", f"n{i}", 1, "n1"))
    assert len(rumours.dump()) == LIMIT


@given(st.integers(0, 1 << 32), st.integers(1, 32))
def test_each_member_is_probed_once_a_round(seed: int, count: int) -> None:
    order = draw(Random(seed))
    names = [f"n{i}" for i in range(count)]
    for name in names:
        order.add(name)
    for _ in range(3):
        assert sorted(str(order.next()) for _ in names) == sorted(names)


@given(st.integers(0, 1 << 32), st.lists(st.tuples(st.sampled_from("and"), st.sampled_from("abcdef")), max_size=60))
def test_an_order_holds_whom_it_was_given_whatever_came_between(seed: int, steps: list[tuple[str, str]]) -> None:
    order, held = draw(Random(seed)), []
    for verb, name in steps:
        if verb == "a" and name not in held:
            order.add(name)
            held.append(name)
        elif verb == "d" and name in held:
            order.drop(name)
            held.remove(name)
        elif verb == "n":
            assert order.next() in (held or [None])
        assert sorted(order.names) == sorted(held)
