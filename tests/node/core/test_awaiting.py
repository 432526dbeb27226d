"""Which requests have reached what they wait for: found without looking at all that wait."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tribulation.node.core.clients.awaiting import Awaiting
from tribulation.node.core.clients.pending import Pending
from tribulation.node.core.clients.request import ClientRequest, Kind
from tribulation.node.core.interface.signals import Changed

IDS = ("t1", "t2", "t3")


def waiting(token: int, id_: str, index: int) -> tuple[Pending, dict[str, Any]]:
    call = ("tasks.submit", {"task": id_})
    request = ClientRequest(Kind.CALL, token, 1000, call=call, awaits=True)
    return Pending(token, 0, "c1", request, None), {"status": "ok", "index": index}


class Everything:
    """Says which requests are done by looking at each of them each time."""

    def __init__(self) -> None:
        self.records: dict[str, Any] = {}
        self.seen = False
        self.left: dict[int, tuple[str, int]] = {}

    def settled(self, applied: int) -> list[int]:
        done = [
            token
            for token, (id_, index) in self.left.items()
            if self.seen and index <= applied and (id_ not in self.records or self.records[id_]["state"] == "done")
        ]
        for token in done:
            del self.left[token]
        return done


STEPS = st.one_of(
    st.tuples(st.just("begin"), st.sampled_from(IDS), st.integers(0, 3)),
    st.tuples(st.just("apply"), st.sampled_from(IDS), st.sampled_from(("queued", "done", None))),
)


@given(st.lists(STEPS, max_size=60))
def test_it_finds_what_a_look_at_all_of_them_finds(steps: list[tuple[str, str, Any]]) -> None:
    """A command is applied: the records change, `Applied` says what was touched, and `Changed` follows."""
    awaiting, naive, applied = Awaiting("n1"), Everything(), 0
    for token, (step, id_, value) in enumerate(steps, 1):
        found: list[Pending] = []
        if step == "begin":
            pending, body = waiting(token, id_, applied + value)
            assert awaiting.begin(pending, body)
            naive.left[token] = (id_, applied + value)
            found = awaiting.settled(applied)
        else:
            applied += 1
            naive.records.pop(id_, None)
            if value is not None:
                naive.records[id_] = {"state": value}
            found = awaiting.settled(applied, {"tasks": (id_,)})
            for pending in found:
                awaiting.forget(pending)
            naive.seen = True
            found += awaiting.changed(Changed("tasks", (id_,), naive.records), applied)
        for pending in found:
            awaiting.forget(pending)
        assert sorted(pending.token for pending in found) == sorted(naive.settled(applied))


def test_a_commit_costs_what_it_touches_and_not_what_waits(monkeypatch: Any) -> None:
    awaiting, records, looks = Awaiting("n1"), {}, [0]
    original = Awaiting._is_settled

    def counted(self: Awaiting, pending: Pending, applied: int) -> bool:
        looks[0] += 1
        return original(self, pending, applied)

    monkeypatch.setattr(Awaiting, "_is_settled", counted)
    count = 2000
    for token in range(count):
        records[str(token)] = {"state": "queued"}
        pending, body = waiting(token, str(token), token)
        awaiting.begin(pending, body)
        awaiting.settled(token)
        awaiting.changed(Changed("tasks", (str(token),), records), token)
    for token in range(count):
        records[str(token)] = {"state": "done"}
        done = awaiting.settled(count + token, {"tasks": (str(token),)})
        assert [pending.token for pending in done] == [token]
        awaiting.forget(done[0])
        assert awaiting.changed(Changed("tasks", (str(token),), records), count + token) == []
    assert looks[0] <= 4 * count
