"""Phase × failure → exit code, verdict and reason: what the testbed must say when one of its own parts lies, hangs or dies.

Each row is one cell. The expectation follows from one rule: a run ends `valid` only with all its evidence. So a row says

    REFUSED   nothing was tested: the environment failed before the load (exit 4, no verdict that counts)
    DOUBT     the load went on, but a part that the verdict rests on failed: exit 4 or 3, verdict unknown
    BUG       a part of ours raised what it must not: exit 70
    HARMLESS  the run can do without it, or it recovered: valid

and a regular expression that the words of the outcome must match: the reason, not only the verdict, is right.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tribulation.harness.errors import HostError
from tribulation.harness.systems.base import Outcome

from .standin import HANG_S, Act, Saboteur

REFUSED, DOUBT, BUG, HARMLESS = "refused", "doubt", "bug", "harmless"
EXITS = {REFUSED: {4}, DOUBT: {3, 4}, BUG: {70}, HARMLESS: {0}}


@dataclass(frozen=True, slots=True)
class Cell:
    """`first` is the passage of the point at which the failure begins, `times` how often it happens; `changed` are fields of the campaign."""

    name: str
    point: str
    act: Act
    outcome: str
    reason: str
    phase: str | None = None
    host: str | None = None
    first: int = 1
    times: int = 1_000_000
    changed: dict[str, Any] = field(default_factory=dict)
    waits: dict[str, float] = field(default_factory=dict)
    """Constants of the product that are shorter here, below `tribulation.harness`, in seconds: only how long it waits differs."""

    def saboteur(self) -> Saboteur:
        return Saboteur(self.point, self.act, self.phase, self.host, self.first, self.times)


# What a part does instead of its work.


def raises(error: Callable[[], BaseException]) -> Act:
    def act(honest: Callable[[], Any]) -> Any:
        raise error()

    return act


def answers(value: Any) -> Act:
    return lambda honest: value


def broken(honest: Callable[[], Any]) -> Any:
    raise HostError("the host vanished")


def hangs(honest: Callable[[], Any]) -> Any:
    time.sleep(HANG_S)
    raise HostError("no line within 60 s")


def acts_then_dies(honest: Callable[[], Any]) -> Any:
    """The work is done, and the answer is lost."""
    honest()
    raise HostError("the connection ended")


garbage = answers("%%% not JSON")
not_an_object = answers("[1, 2]")
empty_object = answers("{}")
nothing_in_it = answers('{"ok": true}')
refuses = answers('{"ok": false, "error": "Operation not permitted"}')
wrong_types = answers(json.dumps({"ok": True, "port": "x", "addresses": 3, "heard": [], "period_s": "often"}))
bug = raises(lambda: KeyError("a bug of ours"))
system_bug = raises(lambda: TypeError("'NoneType' object is not subscriptable"))


def does_nothing(honest: Callable[[], Any]) -> str:
    """Says that it did what it was asked, and did not."""
    return '{"ok": true}'


def hears_everything(honest: Callable[[], Any]) -> Any:
    """Claims that every link is up, whatever is cut."""
    answer = json.loads(honest())
    names = {"n1", "n2", "n3", "clients"}
    answer["heard"] = {name: [10**6, 1, 1, 0] for name in names}
    return json.dumps(answer)


def hears_nothing(honest: Callable[[], Any]) -> Any:
    return json.dumps({**json.loads(honest()), "heard": {}})


ANSWERS: dict[str, Act] = {
    "answers garbage": garbage,
    "answers no object": not_an_object,
    "answers an empty object": empty_object,
    "refuses": refuses,
    "hangs": hangs,
    "dies": broken,
}


def agents_before_the_load() -> Iterator[Cell]:
    """Whatever an agent does at its start, nothing was tested yet."""
    for verb in ("hello", "configure", "clear", "epoch", "heard", "process", "renew"):
        phase = None if verb in ("hello", "configure", "clear") else "agents"
        if verb == "process":
            continue
        for how, act in ANSWERS.items():
            yield Cell(f"agents: {verb} {how}", f"agent.{verb}", act, REFUSED, r"n2", phase, "n2")
    yield Cell("agents: hello has wrong types", "agent.hello", wrong_types, REFUSED, r"n2", None, "n2")
    yield Cell("agents: heard has wrong types", "agent.heard", wrong_types, REFUSED, r"n2", "agents", "n2")
    yield Cell(
        "agents: n2 hears nothing",
        "agent.heard",
        hears_nothing,
        REFUSED,
        r"probes do not arrive",
        "agents",
        "n2",
        waits=SHORT_BASELINE,
    )
    yield Cell("agents: cannot be started", "agent.start", broken, REFUSED, r"vanished", None, "n2")
    yield Cell("agents: program cannot be put", "host.put", broken, REFUSED, r"vanished", "agents", "n2")


def agents_in_the_load() -> Iterator[Cell]:
    """An agent that fails under way leaves faults that were not injected, not verified, or not known to be undone."""
    for verb in ("set", "heard", "process"):
        for how, act in ANSWERS.items():
            yield Cell(f"load: {verb} {how}", f"agent.{verb}", act, DOUBT, r"n2|n3|not verified|cut|kill", "load", "n2")
    yield Cell("load: set does nothing", "agent.set", does_nothing, DOUBT, r"cut|kill", "load")
    yield Cell("load: set is done and its answer lost", "agent.set", acts_then_dies, DOUBT, r"n2|cut", "load", "n2")
    yield Cell("load: n2 hears what is cut", "agent.heard", hears_everything, DOUBT, r"cut", "load", "n2")
    yield Cell("load: n1 hears nothing", "agent.heard", hears_nothing, DOUBT, r"cut|n1", "load", "n1", changed=LONG)
    yield Cell("load: set dies once and comes back", "agent.set", broken, HARMLESS, r"", "load", "n2", times=1)
    yield Cell("load: a question dies once and comes back", "agent.epoch", broken, HARMLESS, r"", "load", "n2", times=1)
    for how, act in ANSWERS.items():
        # A lease is longer than that.
        yield Cell(f"load: renew {how} for 3 s", "agent.renew", act, HARMLESS, r"", "load", "n2", changed=LONG)
    for how in ("answers garbage", "refuses", "dies"):
        name = f"load: renew {how} for longer than a lease"
        yield Cell(name, "agent.renew", ANSWERS[how], DOUBT, r"lease", "load", "n2", changed=LONGER, waits=SHORT_LEASE)


LONG: dict[str, Any] = {"duration": "3s"}
"""Leases are renewed every two seconds."""
LONGER: dict[str, Any] = {"duration": "4s"}
SHORT_LEASE = {"run.driving.LEASE_S": 2.0}
SHORT_RESTART = {"nemesis.kinds.processes.processes.RESTART_S": 3.0, "nemesis.cluster.cluster.PID_S": 1.0}
SHORT_BASELINE = {"nemesis.inject.injector.BASELINE_S": 3.0}


def agents_at_the_end() -> Iterator[Cell]:
    """`clear` is asked of four agents at the start, of four at the final heal, and of four at the end."""
    for how, act in ANSWERS.items():
        yield Cell(f"heal: clear {how}", "agent.clear", act, DOUBT, r"heal|undo|n2", None, "n2", first=2)
    for how, act in ANSWERS.items():
        yield Cell(f"end: clear {how}", "agent.clear", act, DOUBT, r"undo|n2", None, "n2", first=3)
    yield Cell("end: agents' files stay", "host.run", broken, DOUBT, r"vanished|remov", "final", "n2")


def system_methods() -> Iterator[Cell]:
    """A user's service is foreign code, and it talks to hosts."""
    before = {"install": "deploy", "start": "deploy", "wait_ready": "deploy"}
    for method, phase in before.items():
        yield Cell(f"deploy: {method} fails", f"service.{method}", broken, REFUSED, r"vanished", phase, "n2")
        yield Cell(f"deploy: {method} raises", f"service.{method}", system_bug, REFUSED, r"NoneType", phase, "n2")
    for how, act in {"fails": broken, "raises": system_bug}.items():
        yield Cell(f"agents: pid {how}", "service.pid", act, REFUSED, r"vanished|NoneType", "agents", "n3")
        yield Cell(f"load: pid {how}", "service.pid", act, DOUBT, r"vanished|NoneType", "load", "n3")
        yield Cell(f"load: start {how}", "service.start", act, DOUBT, r"vanished|NoneType|kill", None, "n3", first=2)
        yield Cell(f"load: leader {how}", "service.leader", act, DOUBT, r"vanished|NoneType", "load")
        yield Cell(f"end: status {how}", "service.status", act, DOUBT, r"n2", "final", "n2")
        yield Cell(f"end: uninstall {how}", "service.uninstall", act, DOUBT, r"vanished|NoneType", "collect", "n2")
        yield Cell(f"end: collect {how}", "service.collect", act, HARMLESS, r"", "collect", "n2")
    yield Cell(
        "load: start does nothing",
        "service.start",
        answers(None),
        DOUBT,
        r"kill|undone|n3",
        None,
        "n3",
        first=2,
        waits=SHORT_RESTART,
    )
    yield Cell("agents: pid is a word", "service.pid", answers("100"), REFUSED, r"pid\(n3\) answered", "agents", "n3")
    yield Cell("end: status is a word", "service.status", answers("fine"), DOUBT, r"n2|status", "final", "n2")
    yield Cell("end: collect is a word", "service.collect", answers("files"), HARMLESS, r"", "collect", "n2")


