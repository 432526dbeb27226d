"""What happens to nodes on hosts is heard at once, also again after the follower was killed, and of a system without traces by asking it."""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from tests.harness.nemesis.lab_tools import await_that, programs
from tests.harness.nemesis.plain_service import Plain
from tribulation.harness.hosts.base import Host
from tribulation.harness.hosts.local import LocalProvider
from tribulation.harness.nemesis.agent_client.agents import on_host
from tribulation.harness.nemesis.cluster.following import Following
from tribulation.harness.nemesis.faults.triggers import Happened
from tribulation.harness.systems.base import Dial


class Traced(Plain):
    def followed(self, host: Host) -> Mapping[str, Any]:
        return {"trace": f"{host.directory}/trace.jsonl", "files": {f"{host.directory}/data/new": "snapshot-begun"}}


class Led(Plain):
    """It is asked to report the leader."""

    now: str | None = None

    def leader(self, hosts: Sequence[Host], dial: Dial) -> str | None:
        return self.now


def no_dial(node: str, timeout_s: float) -> Any:
    raise AssertionError("nothing of this is dialled")


@contextmanager
def following(lab: LocalProvider, service: Plain, *events: str) -> Iterator[queue.SimpleQueue[Happened]]:
    heard: queue.SimpleQueue[Happened] = queue.SimpleQueue()
    with Following(lab.hosts, service, no_dial, events, heard.put, time.monotonic_ns):
        yield heard


def shipped(lab: LocalProvider) -> None:
    """Agents bring the program to the hosts."""
    for host in lab.hosts:
        agent = on_host(host.name, host, 0)
        agent.connect()
        agent.close()


def elected(host: Host) -> None:
    """By the host's own clock, as a node would write it."""
    line = json.dumps({"node": host.name, "event": "leader"})[:-1]
    script = f"import time; print('{line}, \"mono_ns\": %d}}' % time.monotonic_ns())"
    host.run(f"{host.python} -c '{script.replace(chr(39), chr(34) * 3)}' >>{host.directory}/trace.jsonl")


def heard_again(heard: queue.SimpleQueue[Happened], host: Host) -> Happened:
    """What it writes before the new follower looks is no news to that."""
    for _ in range(50):
        elected(host)
        with suppress(queue.Empty):
            return heard.get(timeout=0.5)
    raise AssertionError("a follower that came back hears nothing")


def test_lines_and_files_are_heard_at_once_and_a_killed_follower_comes_back(lab: LocalProvider) -> None:
    shipped(lab)
    n1, n2, _ = lab.hosts
    n2.run(f"mkdir -p {n2.directory}/data")
    with following(lab, Traced(), "leader-elected", "snapshot-begun") as heard:
        began_ns = time.monotonic_ns()
        elected(n1)
        first = heard.get(timeout=10)
        assert (first.event, first.node) == ("leader-elected", "n1")
        assert began_ns <= first.at_ns <= time.monotonic_ns(), "when it was written, not when it was heard"
        n2.run(f"touch {n2.directory}/data/new")
        assert heard.get(timeout=10).event == "snapshot-begun"
        before = set(programs(n1, "follow"))
        n1.run(["kill", "-9", *map(str, before)])
        await_that("the follower is back", lambda: bool(set(programs(n1, "follow")) - before))
        assert heard_again(heard, n1).node == "n1"
    await_that("no follower is left", lambda: not any(programs(host, "follow") for host in lab.hosts))
    n1.run(["rm", "-f", f"{n1.directory}/trace.jsonl"])


def test_a_system_without_traces_is_asked_who_leads(lab: LocalProvider) -> None:
    service = Led()
    with following(lab, service, "leader-elected") as heard:
        service.now = "n2"
        assert heard.get(timeout=10).node == "n2"
        service.now = "n3"
        assert heard.get(timeout=10).node == "n3"
        assert heard.empty(), "who leads still is no news"
