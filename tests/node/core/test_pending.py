"""The table of requests under way: deadlines of those that ended do not pile up."""

from __future__ import annotations

from tribulation.node.core.clients.pending import GONE_KEPT, Pending, Table


def test_deadlines_of_requests_that_ended_are_dropped_a_few_at_a_time() -> None:
    table = Table()
    waiting = Pending(0, 10_000_000, None, None, None)
    table.add(waiting)
    for token in range(1, 20_000):
        request = Pending(token, token, None, None, None)
        table.add(request)
        assert len(table.deadlines) <= GONE_KEPT + 1
        table.remove(request)
    assert list(table.expired(9_999_999)) == [] and list(table.expired(10_000_000)) == [waiting]
