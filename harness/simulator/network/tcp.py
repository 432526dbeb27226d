"""Connections between nodes: ordered, resettable, and half-open while one side has not yet learned of the other's end.

Each pair has one connection, dialled by the node whose name sorts first. Each side holds its own view of it: a killed process
resets its connections, a host without power sends nothing, and a cut is noticed only by a stall. A frame for a connection that its
receiver does not hold is answered with a reset, as TCP does. The transport's pings detect a silent end. They are not simulated one
by one: after an event that a ping would detect, a timer is set for the time of its detection.

Beyond TCP, single messages may be lost, duplicated or late (options, or a link's shaping): reconnects have this effect on a protocol, and Raft must
tolerate it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Protocol

from tribulation.node.core.interface.events import Connected, DialRefused, Disconnected, Event, Received
from tribulation.node.core.interface.messages import Message

from ...keyed_random import ONE_MILLION, exponential, happens, mix
from ..event_loop import Kernel
from ..options import SimOptions
from .codec import framed, unframed
from .network import UNSHAPED, Link, Network, Stream

_LATE = 0x1A7E
REFUSALS_SENT = 5


@dataclass(slots=True)
class View:
    """One node's view of its connection to a peer; `connection` is None while it has none."""

    owner: str
    peer: str
    link: Link
    back: Link
    connection: int | None = None
    stream: Stream | None = None
    dialling: int = 0
    """Names the current dial; an answer to an older one is refused."""
    refusals_due: int = 0
    """Refused dials that must still be reported to the node, after a connection that was up."""
    watched: bool = False
    other: View = field(init=False, repr=False, compare=False)
    """The peer's view of its connection to this node."""


class Observer(Protocol):
    """Observer of each message as it is sent and as it is handed to its receiver; it must change nothing."""

    def sent(self, source: str, target: str, message: Message) -> None: ...

    def arrived(self, source: str, target: str, message: Message) -> None: ...


