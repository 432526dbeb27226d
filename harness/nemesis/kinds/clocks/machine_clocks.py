"""Machines' own wall clocks, seen from the harness: against its own wall clock, before a fault, during it and after. The agent's arithmetic is not
involved.

Both machines' clocks drift by themselves, a few parts per million. During a fault this is small compared to the change by the fault.
"""

from __future__ import annotations

from ....errors import FaultError
from ...cluster.clock_readings import ClockSample, question
from ...faults.clock_settings import TOLERANCE_NS, Setting, is_as_set
from ..base import Ground

QUESTIONS = 5


def remember(ground: Ground, nodes: list[str]) -> dict[str, int]:
    """Return by node how far its clock is from the harness's, in ns, as recorded before any fault of it."""
    for node in nodes:
        if node not in ground.force.clocks:
            sample = _best(ground, node)
            ground.notes[_note(node)] = {"wall_ns": sample.wall_ns, "error_ns": sample.error_ns}
    return {node: int(ground.notes[_note(node)]["wall_ns"]) for node in nodes}


def reading(ground: Ground, node: str) -> tuple[int, int, int]:
    """Return one reading in ns: how far it has been moved since `remember`, and the error of that. Its first field is no time, since one reading needs none."""
    before, sample = ground.notes[_note(node)], _best(ground, node)
    return sample.mono_ns, sample.wall_ns - int(before["wall_ns"]), sample.error_ns + int(before["error_ns"])


def is_moved_as(setting: Setting, seen: tuple[int, int, int]) -> bool:
    """Return whether the clock was moved by this setting. Over a long path a millisecond cannot be distinguished."""
    return is_as_set(setting, [seen], max(TOLERANCE_NS, 2 * seen[2]))


def _best(ground: Ground, node: str) -> ClockSample:
    """Ask a few times, and return the sample that was answered fastest."""
    asked = [question(ground.cluster.nodes, node, patient=True) for _ in range(QUESTIONS)]
    samples = [sample for sample in asked if sample is not None]
    if not samples:
        raise FaultError(f"agent of {node}: does not report its clocks", "is the host up?")
    return min(samples, key=lambda sample: sample.error_ns)


def _note(node: str) -> str:
    return f"clock of {node}"
