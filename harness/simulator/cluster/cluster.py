"""`SimCluster`: a whole cluster under virtual time, in one thread, from a seed.

    cluster = SimCluster({"n1": config1, "n2": config2, "n3": config3}, seed=7)
    cluster.start_all()
    cluster.request("c1", "n2", {"id": 1, "open": True}, print)
    cluster.cut([("n1", "n2"), ("n2", "n1")])
    cluster.run_until(5 * SECOND)
    cluster.traces["n1"]

Everything a driver needs is here: time (`now_ns`, `schedule`, `run_until`, `run_while`), the state of nodes, edges, clocks and disks, and
clients' requests. It draws no faults itself and judges nothing; its driver decides what happens when.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from tribulation.node.config.node import NodeConfig
from tribulation.node.core.core import Core
from tribulation.node.core.interface.effects import Broadcast, Effect, Reply, Send, SendDatagram, Trace
from tribulation.node.core.interface.events import Event

from ...nemesis.faults.fault import CLIENTS
from ...wan import Regions
from ..disk.decay import DECAYS, repair
from ..disk.disk import Decay
from ..errors import SimulationError
from ..network.clients import Callback, Clients
from ..network.codec import Codec
from ..network.network import Network, Shaping, Tamper
from ..network.tcp import Peers
from ..network.udp import Datagrams
from ..options import SimOptions
from ..purity_guard import fence
from ..step_orders import kernel_of
from .digest import RunDigest
from .doubts import Doubts
from .node import Process, SimNode, Stepper, trace_line
from .salt import salt_draws

TraceWatcher = Callable[[dict[str, Any]], None]
Edge = tuple[str, str]


class SimCluster:
    """A cluster under virtual time. `traces` maps a node to its trace lines, `inputs` (if recorded) to its steps as (incarnation, mono_ns, events)."""

    def __init__(
        self,
        configs: Mapping[str, NodeConfig],
        seed: int,
        options: SimOptions | None = None,
        *,
        make_core: Callable[[Any], Stepper] = Core,
        regions: Regions | None = None,
    ) -> None:
        self.seed = seed
        self.options = options or SimOptions()
        self.kernel = kernel_of(seed, self.options)
        names = tuple(sorted(configs))
        self.network = Network(self.kernel, seed, (*names, CLIENTS), self.options)
        if regions is not None:
            self.network.apply_wan(regions)
        self.codec = Codec(seed, self.options.codec_one_in)
        self.exhausted: set[str] = set()
        """Nodes that get no descriptor for another connection."""
        self.peers = Peers(
            self.kernel,
            self.network,
            names,
            self.options,
            self._deliver,
            self._alive,
            self._paused,
            self.codec.carry,
            self.exhausted,
        )
        self.clients = Clients(self.kernel, self.network, self.options, self._deliver, self._alive, self.exhausted)
        self.datagrams = Datagrams(self.network, configs, self._deliver, regions)
        self.nodes = {
            name: SimNode(self.kernel, name, configs[name], make_core, seed, self.options, self) for name in names
        }
        self.doubts = Doubts(self.nodes, self.options.spare_quorum)
        self.traces: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
        self.latest: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in names}
        """For each node the latest trace line of each event."""
        self.inputs: dict[str, list[tuple[int, int, list[Event]]]] = {name: [] for name in names}
        self.watchers: list[TraceWatcher] = []
        self.deed_watchers: list[Callable[..., None]] = []
        """Called with every change made to the cluster: a verb and its operands."""
        self.event_watchers: list[Callable[[str, Event], None]] = []
        """Called with every node and each event that its core is given."""
        self.effect_watchers: list[Callable[[str, list[Effect]], None]] = []
        """Called with every node and the effects of each step of its core."""
        self.reply_watchers: list[Callable[[str, Reply], None]] = []
        """Called with every node and reply, before the network has it."""
        self.halt_watchers: list[Callable[[str, str], None]] = []
        self.digest = RunDigest(full=self.options.digest_full)
        self.core_events = 0
        salt_draws(self.options, self.schedule, self.network, self.peers, self.clients, self.nodes)

    # Time

    @property
    def now_ns(self) -> int:
        return self.kernel.now_ns

    def schedule(self, at_ns: int, call: Callable[..., object], *arguments: Any) -> None:
        self.kernel.schedule(at_ns, call, *arguments)

    def run_until(self, at_ns: int) -> bool:
        """Run up to and including virtual time `at_ns`. Returns False when a callback called `interrupt` before."""
        with self._fence():
            return self.kernel.run_until(at_ns)

    def interrupt(self) -> None:
        """End a `run_until` that is under way after the callback that calls this."""
        self.kernel.interrupt()

    def run_while(self, predicate: Callable[[], bool], limit_ns: int) -> bool:
        """Run while `predicate()` holds, at most to virtual time `limit_ns`. Returns True when it stopped holding in time."""
        with self._fence():
            return self.kernel.run_while(predicate, limit_ns)

    # Nodes

    def start_all(self) -> None:
        for name in self.nodes:
            self.start(name)

    def start(self, node: str) -> None:
        """Start the process (and the host, if it is off); do nothing when it runs already."""
        target = self._node(node)
        if target.alive:
            return
        self._note("start", node)
        self.network.power(node, True)
        target.start()
        self.peers.started(node)

    def kill(self, node: str) -> None:
        """Kill the process (SIGKILL): the page cache stays, the kernel resets the connections."""
        self._note("kill", node)
        if self._node(node).alive:
            self._node(node).kill()
            self._disconnect(node, silently=False)

    def power_loss(self, node: str) -> None:
        """Cut the host's power: it goes silent and loses what its disk had not made durable."""
        self._note("power-loss", node)
        self._node(node).power_loss(whole=not self.doubts.may_tear(node))
        self.doubts.lost(node)
        self._disconnect(node, silently=True)
        self.network.power(node, False)
        for other in self.nodes:
            self.peers.disturbed(other, node)

    def wipe(self, node: str) -> None:
        """Empty the disk of a node that does not run."""
        if self._node(node).alive:
            raise SimulationError(f"cannot wipe {node}: it is running", "kill it first")
        self._note("wipe", node)
        self._node(node).disk.wipe()

    def replace_disk(self, node: str, files: Mapping[str, bytes]) -> None:
        """Give a node that does not run another disk, which holds only these files."""
        if self._node(node).alive:
            raise SimulationError(f"cannot replace the disk of {node}: it is in use", "kill it first")
        self._note("replace-disk", node, sorted(files))
        self._node(node).disk.replace(files)

    def pause(self, node: str) -> None:
        self._note("pause", node)
        self._node(node).pause()

    def resume(self, node: str) -> None:
        self._note("resume", node)
        self._node(node).resume()

    def starve(self, node: str, share_ppm: int) -> None:
        """Give its process this share of a processor from now on, in later incarnations too; a million is all of it."""
        self._note("starve", node, share_ppm)
        self._node(node).share_ppm = share_ppm

    def exhaust(self, node: str, exhausted: bool) -> None:
        """Give its process no descriptor for any further connection (`exhausted`), or as many as it needs again."""
        self._note("exhaust", node, exhausted)
        (self.exhausted.add if exhausted else self.exhausted.discard)(self._node(node).name)

    def probe_port(self, node: str, then: Callable[[], None]) -> None:
        """Connect from the clients' vertex without a request; `then` is called if the process accepts."""
        self.clients.probe_port(self._node(node).name, then)

    def process(self, node: str) -> Process:
        return self._node(node).process

    @property
    def up(self) -> list[str]:
        return [name for name, node in self.nodes.items() if node.alive]

    # Clocks and disks

    def shift_wall(self, node: str, by_ns: int) -> None:
        """Move a host's wall clock relative to its current reading, forwards or back."""
        self._note("shift-wall", node, by_ns)
        self._node(node).clock.wall_offset_ns += by_ns

    def fail_next_fsync(self, node: str) -> None:
        self._note("fail-fsync", node)
        if (storage := self._node(node).storage) is not None:
            storage.fail_next_fsync()

    def stall_disk(self, node: str, until_ns: int) -> None:
        self._note("stall-disk", node, until_ns)
        if (storage := self._node(node).storage) is not None:
            storage.stall_until(until_ns)

    def drift(self, node: str, by_ppm: int) -> None:
        """Make both clocks of a host run so much faster from now on."""
        self._note("drift", node, by_ppm)
        self._node(node).clock.drift(self.now_ns, by_ppm)

    def drift_wall(self, node: str, name: str, ppm: int) -> None:
        """Make only the wall clock drift from now on; 0 removes the drift of that name, and what it gained."""
        self._note("drift-wall", node, name, ppm)
        drifts = self._node(node).clock.wall_drifts
        if ppm:
            drifts[name] = (self.now_ns, ppm)
        else:
            drifts.pop(name, None)

    def trouble(self, node: str, what: str, by: int) -> None:
        """Add to a field of the disk's `Trouble`; removing the last stall lets the device answer."""
        self._note("trouble", node, what, by)
        self._node(node).disk.trouble.add(what, by)

    def lose_writes(self, node: str, tear: int | None) -> int:
        """Drop what a node that does not run had not synced. Returns how many bytes that was. `tear`: see `Disk.lose`."""
        if self._node(node).alive:
            raise SimulationError(f"cannot lose the writes of {node}: it is running", "kill it first")
        self._note("lose-writes", node, -1 if tear is None else tear)
        lost = self._node(node).disk.lose(tear if self.doubts.may_tear(node) else None)
        self.doubts.lost(node)
        return lost

    def decay(self, node: str, kind: str, bits: int) -> Decay | None:
        """Damage data at rest on the disk of a node that does not run, as drawn. Returns None when there is nothing to damage."""
        if self._node(node).alive:
            raise SimulationError(f"cannot damage the disk of {node}: it is in use", "kill it first")
        self._note("decay", node, kind, bits)
        return DECAYS[kind](self._node(node).disk, bits)

    def repair(self, node: str) -> None:
        """Undo all decay of a disk."""
        self._note("repair", node)
        repair(self._node(node).disk)

    # Edges: pairs of vertices, node names or `CLIENTS`

    def cut(self, edges: Iterable[Edge]) -> None:
        """Drop what arrives over these directed edges. Cuts are counted: each needs its own heal."""
        for source, target in edges:
            self._note("cut", source, target)
            self.network.cut(*self._edge(source, target))
            self.peers.disturbed(source, target)

    def heal(self, edges: Iterable[Edge]) -> None:
        for source, target in edges:
            self._note("heal", source, target)
            self.network.heal(*self._edge(source, target))

    def clog(self, source: str, target: str, until_ns: int | None = None) -> None:
        """Let nothing arrive over this edge before `until_ns`, or `unclog`. Clogs are counted."""
        self._note("clog", source, target, until_ns)
        self.network.clog(*self._edge(source, target), until_ns)

    def unclog(self, source: str, target: str) -> None:
        self._note("unclog", source, target)
        self.network.unclog(*self._edge(source, target))

    def shape(self, edges: Iterable[Edge], name: str, shaping: Shaping | None) -> None:
        """Lose, repeat, reorder or delay what goes over these edges; None removes the shaping of that name."""
        for source, target in edges:
            self._note("shape", source, target, name, str(shaping))
            self.network.shape(*self._edge(source, target), name, shaping)

    def tamper(self, edges: Iterable[Edge], name: str, tamper: Tamper | None) -> None:
        for source, target in edges:
            self._note("tamper", source, target, name, tamper is not None)
            self.network.tamper(*self._edge(source, target), name, tamper)

    def reset_connection(self, node: str, peer: str) -> None:
        self._note("reset", node, peer)
        self.peers.reset(node, peer)

    def reject(self, node: str, rejected: bool) -> None:
        """Have the host of a node reject connections with other nodes, or no longer: they are reset, and new ones refused. Clients still reach it."""
        self._note("reject", node, rejected)
        if not rejected:
            self.peers.rejecting.pop(self._node(node).name, None)
            return
        self.peers.rejecting[self._node(node).name] = None
        for peer in self.nodes:
            if peer != node:
                self.peers.reset(node, peer)

    def calm(self) -> None:
        """End the simulation's own loss, repetition and reordering of messages between nodes."""
        self._note("calm")
        self.peers.calm()

    def heal_network(self) -> None:
        self._note("heal-network")
        self.network.heal_all()

    # Clients

    def request(self, client: str, node: str, body: Mapping[str, Any], callback: Callback) -> None:
        """Send a request from the clients' vertex. `callback` is called at its end, at most once; there may be no answer."""
        self.clients.request(client, self._node(node).name, self.codec.body(body), callback)

    def disconnect(self, client: str, node: str) -> None:
        self.clients.disconnect(client, node)

    # The world of a node (`node.World`)

    def send(self, node: str, effect: Send) -> None:
        self.peers.send(node, effect.peer, effect.message)

    def reply(self, node: str, effect: Reply) -> None:
        for hear in self.reply_watchers:
            hear(node, effect)
        self.clients.reply(node, effect.client, self.codec.body(effect.body))

    def trace(self, node: SimNode, effect: Trace) -> None:
        line = trace_line(node, effect)
        self.traces[node.name].append(line)
        self.latest[node.name][effect.event] = line
        self.digest.line(line)
        for watch in self.watchers:
            watch(line)

    def datagram(self, node: str, effect: SendDatagram) -> None:
        self.datagrams.send(node, effect.host, effect.port, effect.data)

    def broadcast(self, node: str, effect: Broadcast) -> None:
        self.datagrams.broadcast(node, effect.port, effect.data)

    def halted(self, node: SimNode, reason: str) -> None:
        self._note("halted", node.name, reason)
        self._disconnect(node.name, silently=False)
        for hear in self.halt_watchers:
            hear(node.name, reason)

    def stepped(self, node: SimNode, mono_ns: int, events: list[Event], effects: list[Effect]) -> None:
        self.core_events += len(events)
        for hear in self.event_watchers:
            for event in events:
                hear(node.name, event)
        self.digest.step(self.kernel.now_ns, node.name, events, effects)
        for notify in self.effect_watchers:
            notify(node.name, effects)
        if self.options.record_inputs:
            self.inputs[node.name].append((node.incarnation, mono_ns, events))

    def _deliver(self, node: str, event: Event) -> None:
        self.nodes[node].push(event)

    def _alive(self, node: str) -> bool:
        return self.nodes[node].alive

    def _paused(self, node: str) -> bool:
        return self.nodes[node].process is Process.PAUSED

    def _disconnect(self, node: str, *, silently: bool) -> None:
        self.peers.died(node, silently=silently)
        self.clients.died(node, silently=silently)

    def _note(self, *what: Any) -> None:
        """Add a change made to the cluster to its digest."""
        self.digest.line({"now_ns": self.kernel.now_ns, "done": what})
        for hear in self.deed_watchers:
            hear(*what)

    def _node(self, node: str) -> SimNode:
        if node not in self.nodes:
            raise SimulationError(f"there is no node {node!r}", f"the nodes are {', '.join(self.nodes)}")
        return self.nodes[node]

    def _edge(self, source: str, target: str) -> Edge:
        if (source, target) not in self.network.links:
            raise SimulationError(
                f"there is no edge {source!r} -> {target!r}", f"vertices: {', '.join(self.network.vertices)}"
            )
        return source, target

    def _fence(self) -> AbstractContextManager[None]:
        return fence() if self.options.fence else nullcontext()
