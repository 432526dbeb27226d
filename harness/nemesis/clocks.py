"""How far each host's clocks are from the harness's, with an error bound: by question and answer over the agents' connections.

An answer that came back after `rtt` was given somewhere within it, so its offset is known to half of that. Wall clocks here are the
hosts' true ones: what a clock fault does to a service is seen by the agent's `clock` verb instead.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .agents import AgentClient, ask


@dataclass(frozen=True, slots=True)
class ClockSample:
    """Host minus harness, in ns; `error_ns` bounds both offsets."""

    mono_ns: int
    wall_ns: int
    error_ns: int


@dataclass(slots=True)
class Clocks:
    agents: Mapping[str, AgentClient]
    _samples: dict[str, list[ClockSample]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def sample(self) -> dict[str, ClockSample]:
        """One question to each host, alone, so that no other's answer stands in its way; hosts that do not answer are left out."""
        taken = {name: sample for name in self.agents if (sample := self._question(name)) is not None}
        with self._lock:
            for name, sample in taken.items():
                self._samples.setdefault(name, []).append(sample)
        return taken

    def _question(self, name: str) -> ClockSample | None:
        before_mono_ns, before_wall_ns = time.monotonic_ns(), time.time_ns()
        answers, _ = ask(self.agents, {name: {"do": "time"}}, patient=False)
        rtt_ns = time.monotonic_ns() - before_mono_ns
        if name not in answers:
            return None
        return ClockSample(
            answers[name]["mono_ns"] - (before_mono_ns + rtt_ns // 2),
            answers[name]["wall_ns"] - (before_wall_ns + rtt_ns // 2),
            rtt_ns // 2 + 1,
        )

    def monotonic_offsets_ns(self) -> dict[str, tuple[int, int]]:
        """Host minus harness and its error over the whole run: the best sample, widened to where the others contradict it (drift)."""
        with self._lock:
            return {name: _hull(samples) for name, samples in self._samples.items()}


def _hull(samples: Sequence[ClockSample]) -> tuple[int, int]:
    best = min(samples, key=lambda sample: sample.error_ns)
    drift_ns = max(abs(sample.mono_ns - best.mono_ns) - sample.error_ns for sample in samples)
    return best.mono_ns, max(best.error_ns, drift_ns)


def as_json(samples: Mapping[str, ClockSample]) -> dict[str, Any]:
    return {
        name: {"mono_offset_ns": s.mono_ns, "wall_offset_ns": s.wall_ns, "error_ns": s.error_ns}
        for name, s in samples.items()
    }
