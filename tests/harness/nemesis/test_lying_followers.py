"""Followers that print nonsense, and a service that raises when it is asked: what waits for an event goes on hearing of it."""

from __future__ import annotations

import queue
import threading

import pytest

from tribulation.harness.errors import HostError
from tribulation.harness.nemesis.cluster.following import Following
from tribulation.harness.trouble import Trouble

from .stand_ins import NoService, StandIns

ALIVE = '{"event": "", "age_ns": 0}'
ELECTED = '{"event": "leader-elected", "age_ns": 5}'


class Printed:
    """A channel that prints these lines, and then nothing until it is closed."""

    def __init__(self, lines: list[str]) -> None:
        self._lines, self._closed = lines, threading.Event()

    def send_line(self, line: str) -> None:
        pass

    def read_line(self, timeout_s: float) -> str:
        if self._lines:
            return self._lines.pop(0)
        self._closed.wait(timeout_s)
        raise HostError("n1 printed nothing", None)

    def close(self) -> None:
        self._closed.set()


class Traced(NoService):
    def followed(self, host):
        return {"trace": "/nowhere/trace.jsonl", "files": {}}


@pytest.mark.parametrize(
    "garbage", ["motd", "[]", "7", "{}", '{"event": 3}', '{"event": "leader-elected"}', '{"event": "x", "age_ns": "1"}']
)
def test_a_follower_that_prints_nonsense_is_started_again(garbage):
    cluster, heard, trouble = StandIns(1), queue.SimpleQueue(), Trouble()
    (host,) = cluster.hosts
    printed = [[ALIVE, garbage], [garbage], [ALIVE, ELECTED]]
    host.start = lambda command, **_: Printed(printed.pop(0))
    with Following([host], Traced(), None, ["leader-elected"], heard.put, lambda: 100, trouble):
        event = heard.get(timeout=10)
    assert (event.event, event.node, event.at_ns) == ("leader-elected", "n1", 95)
    assert printed == [] and trouble.bugs == [] and trouble.errors == []


class Raising(NoService):
    asked = 0

    def leader(self, hosts, dial):
        self.asked += 1
        if self.asked == 1:
            raise KeyError("leader")
        return "n2"


def test_a_service_that_raises_when_it_is_asked_who_leads_is_asked_again_and_reported():
    heard, trouble = queue.SimpleQueue(), Trouble()
    with Following(StandIns(2).hosts, Raising(), None, ["leader-elected"], heard.put, lambda: 7, trouble):
        assert heard.get(timeout=10).node == "n2"
    (error,) = trouble.errors
    assert "following the leader" in error and "(leader)" in error and __file__ in error