class Peers:
    """Connections between nodes. `deliver(node, event)` hands an event to a node's process; `alive` and `paused` say in which state that process is.

    An `exhausted` process has no descriptor for another connection: it does not dial or accept, and keeps its connections.
    """

    def __init__(
        self,
        kernel: Kernel,
        network: Network,
        nodes: tuple[str, ...],
        options: SimOptions,
        deliver: Callable[[str, Event], None],
        alive: Callable[[str], bool],
        paused: Callable[[str], bool],
        carry: Callable[[Message], Message],
        exhausted: Collection[str] = (),
    ) -> None:
        self._kernel, self._network, self._options = kernel, network, options
        self._nodes = nodes
        self._deliver, self._alive, self._paused, self._carry = deliver, alive, paused, carry
        self._exhausted = exhausted
        self._views = {
            (a, b): View(a, b, network.links[a, b], network.links[b, a]) for a in nodes for b in nodes if a != b
        }
        for (a, b), view in self._views.items():
            view.other = self._views[b, a]
        self._next_connection = 0
        self.rejecting: dict[str, None] = {}
        """Nodes whose host refuses connections to other nodes."""
        self._disorderly = bool(
            options.loss_ppm or options.duplicate_ppm or options.reorder_ppm or (options.late_ppm and options.late_ns)
        )
        self.observer: Observer | None = None
        self.delivered = 0
        self.lost = self.duplicated = self.reordered = self.late = 0
        self.refused = 0
        """Frames for a connection that their receiver did not hold: it was half-open."""

    def calm(self) -> None:
        """Lose, repeat and reorder messages only where a fault requires it, from now on."""
        self._options = replace(self._options, loss_ppm=0, duplicate_ppm=0, reorder_ppm=0, late_ppm=0)
        self._disorderly = False
        self._kernel.in_order()

    def started(self, node: str) -> None:
        """Dial the peers of a process that is up."""
        for peer in self._nodes:
            if peer != node:
                self._views[node, peer].refusals_due = 0
            if node < peer:
                self._dial(self._views[node, peer])

    def died(self, node: str, *, silently: bool) -> None:
        """Drop its connections; the peers are notified unless the power failed (`silently`)."""
        for peer in self._nodes:
            if peer == node:
                continue
            view = self._views[node, peer]
            connection, stream = view.connection, view.stream
            self._drop(view)
            if stream is None:
                continue
            if silently:
                stream.dead = True
            else:
                self._network.stream(stream, self._reset_arrives, peer, node, connection)

    def disturbed(self, source: str, target: str) -> None:
        """Record that the way from `source` to `target` was cut, or that `target` lost its power: pings of both sides go unanswered."""
        for view in (self._views.get((source, target)), self._views.get((target, source))):
            if view is not None and view.connection is not None:
                self._watch(view)

    def reset(self, node: str, peer: str) -> None:
        """Break the connection, if there is one: both sides are notified, and it is dialled again."""
        view = self._views[node, peer]
        if view.connection is not None:
            self._network.datagram(view.link, self._reset_arrives, peer, node, view.connection)
            self._lose(view)

    def connected(self, node: str, peer: str) -> bool:
        return self._views[node, peer].connection is not None

    def send(self, node: str, peer: str, message: Message) -> None:
        """Send without blocking; a message without a connection is dropped."""
        view = self._views.get((node, peer))
        if view is None or view.stream is None:
            return
        network, link = self._network, view.link
        if link.cuts or view.back.cuts or network.off_since_ns:
            self._watch(view)
        message = self._carry(message)
        if self.observer is not None:
            self.observer.sent(node, peer, message)
        if self._disorderly or link.shaping is not None:
            options = self._options
            bits = mix(network.bits(link))
            chances = link.shaping or UNSHAPED
            if happens(bits, max(options.loss_ppm, chances.gone_ppm)):
                self.lost += 1
                return
            late_ns = bits % max(1, options.reorder_ns)
            if happens(bits // ONE_MILLION, max(options.duplicate_ppm, chances.duplicate_ppm)):
                self.duplicated += 1
                network.datagram(link, self._stray_arrives, view, message, extra_ns=late_ns)
            if happens(mix(bits), max(options.reorder_ppm, chances.reorder_ppm)):
                self.reordered += 1
                network.datagram(link, self._stray_arrives, view, message, extra_ns=late_ns)
                return
            if options.late_ppm and self._comes_late(link, view, message, mix(bits ^ _LATE)):
                return
        if link.tampers:
            sent = framed(message)
            if (data := network.tampered(link, sent)) != sent:
                network.stream(view.stream, self._damaged_arrives, view, view.connection, data)
                return
        network.stream(view.stream, self._frame_arrives, view, view.connection, message)

    def _comes_late(self, link: Link, view: View, message: Message, bits: int) -> bool:
        """Have the message, or a copy of it, arrive a few election timeouts late, if so drawn. Returns True if there is no other copy."""
        if not happens(bits, self._options.late_ppm):
            return False
        self.late += 1
        least_ns = self._options.late_ns // 3
        late_ns = least_ns + mix(bits) % max(1, self._options.late_ns - least_ns)
        self._network.datagram(link, self._stray_arrives, view, message, extra_ns=late_ns)
        return bool(bits >> 40 & 1)

    def _frame_arrives(self, sender: View, connection: int, message: Message | None) -> None:
        # A process that ended holds no connection.
        if message is not None and sender.other.connection == connection:
            self._hand_over(sender, message)
        else:
            self.refused += 1
            self._network.datagram(sender.back, self._reset_arrives, sender.owner, sender.peer, connection)

    def _damaged_arrives(self, sender: View, connection: int, data: bytes) -> None:
        """Decode damaged bytes by the reference node's own decoder, which closes the connection when it refuses them."""
        message = unframed(data)
        if message is not None or sender.other.connection != connection:
            self._frame_arrives(sender, connection, message)
            return
        sender.link.damaged += 1
        self._network.datagram(sender.back, self._reset_arrives, sender.owner, sender.peer, connection)
        self._lose(sender.other)

    def _stray_arrives(self, sender: View, message: Message) -> None:
        """Deliver a message out of its connection's order, perhaps from an earlier connection, if any is up."""
        if sender.other.connection is not None:
            self._hand_over(sender, message)

    def _hand_over(self, sender: View, message: Message) -> None:
        self.delivered += 1
        if self.observer is not None:
            self.observer.arrived(sender.owner, sender.peer, message)
        self._deliver(sender.peer, Received(sender.owner, message))

    def _reset_arrives(self, node: str, peer: str, connection: int) -> None:
        view = self._views[node, peer]
        if view.connection == connection:
            self._lose(view)

    def _lose(self, view: View) -> None:
        """Record that this side learned of the end of its connection."""
        self._drop(view)
        self._deliver(view.owner, Disconnected(view.peer))
        if view.owner < view.peer:
            self._redial(view)
        else:
            # The real node dials, too; here it only learns whether it would be refused.
            self._kernel.schedule(self._kernel.now_ns + self._options.redial_min_ns, self._knock, view, view.dialling)

    def _knock(self, view: View, dialling: int) -> None:
        if view.dialling == dialling and view.connection is None:
            self._network.datagram(view.link, self._knocked, view, dialling)

    def _knocked(self, view: View, dialling: int) -> None:
        if not self._alive(view.peer) or view.peer in self.rejecting:
            self._network.datagram(view.back, self._hears_refusal, view, dialling)

    def _hears_refusal(self, view: View, dialling: int) -> None:
        if view.dialling == dialling and view.connection is None:
            self._refuse(view)

    def _refuse(self, view: View) -> None:
        if view.refusals_due > 0 and self._alive(view.owner):
            view.refusals_due -= 1
            self._deliver(view.owner, DialRefused(view.peer))

    def _drop(self, view: View) -> None:
        if view.connection is not None:
            view.refusals_due = REFUSALS_SENT
            self._ping_later(view.other, view.connection)
        view.connection, view.stream = None, None
        view.dialling += 1

    def _redial(self, view: View) -> None:
        delay_ns = self._options.redial_min_ns + exponential(
            self._network.bits(view.link), self._options.redial_mean_ns
        )
        self._kernel.schedule(self._kernel.now_ns + delay_ns, self._dial_again, view, view.dialling)

    def _dial_again(self, view: View, dialling: int) -> None:
        if view.dialling == dialling and view.connection is None:
            self._dial(view)

    def _dial(self, view: View) -> None:
        view.dialling += 1
        if view.owner in self._exhausted:
            self._redial(view)  # It has no descriptor for it, and tries again.
            return
        self._network.datagram(view.link, self._hello_arrives, view, view.dialling)
        at_ns = self._kernel.now_ns + self._options.connect_timeout_ns
        self._kernel.schedule(at_ns, self._dial_again, view, view.dialling)

    def _hello_arrives(self, dialler: View, dialling: int) -> None:
        node, peer, mine = dialler.peer, dialler.owner, dialler.other
        if not self._alive(node) or node in self.rejecting:
            self._network.datagram(mine.link, self._refused, dialler, dialling)
            return
        if peer in self.rejecting:
            return  # The answer is rejected on its way back: the dial times out.
        if self._paused(node) or node in self._exhausted:
            return  # The kernel completes the handshake, but no process answers the hello: the dial times out.
        self._next_connection += 1
        if mine.connection is not None:
            # A late hello replaces a later connection, which its dialler still holds.
            self._ping_later(dialler, mine.connection)
        if mine.connection is not None and self._network.bits(mine.link) & 1:
            # An accepted connection replaces the old one; whether its end is seen first is a race.
            self._deliver(node, Disconnected(peer))
        mine.connection, mine.stream = self._next_connection, Stream(mine.link, retransmits=False)
        self._deliver(node, Connected(peer))
        self._ping_later(mine, self._next_connection)
        self._network.stream(mine.stream, self._welcome_arrives, dialler, dialling, self._next_connection)

    def _refused(self, dialler: View, dialling: int) -> None:
        if dialler.dialling == dialling and dialler.connection is None:
            dialler.dialling += 1
            self._refuse(dialler)
            self._redial(dialler)

    def _welcome_arrives(self, dialler: View, dialling: int, connection: int) -> None:
        if dialler.dialling != dialling or not self._alive(dialler.owner):
            self._network.datagram(dialler.link, self._reset_arrives, dialler.peer, dialler.owner, connection)
            return
        dialler.connection, dialler.stream = connection, Stream(dialler.link, retransmits=False)
        dialler.dialling += 1
        self._deliver(dialler.owner, Connected(dialler.peer))

    def _ping_later(self, view: View, connection: int) -> None:
        at_ns = self._kernel.now_ns + self._options.stall_timeout_ns
        self._kernel.schedule(at_ns, self._pinged, view, connection)

    def _pinged(self, view: View, connection: int) -> None:
        """Check whether the other side still knows this connection."""
        if view.connection == connection != view.other.connection:
            self._lose(view)

    def _watch(self, view: View) -> None:
        """Watch bytes on their way: if no acknowledgement can come, check again when the stall would be too long."""
        if view.watched:
            return
        since_ns = self._network.blocked_since_ns(view.owner, view.peer)
        if since_ns is not None:
            view.watched = True
            at_ns = self._kernel.now_ns + self._options.stall_timeout_ns
            self._kernel.schedule(at_ns, self._stalled, view, view.connection, since_ns)

    def _stalled(self, view: View, connection: int, watched_ns: int) -> None:
        view.watched = False
        if view.connection != connection:
            return
        if self._network.blocked_since_ns(view.owner, view.peer) != watched_ns:
            self._watch(view)
            return
        if view.stream is not None:
            view.stream.dead = True
        self._lose(view)
