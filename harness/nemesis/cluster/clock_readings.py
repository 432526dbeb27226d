"""Offsets of each host's clocks from the harness's, with an error bound: by request and answer over the agents' connections.

An answer that came back after `rtt` was given at some moment within it, so its offset is known to half of `rtt`. There are two wall clocks: the host's true
one and, where services run under a clock library, the one that it shows to them, which a process of the agent reads there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..agent_client.agents import ANSWER_S, SPARE_S, AgentClient, ask


@dataclass(frozen=True, slots=True)
class ClockSample:
    """Host minus harness, in ns; `error_ns` bounds both offsets.

    `shown_ns` is what the service sees minus the host's true wall clock, give or take `shown_error_ns`; None where unknown.
    """

    mono_ns: int
    wall_ns: int
    error_ns: int
    shown_ns: int | None = None
    shown_error_ns: int = 0


@dataclass(slots=True)
class Clocks:
    agents: Mapping[str, AgentClient]
    _known: dict[str, _Hull] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def sample(self, timeout_s: float = ANSWER_S) -> dict[str, ClockSample]:
        """Send one request to each host separately, so that no other answer delays it; hosts that do not answer in time are omitted."""
        deadline_s, taken = time.monotonic() + timeout_s, {}
        for name in self.agents:
            left_s = max(SPARE_S, deadline_s - time.monotonic())
            if (sample := question(self.agents, name, patient=False, timeout_s=left_s)) is not None:
                taken[name] = sample
        shown = self._shown(taken, max(SPARE_S, deadline_s - time.monotonic()))
        taken |= {name: _with_shown(taken[name], reading) for name, reading in shown.items()}
        self.learn(taken)
        return taken

    def learn(self, taken: Mapping[str, ClockSample]) -> None:
        """Merge samples into a summary, because a run may take two each second for hours."""
        with self._lock:
            for name, sample in taken.items():
                known = self._known.get(name)
                self._known[name] = _hull_of(sample) if known is None else known.widened(sample)

    def _shown(self, names: Iterable[str], timeout_s: float) -> dict[str, Sequence[int]]:
        """Read all at once: it is the difference of two clocks of one host, which takes no time to read."""
        request = {"do": "look", "part": "clock", "standing": True}
        answers, _ = ask(self.agents, dict.fromkeys(names, request), patient=False, timeout_s=timeout_s)
        return {name: answer["readings"][0] for name, answer in answers.items() if answer["readings"]}

    def monotonic_offsets_ns(self) -> dict[str, tuple[int, int]]:
        """Host minus harness and its error over the whole run: the best sample, widened to where the others contradict it (drift)."""
        with self._lock:
            return {name: known.offset_and_error_ns() for name, known in self._known.items()}


@dataclass(frozen=True, slots=True)
class _Hull:
    """All samples of a host so far: the best one, the lowest upper bound of the offset (`least_ns`) and its highest lower bound (`most_ns`)."""

    best: ClockSample
    least_ns: int
    most_ns: int

    def widened(self, sample: ClockSample) -> _Hull:
        other = _hull_of(sample)
        best = sample if sample.error_ns < self.best.error_ns else self.best
        return _Hull(best, min(self.least_ns, other.least_ns), max(self.most_ns, other.most_ns))

    def offset_and_error_ns(self) -> tuple[int, int]:
        offset_ns = self.best.mono_ns
        return offset_ns, max(self.best.error_ns, self.most_ns - offset_ns, offset_ns - self.least_ns)


def _hull_of(sample: ClockSample) -> _Hull:
    return _Hull(sample, sample.mono_ns + sample.error_ns, sample.mono_ns - sample.error_ns)


def question(
    agents: Mapping[str, AgentClient], name: str, *, patient: bool, timeout_s: float = ANSWER_S
) -> ClockSample | None:
    """Read one host's clocks, by one request; None without an answer."""
    before_mono_ns, before_wall_ns = time.monotonic_ns(), time.time_ns()
    answers, _ = ask(agents, {name: {"do": "time"}}, patient=patient, timeout_s=timeout_s)
    rtt_ns = time.monotonic_ns() - before_mono_ns
    if name not in answers:
        return None
    return ClockSample(
        answers[name]["mono_ns"] - (before_mono_ns + rtt_ns // 2),
        answers[name]["wall_ns"] - (before_wall_ns + rtt_ns // 2),
        rtt_ns // 2 + 1,
    )


def _with_shown(sample: ClockSample, reading: Sequence[int]) -> ClockSample:
    _, shown_ns, error_ns = reading
    return replace(sample, shown_ns=shown_ns, shown_error_ns=error_ns)


def as_json(samples: Mapping[str, ClockSample]) -> dict[str, Any]:
    return {name: _to_json(sample) for name, sample in samples.items()}


def _to_json(sample: ClockSample) -> dict[str, int]:
    shown = (
        {} if sample.shown_ns is None else {"shown_offset_ns": sample.shown_ns, "shown_error_ns": sample.shown_error_ns}
    )
    return {"mono_offset_ns": sample.mono_ns, "wall_offset_ns": sample.wall_ns, "error_ns": sample.error_ns, **shown}
