"""Disks that are slow, stuck, full, failing or lying, and disks whose content has decayed.

A probe on the same device shows the fault. A node may stop itself because of it, and is started again at the heal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from zlib import crc32

from ...keyed_random import draw, key_of
from ...nemesis.faults.damageable import may_be_damaged
from ...nemesis.faults.disk_effects import AT_REST, CRASHES, OLD_FILES, Device, shows
from ...nemesis.faults.fault import Observation, Resolved
from ..cluster.node import Process
from ..cluster.probes import DeviceSeen, probe_device
from ..disk.decay import may_show
from ..disk.disk import Disk
from ..options import MILLISECOND
from .ground import AGAIN_NS, BOOT_NS, Ground, Then

PATIENCE_NS = 500 * MILLISECOND

FIELDS = {
    "slow": "slow_ns",
    "stall": "stalled",
    "full": "full",
    "read-only": "read_only",
    "io-error": "broken",
    "fsync-error": "failing",
    "lying": "lying",
}
"""Effect → the field of the disk's `Trouble`."""

HOLD_NS = 300 * MILLISECOND
"""How long syncs are unanswered before their data is lost; otherwise there would seldom be data to lose."""


class DiskFaults:
    """Faults of disks. The weights of the voters, the disks that were wiped and the decay so far decide which disks may decay."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._active: dict[str, Resolved] = {}
        self._backups: dict[str, dict[str, dict[str, bytes]]] = {}

    def inject(self, fault: Resolved, then: Then) -> None:
        self._active[fault.intent.id] = fault
        effect = fault.what["effect"]
        if effect in FIELDS:
            self._trouble(fault, 1)
            self._probe(fault, then, lambda node: [fault])
        elif effect in CRASHES:
            self._crash(fault, then)
        elif effect == OLD_FILES:
            self._back_up(fault, then)
        else:
            self._decay(fault, then)

    def heal(self, fault: Resolved, then: Then) -> None:
        ground, active = self._ground, self._active.pop(fault.intent.id, None)
        nodes: list[str] = list(fault.what["nodes"])
        if fault.what["effect"] == OLD_FILES:
            self._restore(fault, then)
            return
        if fault.what["effect"] in CRASHES:
            ground.start(node for node in nodes if ground.cluster.process(node) is Process.HALTED)
            ground.later(BOOT_NS, then, lambda: self._healed(fault, {}))
            return
        if fault.what["effect"] not in FIELDS:
            decayed = [node for node in nodes if ground.cluster.nodes[node].disk.decays]
            if active is not None:
                for node in decayed:
                    ground.cluster.repair(node)
            ground.start(node for node in nodes if ground.cluster.process(node) is Process.HALTED)
            ground.later(BOOT_NS, then, lambda: self._healed(fault, {"repaired": decayed}))
            return
        if active is not None:
            self._trouble(fault, -1)
        # A node notices the fault only at its next write, so halted nodes are started when the probe has its answer.
        self._probe(
            fault, partial(self._start_and_look, fault, then), lambda node: [None, *self._other_faults_of(node)]
        )

    def forget(self) -> None:
        self._active.clear()
        self._backups.clear()

    def may_show(self, fault: Resolved) -> bool:
        """Return whether damage at rest would change something now on each disk that may be damaged; there must be at least one."""
        if fault.what["effect"] not in AT_REST:
            return True
        disks = [self._ground.cluster.nodes[node].disk for node in self._damageable(fault)]
        return bool(disks) and all(may_show(disk, fault.what["effect"]) for disk in disks)

    def _trouble(self, fault: Resolved, sign: int) -> None:
        effect = fault.what["effect"]
        amount = fault.what["delay_ns"] if effect == "slow" else 1
        for node in fault.what["nodes"]:
            self._ground.cluster.trouble(node, FIELDS[effect], sign * amount)

    def _other_fault_of(self, node: str) -> Resolved | None:
        return self._other_faults_of(node)[0]

    def _other_faults_of(self, node: str) -> list[Resolved | None]:
        """Return the faults of which its device may show one; [None] if there is none."""
        return [fault for fault in self._active.values() if node in fault.what["nodes"]] or [None]

    def _probe(self, fault: Resolved, then: Then, expected: Callable[[str], Sequence[Resolved | None]]) -> None:
        """Probe the devices. `expected(node)` are the faults of which this device must show one; None: it must show none."""
        nodes: list[str] = list(fault.what["nodes"])
        seen: dict[str, dict[str, Any]] = {}
        wrong: list[str] = []
        since_ns = self._ground.cluster.now_ns

        def heard(node: str, device: DeviceSeen) -> None:
            if not any(_fits(device, one) for one in expected(node)):
                wrong.append(node)
            took_ms = None if device.took_ns is None else round(device.took_ns / 1e6, 3)
            seen[node] = {"error": device.error, "took_ms": took_ms, "durable": device.durable}
            if len(seen) == len(nodes):
                facts = {"devices": {name: seen[name] for name in nodes}}
                if fault.intent.id in self._active:
                    hidden = self._ground.hidden_by(fault, sorted(wrong), since_ns) if wrong else {}
                    then(Observation(not wrong, {**facts, **hidden}))
                else:
                    # The fault is over if what shows belongs to another fault.
                    others = self._ground.covering.hidden(fault, sorted(wrong), since_ns, ending=True)
                    then(Observation(not wrong or bool(others), facts))

        for node in nodes:
            patience_ns = PATIENCE_NS + 8 * self._ground.cluster.nodes[node].disk.trouble.slow_ns
            probe_device(self._ground.cluster, node, patience_ns, partial(heard, node))
        if not nodes:
            # Two voters have no minority: no device is probed, and the answer is due even so.
            self._ground.soon(then, Observation(True, {"devices": {}}))

    def _start_and_look(self, fault: Resolved, then: Then, probed: Any) -> None:
        ground = self._ground
        ground.start(node for node in fault.what["nodes"] if ground.cluster.process(node) is Process.HALTED)

        def look() -> Observation:
            seen = self._healed(fault, dict(probed.observed))
            return Observation(seen.verified and probed.verified, seen.observed)

        ground.later(BOOT_NS, then, look)

    def _healed(self, fault: Resolved, facts: dict[str, Any]) -> Observation:
        """Return the observation of a heal. Nodes with another disk fault may have halted again."""
        nodes = [node for node in fault.what["nodes"] if self._other_fault_of(node) is None]
        seen = self._ground.running(nodes, fault)
        return Observation(seen.verified, {**facts, **seen.observed})

    def _crash(self, fault: Resolved, then: Then) -> None:
        """Hold syncs for a moment; then kill the process, drop what was not synced, and start it again."""
        ground, cluster = self._ground, self._ground.cluster
        tears = fault.what["effect"] == "torn-write"
        nodes = self._damageable(fault) if tears else list(fault.what["nodes"])
        for node in nodes:
            cluster.trouble(node, "held", 1)
        lost: dict[str, int] = {}
        torn: dict[str, int] = {}
        # A disk that writes nothing for longer than the fault lasts would be another fault.
        until_ns = None if fault.intent.for_ns is None else cluster.now_ns + max(HOLD_NS, fault.intent.for_ns)

        def lose() -> None:
            waits = until_ns is None or cluster.now_ns < until_ns
            disks = [cluster.nodes[node].disk for node in nodes]
            held = all(disk.trouble.held for disk in disks)
            if held and waits and not all(disk.can_lose(tears) for disk in disks) and ground.waits(fault):
                cluster.schedule(cluster.now_ns + AGAIN_NS, lose)
                return
            for node in nodes:
                disk = cluster.nodes[node].disk
                cluster.kill(node)
                # A heal of everything may have undone this one meanwhile.
                if disk.trouble.held:
                    cluster.trouble(node, "held", -1)
                before = disk.torn_writes
                bits = draw(cluster.seed, key_of(fault.intent.key), key_of(node))
                lost[node] = cluster.lose_writes(node, bits if tears else None)
                torn[node] = disk.torn_writes - before
            ground.start(nodes)
            ground.later(BOOT_NS, then, look)

        def look() -> Observation:
            bitten = torn if tears else lost
            spared = [node for node in fault.what["nodes"] if node not in nodes]
            facts = {"lost_bytes": lost, "torn_writes": torn, **({"spared": spared} if tears else {})}
            seen = ground.running(nodes, fault)
            verified = bool(nodes) and all(bitten.values()) and seen.verified
            spotless = [node for node in nodes if not bitten[node]]
            hidden = ground.hidden_by(fault, spotless, cluster.now_ns - HOLD_NS - BOOT_NS) if spotless else {}
            return Observation(verified, {**facts, **hidden, **seen.observed})

        cluster.schedule(cluster.now_ns + HOLD_NS, lose)

    def _back_up(self, fault: Resolved, then: Then) -> None:
        """Keep files as they are now, to be put back at the end."""
        ground, cluster = self._ground, self._ground.cluster
        nodes = self._damageable(fault)
        copies = {node: cluster.nodes[node].disk.durable_files() for node in nodes}
        self._backups[fault.intent.id] = copies
        facts = {
            "nodes": [node for node in nodes if copies[node]],
            "spared": [node for node in fault.what["nodes"] if node not in nodes],
            "backed_up_files": {node: len(files) for node, files in copies.items()},
        }
        ground.soon(then, Observation(bool(nodes) and all(copies.values()), facts))

    def _restore(self, fault: Resolved, then: Then) -> None:
        ground, cluster = self._ground, self._ground.cluster
        copies = self._backups.pop(fault.intent.id, {})
        changed = []
        for node, files in copies.items():
            cluster.kill(node)
            if cluster.nodes[node].disk.files() != files:
                changed.append(node)
            cluster.replace_disk(node, files)
        self._ground.wiped.update(copies)
        ground.start(copies)
        restored = list(copies)

        def look() -> Observation:
            seen = ground.running(restored, fault)
            return Observation(seen.verified and changed == restored, {"nodes": changed, **seen.observed})

        ground.later(BOOT_NS, then, look)

    def _damageable(self, fault: Resolved) -> list[str]:
        """Return the targets that may be damaged: a quorum must keep its data."""
        nodes = self._ground.cluster.nodes
        damaged = [name for name, node in nodes.items() if node.disk.decays]
        return may_be_damaged(
            self._ground.situation().voters, [*damaged, *sorted(self._ground.wiped)], list(fault.what["nodes"])
        )

    def _decay(self, fault: Resolved, then: Then) -> None:
        """Damage data at rest: kill the process, and start it on the damaged files."""
        ground, cluster = self._ground, self._ground.cluster
        decayed = [name for name, node in cluster.nodes.items() if node.disk.decays]
        wanted: list[str] = list(fault.what["nodes"])
        allowed = may_be_damaged(self._ground.situation().voters, [*decayed, *sorted(self._ground.wiped)], wanted)
        changed = []
        for node in allowed:
            cluster.kill(node)
            disk = cluster.nodes[node].disk
            before = _checksum(disk)
            cluster.decay(node, fault.what["effect"], draw(cluster.seed, key_of(fault.intent.key), key_of(node)))
            if _checksum(disk) != before:
                changed.append(node)
        ground.start(allowed)

        def look() -> Observation:
            reasons = {node: cluster.nodes[node].halt_reason for node in allowed}
            facts = {
                "nodes": changed,
                "spared": [node for node in wanted if node not in allowed],
                "processes": {node: cluster.process(node).value for node in allowed},
                "refused": {node: reason.split("\n")[0] for node, reason in reasons.items() if reason},
            }
            # Nodes are spared whose damage, added to that of others, would be too much.
            hidden = {} if allowed else ground.hidden_by(fault, [*decayed, *sorted(self._ground.wiped)], cluster.now_ns)
            return Observation(bool(changed) and changed == allowed, {**facts, **hidden})

        ground.later(BOOT_NS, then, look)


def _checksum(disk: Disk) -> int:
    return crc32(b"".join(disk.files().values()))


def _fits(device: DeviceSeen, fault: Resolved | None) -> bool:
    """Return whether the device behaves as the fault requires; without a fault, as a good one."""
    seen = Device(device.error, device.took_ns, device.durable)
    if fault is None or fault.what["effect"] not in FIELDS:
        return shows(seen, None)
    return shows(seen, fault.what["effect"], fault.what.get("delay_ns", 0))
