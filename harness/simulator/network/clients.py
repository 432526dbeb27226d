"""Connections of clients to nodes: what happens to a request, and how it ends.

A request ends with one `Answer`: a reply, `refused` (it never reached a process: a definite fail) or `lost` (it was sent, and the
connection died: the outcome is unknown). As in reality, there may be no answer; deadlines are the caller's. All clients are at one vertex of
the network graph. Every (client, node) pair has its own connection, opened when it is first needed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from tribulation.node.core.interface.events import ClientGone, Event, Request

from ...keyed_random import key_of
from ...nemesis.faults.fault import CLIENTS
from ..event_loop import Kernel
from ..options import SimOptions
from .network import Network, Stream


class End(Enum):
    REPLY = "reply"
    REFUSED = "refused"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Answer:
    """End of a request. `body` is the reply; `reason` says why there is none."""

    end: End
    body: Mapping[str, Any] | None = None
    reason: str | None = None


Callback = Callable[[Answer], None]


@dataclass(slots=True)
class Connection:
    """Connection of a client to a node. `name` is what the node calls it. `up` and `down` are its two streams; `asked` are requests without an answer."""

    client: str
    node: str
    name: str
    up: Stream
    down: Stream
    open: bool = False
    closed: bool = False
    queued: list[tuple[Mapping[str, Any], Callback]] = field(default_factory=list)
    asked: dict[Any, Callback] = field(default_factory=dict)


class Clients:
    """Connections of all clients. `deliver(node, event)` hands an event to a node's process; `alive(node)` says whether there is one; `exhausted` are
    those without a descriptor left.
    """

    def __init__(
        self,
        kernel: Kernel,
        network: Network,
        options: SimOptions,
        deliver: Callable[[str, Event], None],
        alive: Callable[[str], bool],
        exhausted: Collection[str] = (),
    ) -> None:
        self._kernel, self._network, self._options = kernel, network, options
        self._deliver, self._alive, self._exhausted = deliver, alive, exhausted
        self._connections: dict[tuple[str, str], Connection] = {}
        self._at_node: dict[tuple[str, str], Connection] = {}
        """The connections of each process, by (node, connection name): the state on the node's side."""
        self._opened: dict[tuple[str, str], int] = {}

    def request(self, client: str, node: str, body: Mapping[str, Any], callback: Callback) -> None:
        """Send `body` (with its `id`) to `node`; `callback` is called at most once, never within this call."""
        connection = self._connections.get((client, node))
        if connection is None or connection.closed:
            connection = self._connect(client, node)
        if connection.open:
            self._ask(connection, body, callback)
        else:
            connection.queued.append((body, callback))

    def disconnect(self, client: str, node: str) -> None:
        """Close the client's connection; requests under way on it are not answered any more."""
        connection = self._connections.pop((client, node), None)
        if connection is None:
            return
        connection.closed = True
        connection.asked.clear()
        connection.queued.clear()
        if connection.open:
            self._network.stream(connection.up, self._gone_at_node, connection)

    def probe_port(self, node: str, then: Callable[[], None]) -> None:
        """Connect once and close at once; `then` is called if the process accepted."""
        up, down = self._network.links[CLIENTS, node], self._network.links[node, CLIENTS]

        def arrive() -> None:
            if self._alive(node) and node not in self._exhausted:
                self._network.probe(down, then)

        self._network.probe(up, arrive)

    def reply(self, node: str, name: str, body: Mapping[str, Any]) -> None:
        """Send a process's answer on a connection; it is dropped when that connection is gone."""
        connection = self._at_node.get((node, name))
        if connection is not None:
            self._network.stream(connection.down, self._reply_arrives, connection, body)

    def died(self, node: str, *, silently: bool) -> None:
        """End the connections of a process. Its kernel resets them, unless the power failed."""
        for key in [key for key in self._at_node if key[0] == node]:
            connection = self._at_node.pop(key)
            if silently:
                connection.down.dead = True
            else:
                self._network.stream(connection.down, self._fail, connection, End.LOST, "connection reset")

    def _connect(self, client: str, node: str) -> Connection:
        self._opened[client, node] = number = self._opened.get((client, node), 0) + 1
        links, name = self._network.links, f"{client}#{number}"
        # Keyed by the client's own count: what other clients do changes no draw of this one.
        up, down = Stream(links[CLIENTS, node], key_of(name)), Stream(links[node, CLIENTS], key_of(name))
        connection = Connection(client, node, name, up, down)
        self._connections[client, node] = connection
        self._network.datagram(up.link, self._knocks, connection, of=up)
        at_ns = self._kernel.now_ns + self._options.connect_timeout_ns
        self._kernel.schedule(at_ns, self._connect_timeout, connection)
        return connection

    def _knocks(self, connection: Connection) -> None:
        if not self._alive(connection.node):
            self._refuse(connection, End.REFUSED, "connection refused")
            return
        if connection.node in self._exhausted:
            return  # The kernel holds it for a process that cannot take it: nothing is ever sent on it.
        # A stopped process's kernel accepts too; its requests wait until it runs again.
        self._at_node[connection.node, connection.name] = connection
        self._network.stream(connection.down, self._accepted, connection)

    def _accepted(self, connection: Connection) -> None:
        if connection.closed:
            self._network.stream(connection.up, self._gone_at_node, connection)
            return
        connection.open = True
        queued, connection.queued = connection.queued, []
        for body, callback in queued:
            self._ask(connection, body, callback)

    def _connect_timeout(self, connection: Connection) -> None:
        if not connection.open and not connection.closed:
            self._fail(connection, End.REFUSED, "connect timed out")

    def _ask(self, connection: Connection, body: Mapping[str, Any], callback: Callback) -> None:
        connection.asked[body["id"]] = callback
        self._network.stream(connection.up, self._request_arrives, connection, body)

    def _request_arrives(self, connection: Connection, body: Mapping[str, Any]) -> None:
        if (connection.node, connection.name) in self._at_node:
            self._deliver(connection.node, Request(connection.name, body))
        else:
            self._refuse(connection, End.LOST, "connection reset")

    def _gone_at_node(self, connection: Connection) -> None:
        if self._at_node.pop((connection.node, connection.name), None) is not None:
            self._deliver(connection.node, ClientGone(connection.name))

    def _reply_arrives(self, connection: Connection, body: Mapping[str, Any]) -> None:
        callback = connection.asked.pop(body.get("id"), None)
        if callback is not None:
            callback(Answer(End.REPLY, body))

    def _refuse(self, connection: Connection, end: End, reason: str) -> None:
        """Answer with a reset, as the node's kernel does."""
        down = connection.down
        self._network.datagram(down.link, self._fail, connection, end, reason, of=down)

    def _fail(self, connection: Connection, end: End, reason: str) -> None:
        """Report to the client's side that the connection is gone: everything on it ends."""
        if connection.closed:
            return
        connection.closed = True
        if self._connections.get((connection.client, connection.node)) is connection:
            del self._connections[connection.client, connection.node]
        asked, connection.asked = connection.asked, {}
        queued, connection.queued = connection.queued, []
        for _, callback in queued:
            callback(Answer(End.REFUSED, reason=reason))
        for callback in asked.values():
            callback(Answer(end, reason=reason))
