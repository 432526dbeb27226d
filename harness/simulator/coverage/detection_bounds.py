"""Bounds on the time in which failure detectors notice the end or the return of a member, derived from their configuration.

SWIM probes every member once per round, in a new random order for each: at most 2(n - 1) - 1 periods lie between the begins of two probes of one
member, and a probe is concluded one period after its begin. A node that doubts itself multiplies its periods by its score + 1, at most `HEALTH_LIMIT`
+ 1 (Lifeguard), and each answered probe lowers the score by 1. A probe of a suspect carries the suspicion and its answer the refutation, so that the
same bound holds for a return. A suspicion without a refutation ends: it is longest without a confirmation. A refutation from before the end of the
member may still be on its way, and begins it once more.
"""

from __future__ import annotations

from collections.abc import Sequence

from tribulation.node.config.cluster import MembershipConfig
from tribulation.node.core.detector.lifeguard import HEALTH_LIMIT, make_suspicion

SLACK_PERIODS = 2


def detection_bounds(configs: Sequence[MembershipConfig | None]) -> dict[str, int]:
    """Return fields of the simulated truth: 0 if some node has no detector."""
    found = [_bounds(config, len(configs)) for config in configs if config is not None]
    complete = len(found) == len(configs) > 0
    names = ("probing_ns", "detection_ns", "worst_detection_ns", "suspicion_ns")
    return {name: max(times) if complete else 0 for name, times in zip(names, zip(*found, strict=True), strict=False)}


def _bounds(config: MembershipConfig, members: int) -> tuple[int, int, int, int]:
    """Return four bounds in ns: at a score of 0; at any score while probes of all other members are answered; whatever happens to them; and from a
    suspicion to its end.
    """
    if config.detector != "swim":
        bound_ns = config.silence_ns + 2 * config.heartbeat_ns
        return bound_ns, bound_ns, bound_ns, bound_ns
    probes = 2 * (members - 1)
    calm = sum(max(1, HEALTH_LIMIT + 1 - answered) for answered in range(probes))
    worst = (HEALTH_LIMIT + 1) * probes
    period_ns = config.swim_period_ns
    probing_ns = (probes + SLACK_PERIODS) * period_ns
    return (
        probing_ns,
        (calm + SLACK_PERIODS) * period_ns,
        (worst + SLACK_PERIODS) * period_ns,
        make_suspicion(0, "", members, config.suspicion_periods, period_ns).end_ns + probing_ns,
    )
