"""`disk`: disks that fail, fill up, stall or lie, and damage to what was written on them; by the fault disk under the service (`cluster/fault_disk.py`).

Damage is done only where enough good copies are left: on nodes without which the others still hold more than half of the weight. What is spared for
that reason is reported.

Resolved: `{"nodes": ["n2"], "effect": "slow", "delay_ns": 50000000}` (`faults/disk_effects.py` lists the effects), with `calibration` and `model` when
they were requested.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from random import Random
from typing import Any, ClassVar

from pydantic import Field, model_validator

from ....errors import FaultError
from ....user_files.measured import PositiveDuration
from ...agent_client.agents import Json, ask, require
from ...agent_client.desired_state import Want, of_nodes
from ...catalog.kind import FREEZE, NO_PACKETS, NO_PROCESS, Sort
from ...catalog.random_forms import on_nodes
from ...catalog.timing import Aimed
from ...cluster import fault_disk
from ...cluster.control import is_supervised
from ...faults.damageable import may_be_damaged
from ...faults.disk_effects import AT_REST, CRASHES, HIDDEN_BY, OLD_FILES, ONGOING, Device, shows, shows_one_of
from ...faults.fault import Observation, Resolved
from ...faults.force import Force
from ...faults.power_models import WHAT_IS_LOST, PowerModel
from ..base import Ground, Package, Probe
from ..node_kind import NodeKind
from ..processes.processes import RESTART_S, is_running, states

TROUBLES = {
    "stall": "stalled",
    "full": "full",
    "read-only": "read_only",
    "io-error": "io_error",
    "fsync-error": "fsync_error",
    "lying": "lying",
}
ENDING = frozenset({"stall", "full", "read-only", "io-error", "fsync-error"})
"""Effects that may make a process end, or fail to start."""
REFUSED_S = 0.5
"""By then a process has usually read its disk, and ended if it does not accept the content."""
STALLED_S, PATIENCE_S = 2.0, 8.0
"""A device that gave no answer for the first is stalled; one that must answer has the second, and longer when it is slow."""


DELAY_NS = 50_000_000
"""Of a slow disk, where the campaign names none."""
CALIBRATION = "an alarm is then expected, because every quorum system relies on the opposite"


class Calibrating(Aimed):
    calibration: bool = Field(default=False, description=CALIBRATION)


class DiskEffect(str, Enum):
    SLOW = "slow"
    STALL = "stall"
    FULL = "full"
    READ_ONLY = "read-only"
    IO_ERROR = "io-error"
    FSYNC_ERROR = "fsync-error"
    LOST_WRITES = "lost-writes"
    TORN_WRITE = "torn-write"
    BIT_ROT = "bit-rot"
    MISDIRECTED_WRITE = "misdirected-write"
    TRUNCATE = "truncate"
    OLD_FILES = "old-files"
    LYING = "lying"


_CALIBRATIONS = (DiskEffect.LYING, DiskEffect.OLD_FILES)


class DiskSpec(Calibrating):
    """The targets' disks are slow, full, broken, or lie; `effect` says which."""

    kind: ClassVar[str] = "disk"
    later: ClassVar[frozenset[str]] = frozenset({"model"})

    effect: DiskEffect = Field(description="the kind of disk fault")
    delay: PositiveDuration | None = Field(default=None, description="slow: mean delay of a write or sync")
    model: PowerModel | None = Field(default=None, description=f"lost-writes, torn-write: {WHAT_IS_LOST}")

    @model_validator(mode="after")
    def _parameters_fit_the_effect(self) -> DiskSpec:
        calibrates = self.effect in _CALIBRATIONS
        if calibrates and not self.calibration:
            raise ValueError(f"`effect: {self.effect.value}` needs `calibration: true`: {CALIBRATION}")
        if self.calibration and not calibrates:
            known = " and ".join(f"`effect: {effect.value}`" for effect in _CALIBRATIONS)
            raise ValueError(f"`calibration` is only for {known}; {self.effect.value} needs none")
        if self.effect is DiskEffect.OLD_FILES and self.for_ns is None:
            raise ValueError("`effect: old-files` needs `for`: at its end, files are replaced by versions of that age")
        if self.delay is not None and self.effect is not DiskEffect.SLOW:
            raise ValueError("`delay` needs `effect: slow`")
        if self.model is not None and self.effect.value not in CRASHES:
            raise ValueError(f"`model` needs an effect that loses writes: {' or '.join(CRASHES)}")
        return self

    def parameters(self) -> dict[str, Any]:
        parameters: dict[str, Any] = {"target": self.target, "effect": self.effect.value}
        if self.effect is DiskEffect.SLOW:
            parameters["delay_ns"] = self.delay or DELAY_NS
        model = {} if self.model is None else {"model": self.model.value}
        return {**parameters, **({"calibration": True} if self.calibration else {}), **model}

    def variant(self) -> str:
        return f"{self.effect.value}-{super().variant()}"


