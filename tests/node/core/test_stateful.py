"""Hypothesis plays the world: it decides which message arrives, is lost or comes twice, when time passes, which nodes crash, what clients ask.

After every rule the promises of Raft must hold (figure 3 of the Raft paper): election safety, log matching and state-machine safety are watched by
the `Cluster` from traces, leader completeness here, from the logs. In the end everything is delivered, and clients' answers must make sense.
A failure is shrunk by Hypothesis to the shortest sequence of rules.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tribulation.node.config.node import MS
from tribulation.node.core.interface.events import Received
from tribulation.node.core.interface.messages import from_wire, to_wire

from .cluster import Cluster
from .linear import explain

CLIENTS = 3
MOST_MAIL = 60
MOST_OPEN = 5
"""Operations without an answer at one time: any order of them is possible, and all are tried."""
PLACES = st.integers(0, MOST_MAIL)
NODES = st.sampled_from(("n1", "n2", "n3"))


class HandCluster(Cluster):
    """A cluster whose messages lie in `mail` until a rule delivers them: (sender, receiver, message), oldest first."""

    def __init__(self, **config: Any) -> None:
        super().__init__(seed=1, nodes=3, fsync=(MS // 10, MS), **config)
        self.mail: list[tuple[str, str, Any]] = []

    def transmit(self, sender: str, receiver: str, message: Any) -> None:
        self.mail.append((sender, receiver, from_wire(to_wire(message))))
        # The oldest are lost: what was not delivered for so long would never be looked at.
        del self.mail[:-MOST_MAIL]

    def deliver(self, letter: tuple[str, str, Any]) -> None:
        sender, receiver, message = letter
        self.nodes[receiver].post(Received(sender, message, self.nodes[receiver].wall_ns()))

    def on_reply(self, node: str, client: str, body: dict[str, Any]) -> None:
        answer = self.replies.pop(f"{client}/{body['id']}", None)
        if answer is not None:
            answer(body)


class World(RuleBasedStateMachine):
    """One key, operations of a few clients; every value is written once."""

    flaws: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self.cluster = HandCluster(flaws=list(self.flaws), snapshot_threshold=10)
        self.events: list[tuple[str, int, tuple[Any, ...], Any]] = []
        self.operations = 0
        self.sessions: list[int] = []
        self.seqs = [0] * CLIENTS

    @initialize()
    def begin(self) -> None:
        """A leader and sessions are there at once, or most rules would pass before there is anything to break."""
        self.cluster.start()
        self.go_on(lambda: self.cluster.leader() is not None)
        for client in range(CLIENTS):
            body = {"id": client, "open": True, "deadline_ms": 2000}
            self.cluster.request("n1", f"opener{client}", body, lambda reply: self.sessions.append(reply["session"]))
        self.go_on(lambda: len(self.sessions) == CLIENTS)

    @rule(place=PLACES)
    def deliver(self, place: int) -> None:
        self.settle(self.take(place))

    @rule(place=PLACES)
    def deliver_and_keep(self, place: int) -> None:
        """It will come twice."""
        mail = self.cluster.mail
        if mail:
            self.settle([mail[place % len(mail)]])

    @rule(place=PLACES)
    def lose(self, place: int) -> None:
        self.take(place)

    @rule(node=NODES)
    def lose_all_of(self, node: str) -> None:
        """A node that is not heard, and hears none, for this moment."""
        self.cluster.mail = [letter for letter in self.cluster.mail if node not in letter[:2]]

    @rule()
    def deliver_round(self) -> None:
        """Everything that is under way, in order."""
        mail, self.cluster.mail = self.cluster.mail, []
        self.settle(mail)

    @rule(ms=st.sampled_from((1, 20, 100, 400)))
    def pass_time(self, ms: int) -> None:
        self.cluster.run(ms * MS)

    @rule(node=NODES, power=st.booleans(), torn=st.booleans())
    def crash(self, node: str, power: bool, torn: bool) -> None:
        self.cluster.nodes[node].stop(power, torn)

    @precondition(lambda self: any(node.core is None for node in self.cluster.nodes.values()))
    @rule()
    def restart(self) -> None:
        for node in self.cluster.nodes.values():
            if node.core is None and node.halted is None:
                node.start()
                break
        self.cluster.run(2 * MS)

    @precondition(lambda self: self.open_operations() < MOST_OPEN)
    @rule(node=NODES, client=st.integers(0, CLIENTS - 1))
    def write(self, node: str, client: int) -> None:
        value = self.operations + 1
        self.seqs[client] += 1
        body = {"session": self.sessions[client], "seq": self.seqs[client], "ops": [["w", "k", value]]}
        self.ask(node, ("w", value), body)

    @precondition(lambda self: self.open_operations() < MOST_OPEN)
    @rule(node=NODES)
    def read(self, node: str) -> None:
        self.ask(node, ("r",), {"level": "linearizable", "ops": [["r", "k"]]})

    @invariant()
    def no_promise_is_broken(self) -> None:
        assert self.cluster.violations == []

    @invariant()
    def a_leader_has_all_that_was_applied_in_earlier_terms(self) -> None:
        for node in self.cluster.nodes.values():
            if node.core is None or node.core.status()["role"] != "leader":
                continue
            raft = node.core._machines["raft"].state
            for index, (term, _) in self.cluster.state.items():
                if term < raft.term and index > raft.log.base_index:
                    assert raft.log.term(index) == term, f"{node.name} leads term {raft.term} without entry {index}"

    def teardown(self) -> None:
        """Everybody comes back, everything arrives; what clients saw must be explained by one order."""
        for node in self.cluster.nodes.values():
            if node.core is None and node.halted is None:
                node.start()
        self.go_on(lambda: False, rounds=60)
        self.read(self.cluster.leader() or "n1")
        self.go_on(lambda: False, rounds=20)
        self.no_promise_is_broken()
        self.a_leader_has_all_that_was_applied_in_earlier_terms()
        assert explain(self.events) is None

    def open_operations(self) -> int:
        return self.operations - sum(kind != "invoke" for kind, _, _, _ in self.events)

    def go_on(self, until: Callable[[], bool], rounds: int = 200) -> None:
        """As in a world without trouble."""
        for _ in range(rounds):
            if until():
                return
            self.pass_time(20)
            self.deliver_round()

    def take(self, place: int) -> list[tuple[str, str, Any]]:
        mail = self.cluster.mail
        return [mail.pop(place % len(mail))] if mail else []

    def settle(self, letters: list[tuple[str, str, Any]]) -> None:
        """Deliver, and let steps and disks come to rest."""
        for letter in letters:
            self.cluster.deliver(letter)
        self.cluster.run(3 * MS)

    def ask(self, node: str, operation: tuple[Any, ...], body: dict[str, Any]) -> None:
        """It is sent once; its outcome may stay unknown."""
        self.operations += 1
        number = self.operations
        self.events.append(("invoke", number, operation, None))

        def answered(reply: dict[str, Any]) -> None:
            if reply["status"] == "ok":
                self.events.append(("ok", number, operation, reply["results"][0]))
            elif reply["status"] == "fail":
                self.events.append(("fail", number, operation, None))

        self.cluster.request(node, f"c{number}", {"id": number, "deadline_ms": 800, **body}, answered)
        self.cluster.run(2 * MS)


SETTINGS = settings(max_examples=100, stateful_step_count=40, deadline=None, derandomize=True, database=None)


def test_no_order_of_events_breaks_a_promise() -> None:
    run_state_machine_as_test(World, settings=SETTINGS)


def test_it_would_be_noticed() -> None:
    """A leader that answers a write when its own disk has it, whatever the others have."""

    class Flawed(World):
        flaws = ("ack-before-majority",)

    try:
        # Found is enough: it need not be shrunk.
        run_state_machine_as_test(Flawed, settings=settings(SETTINGS, max_examples=200, phases=[Phase.generate]))
    except AssertionError:
        return
    raise AssertionError("a flawed leader went unnoticed")