def hosts() -> Iterator[Cell]:
    for how, act, outcome in (("fail", broken, REFUSED), ("raise", bug, BUG)):
        yield Cell(f"hosts: up {how}s", "provider.up", act, outcome, r"vanished|bug of ours")
    yield Cell("end: down fails", "provider.down", broken, DOUBT, r"vanished")
    yield Cell("end: down raises", "provider.down", system_bug, DOUBT, r"NoneType")


def clients() -> Iterator[Cell]:
    """A client that fails always says nothing of the system; one that fails now and then says less."""
    always = {
        "raises": raises(lambda: TypeError("client of a user")),
        "raises what no handler expects": raises(lambda: SystemExit(3)),
        "answers nothing": answers(None),
        "answers another type": answers("ok"),
        "answers an unknown outcome": answers(Outcome("maybe")),
        "answers what JSON cannot hold": answers(Outcome("ok", object())),
    }
    for how, act in always.items():
        yield Cell(f"load: every invoke {how}", "client.invoke", act, DOUBT, r"client|ok", "load")
        yield Cell(
            f"load: n1's invoke {how} once", "client.invoke", act, HARMLESS, r"", "load", "n1", first=20, times=1
        )
    for point in ("client.open", "client.make"):
        yield Cell(f"load: {point} always raises", point, system_bug, DOUBT, r"NoneType|client|ok", "load")
        yield Cell(f"load: {point} raises once", point, system_bug, HARMLESS, r"", "load", first=2, times=1)
    yield Cell("load: close raises", "client.close", system_bug, HARMLESS, r"", "load")
    yield Cell("final: every read raises", "client.invoke", system_bug, DOUBT, r"read|final", "final")
    yield Cell(
        "final: every read is refused",
        "client.invoke",
        answers(Outcome("fail", error="down")),
        DOUBT,
        r"read|final",
        "final",
    )
    yield Cell(
        "final: every connection is refused",
        "client.open",
        raises(ConnectionRefusedError),
        DOUBT,
        r"read|final",
        "final",
    )


def cells() -> list[Cell]:
    groups = (agents_before_the_load, agents_in_the_load, agents_at_the_end, system_methods, hosts, clients)
    return [cell for group in groups for cell in group()]