class OnHosts(Package):
    kinds = ("disk",)
    abilities: ClassVar[Mapping[str, Probe]] = {"disk": fault_disk.try_on}

    def wants(self, fault: Resolved, ground: Ground) -> Iterable[Want]:
        effect, ident = fault.what["effect"], fault.intent.id
        if effect == "slow":
            return of_nodes(fault.what["nodes"], "disk", {"trouble": {"slow_ns": fault.what["delay_ns"]}})
        if effect in TROUBLES:
            return of_nodes(fault.what["nodes"], "disk", {"trouble": {TROUBLES[effect]: True}})
        return [(node, "disk", _deed(effect, ident, _draw(fault, ground, node))) for node in self._nodes(fault, ground)]

    def begin(self, fault: Resolved, ground: Ground) -> Json:
        effect = fault.what["effect"]
        if effect not in ONGOING and not is_supervised(ground.cluster.service):
            name = ground.cluster.service.name
            hint = "add `control` to the service (docs/guides/own-system.md), or use an effect that does not restart the process"
            raise FaultError(f"disk {effect}: the fault must restart {name!r}, which has no supervisor", hint)
        if effect in ONGOING or effect == "lost-writes":
            return {}
        nodes, damaged = damageable(fault.what["nodes"], ground)
        ground.notes[fault.intent.id] = {"nodes": nodes}
        facts = {"spared": [node for node in fault.what["nodes"] if node not in nodes]}
        # All are spared because of damage to others' disks.
        hiding = {ident for node in damaged for ident in ground.force.disk_holders.get(node, {}).values()}
        return {**facts, "hidden_by": sorted(hiding)} if hiding and not nodes else facts

    def look(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        if fault.what["effect"] in ONGOING:
            return self._look_at_devices(fault, ground, on)
        if fault.what["effect"] == OLD_FILES:
            return self._look_at_files(fault, ground, on)
        return self._look_at_deeds(fault, ground, on)

    def _nodes(self, fault: Resolved, ground: Ground) -> list[str]:
        """Return the targets that are not spared."""
        noted = ground.notes.get(fault.intent.id)
        return list(fault.what["nodes"] if noted is None else noted["nodes"])

    def _look_at_devices(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        nodes = [node for node in fault.what["nodes"] if node in ground.on]
        seen = devices(ground, nodes)
        facts = {"devices": {node: _facts(device) for node, device in seen.items()}}
        if on:
            effect, delay_ns = fault.what["effect"], fault.what.get("delay_ns", 0)
            good = [node for node, device in seen.items() if shows(device, effect, delay_ns)]
            wrong = [node for node in fault.what["nodes"] if node not in good]
            return Observation(bool(good) and not wrong, {"nodes": good, **facts, **_hidden_by(effect, wrong, ground)})
        force = ground.force.disks
        right = [
            shows_one_of(device, list(force.get(node, {})), force.get(node, {}).get("slow", 0))
            for node, device in seen.items()
        ]
        processes = alive(ground, nodes)
        healed = Observation(all(right) and processes.verified, {**facts, "states": processes.observed["states"]})
        return of_all(healed, fault.what["nodes"], nodes)

    def _look_at_deeds(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        """Verify damage or lost writes: what a reader saw before and after, with the process down."""
        targets = self._nodes(fault, ground)
        nodes = [node for node in targets if node in ground.on]
        answers = look_at(ground, nodes)
        results = {node: answer["results"].get(fault.intent.id, {}) for node, answer in answers.items()}
        refusable = on and fault.what["effect"] in AT_REST
        running = alive(ground, nodes, REFUSED_S if refusable else RESTART_S)
        left = [node for node, answer in answers.items() if any(d["id"] == fault.intent.id for d in answer["damage"])]
        facts = {"nodes": [node for node in nodes if results[node].get("changed")], "results": results}
        facts |= lost_by_node(results)
        if on:
            facts["damage"] = {node: answer["damage"] for node, answer in answers.items() if answer["damage"]}
            # A node may refuse to run on damaged data; it must be able to run after a mere loss.
            lives = running.verified or refusable
            verified = lives and facts["nodes"] == targets and bool(nodes)
            return Observation(verified, {**facts, "states": running.observed["states"]})
        healed = Observation(running.verified and not left, {**facts, "states": running.observed["states"]})
        return of_all(healed, targets, nodes)

    def _look_at_files(self, fault: Resolved, ground: Ground, on: bool) -> Observation:
        targets = self._nodes(fault, ground)
        nodes = [node for node in targets if node in ground.on]
        answers = look_at(ground, nodes)
        results = {node: answer["results"].get(fault.intent.id, {}) for node, answer in answers.items()}
        if on:
            backed_up = [node for node in nodes if results[node].get("backed_up_files")]
            return Observation(bool(nodes) and backed_up == targets, {"nodes": backed_up, "results": results})
        running = alive(ground, nodes)
        restored = [node for node in nodes if results[node].get("restored_files") and results[node].get("changed")]
        facts = {"nodes": restored, "results": results, "states": running.observed["states"]}
        return of_all(Observation(restored == nodes and running.verified, facts), targets, nodes)


def of_all(healed: Observation, targets: Iterable[str], asked: Sequence[str]) -> Observation:
    """Return the observation of the targets that could be `asked` as that of all: a disk whose host is off cannot be observed."""
    off = [node for node in targets if node not in asked]
    if not off:
        return Observation(healed.verified and bool(asked), healed.observed)
    return Observation(False, {**healed.observed, **({"not_asked": off} if healed.verified else {})})


def damageable(wanted: Sequence[str], ground: Ground) -> tuple[list[str], list[str]]:
    """Return those of these nodes whose disks may be damaged, and the disks that are. The disk of a host without power is unknown, and counts as damaged."""
    answers = look_at(ground, ground.on)
    damaged = [node for node, answer in answers.items() if answer["damage"] or answer["forgot"]]
    off = [node for node in ground.cluster.nodes if node not in ground.on]
    allowed = may_be_damaged(ground.cluster.voters, [*damaged, *off], wanted)
    return [node for node in allowed if node not in off], damaged


def look_at(ground: Ground, nodes: Iterable[str], **more: Any) -> dict[str, Json]:
    questions = {node: {"do": "look", "part": "disk", **more} for node in nodes}
    return require(ask(ground.cluster.nodes, questions), "looking at the disks")


def lose_power(fault: Resolved, ground: Ground, nodes: Iterable[str]) -> Json:
    """Stop the disks of hosts that are about to lose their power: each writes back a random part, and answers nothing more. Returns what is lost.

    A disk that does not answer in time loses everything that was not synced, which every model allows.
    """
    if not isinstance(ground.cluster.service, fault_disk.OnDisk):
        return {}
    ident = fault.intent.id
    questions = {
        node: {"do": "look", "part": "disk", "lose_power": {"id": ident, "draw": _draw(fault, ground, node)}}
        for node in sorted(nodes)
        if node in ground.on
    }
    answers, failures = ask(ground.cluster.nodes, questions)
    lost = lost_by_node({node: answer["lost"] for node, answer in answers.items()})
    return {**lost, "not_asked": sorted(failures)} if failures else lost


def lost_by_node(losses: Mapping[str, Json]) -> Json:
    """Return the model, and by field (`lost_bytes`, …) and node what was lost; empty if no disk reported a loss."""
    found = {node: lost for node, lost in losses.items() if "model" in lost}
    if not found:
        return {}
    fields = ("unsynced_bytes", "lost_bytes", "lost_names", "back_names", "torn")
    facts = {field: {node: lost[field] for node, lost in found.items() if lost[field]} for field in fields}
    return {"model": next(iter(found.values()))["model"], **{field: by for field, by in facts.items() if by}}


def devices(ground: Ground, nodes: Iterable[str]) -> dict[str, Device]:
    """Return how each of these disks behaves towards a process of our own, all tried at the same time."""
    found: dict[str, Device] = {}
    look_at(ground, nodes := list(nodes), probe="begin")
    began_s = time.monotonic()
    while waiting := [node for node in nodes if node not in found]:
        answers = look_at(ground, waiting, probe="wait")
        found |= {node: Device(**answer["device"]) for node, answer in answers.items() if answer["device"]}
        late = [node for node in waiting if time.monotonic() - began_s > _patience_s(ground, node)]
        late = [node for node in late if node not in found]
        look_at(ground, late, probe="end")
        found |= dict.fromkeys(late, Device(None, None, False))
    return found


def _patience_s(ground: Ground, node: str) -> float:
    effects = ground.force.disks.get(node, {})
    return (STALLED_S if "stall" in effects else PATIENCE_S) + 8 * effects.get("slow", 0) / 1e9


def alive(ground: Ground, nodes: list[str], timeout_s: float = RESTART_S) -> Observation:
    """Return whether the processes of these nodes run, except those that another fault, or other trouble of their disk, keeps down or paused."""
    force = ground.force
    ending = {node for node, effects in force.disks.items() if not ENDING.isdisjoint(effects)}
    held = force.killed | force.paused | force.off | ending
    free = [node for node in nodes if node not in held]
    seen = states(ground, free, lambda _, process: is_running(process), timeout_s)
    return Observation(seen.verified or not free, seen.observed)


def _hidden_by(effect: str, wrong: list[str], ground: Ground) -> Json:
    """Return the faults of the same disks that mask this one, if there is one for each of these nodes."""
    holders = {node: ground.force.disk_holders.get(node, {}) for node in wrong}
    hiding = {
        node: [ident for other, ident in known.items() if other in HIDDEN_BY[effect]] for node, known in holders.items()
    }
    if not wrong or not all(hiding.values()):
        return {}
    return {"hidden_by": sorted({ident for idents in hiding.values() for ident in idents})}


def _draw(fault: Resolved, ground: Ground, node: str) -> int:
    return Random(f"{ground.seed}/{fault.intent.key}/disk/{node}").randrange(1 << 53)


def _deed(effect: str, ident: str, draw: int) -> Json:
    if effect in AT_REST:
        return {"damage": [{"id": ident, "effect": effect, "draw": draw}]}
    if effect in CRASHES:
        return {"crashes": [{"id": ident, "torn": effect == "torn-write", "draw": draw}]}
    return {"backups": [ident]}


def _facts(device: Device) -> Json:
    took_ms = None if device.took_ns is None else round(device.took_ns / 1e6, 3)
    return {"error": device.error, "took_ms": took_ms, "durable": device.durable}


def _effects(*effects: str, coarse: bool = False, plain: bool = False) -> Sort:
    return on_nodes("disk", {"effect": effects}, coarse=coarse, plain=plain)


class Disk(NodeKind):
    name, spec = "disk", DiskSpec
    amounts = ("delay_ns", "effect", "model", "calibration")
    masks_as = NO_PROCESS
    hidden_by = frozenset({"disk", "power", "wipe", FREEZE})
    of_the_system: ClassVar[Mapping[str, str]] = {"disk": "disk"}
    sorts: ClassVar[Mapping[str, Sort]] = {
        "slow-disk": on_nodes("disk", {"effect": ("slow",), "delay": ("2ms", "20ms", "150ms")}),
        "stalled-disk": _effects("stall"),
        "failing-disk": _effects("full", "fsync-error", coarse=True),
        "decay": _effects("bit-rot", "misdirected-write", coarse=True),
        "full-disk": _effects("full", plain=True),
        "read-only": _effects("read-only", plain=True),
        "io-error": _effects("io-error"),
        "fsync-error": _effects("fsync-error", plain=True),
        "lost-writes": _effects("lost-writes"),
        "torn-write": _effects("torn-write"),
        "bit-rot": _effects("bit-rot", plain=True),
        "truncate": _effects("truncate", plain=True),
        "misdirected-write": _effects("misdirected-write", plain=True),
    }

    def add_to(self, force: Force, what: Mapping[str, Any], ident: str) -> None:
        for node in what["nodes"]:
            effects = force.disks.setdefault(node, {})
            effects[what["effect"]] = effects.get(what["effect"], 0) + what.get("delay_ns", 0)
            force.disk_holders.setdefault(node, {})[what["effect"]] = ident

    def masked_by(self, what: Mapping[str, Any], ending: bool) -> frozenset[str]:
        """A process that does not run, or hears nothing, writes nothing, so there is nothing unsynced to lose."""
        unwritten = NO_PACKETS | NO_PROCESS | {"flap", "pause"} if self.needs_traffic(what) else frozenset[str]()
        return super().masked_by(what, ending) | unwritten

    def unheard(self, what: Mapping[str, Any], observed: Mapping[str, Any]) -> list[Any]:
        return list(observed.get("not_asked", ()))

    def needs_traffic(self, what: Mapping[str, Any]) -> bool:
        return what.get("effect") in CRASHES

    def is_masked_by_like(self, what: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
        """The more severe effect masks the other. Damage to stored data is masked only by such damage: the disks of a quorum are spared."""
        effect, of_other = what.get("effect"), other.get("effect")
        if self.needs_traffic(what):
            return of_other in HIDDEN_BY
        return of_other in HIDDEN_BY[effect] if effect in HIDDEN_BY else of_other not in HIDDEN_BY

    def on_hosts(self) -> OnHosts:
        return OnHosts()

    def simulated(self, ground: Any) -> Any:
        from ....simulator.faults.disks import DiskFaults

        return DiskFaults(ground)


KIND = Disk()
