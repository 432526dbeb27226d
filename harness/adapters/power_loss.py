"""Step `power loss` of a trial: a short run in which every host loses its power several times, judged as any run is.

Only for systems that declare `data`, on hosts whose power can be cut: what was acknowledged must be there when they are back.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..campaign.load import load_campaign
from ..hosts.base import Powered, Provider
from ..nemesis.cluster.fault_disk import OnDisk
from ..run.outcome.verdict import Judgement
from ..run.pipeline import run_on_hosts
from ..run.plan.build import System
from ..run.settings import Settings
from .steps import Step, Wrong

NAME = "power loss"
WORKLOADS = ("register", "set", "list-append", "rw-register", "append-log", "queue")
"""The first that the client has all operations for is used: their checkers find what is lost."""
CHECKER_OPTIONS = {"queue": {"total-queue": {"at_least_once": True}}}
"""By workload. Whether a queue may deliver again is not what is tried here."""
SETTLE_S = 3.0
LOSSES = 4
"""Which unsynced writes a power loss loses is random, and one loss in three leaves all of a file: a single one misses a server that never syncs."""
_SYNC = (
    "acknowledged data must be synced below `data`; if the system promises less, use campaigns that do not expect it"
)


def applies(system: System, provider: Provider) -> bool:
    service = system.service
    return "disk" in service.capabilities and isinstance(service, OnDisk) and isinstance(provider, Powered)


def power_loss(
    file: Path,
    options: Mapping[str, Any],
    system: System,
    provider: Provider,
    nodes: int,
    known: Sequence[str],
    start_s: float,
) -> Step:
    """Run the adapter through a power loss. `known`: the workloads that the client has all operations for; `start_s`: how long the system took to start."""
    workload = next((name for name in WORKLOADS if name in known), None)
    if workload is None:
        return Step(NAME, f"not tried: the client does not have the operations of any of {', '.join(WORKLOADS)}")
    campaign = {
        "system": {"file": str(file.absolute()), "options": dict(options)},
        "hosts": {"provider": provider.name, "nodes": nodes},
        **load(workload, start_s),
    }
    with tempfile.TemporaryDirectory(prefix="tri-try-") as folder:
        path = Path(folder) / "power-loss.yaml"
        path.write_text(json.dumps(campaign), encoding="utf-8")
        settings = Settings("tri try", Path(folder), Path(folder) / "runs", lambda phase, detail: None)
        try:
            judgement = run_on_hosts(load_campaign(path), settings, provider=provider, system=system)
            return Step(NAME, seen(judgement))
        except Wrong as wrong:
            return Step(NAME, wrong=str(wrong), hint=wrong.hint)


def load(workload: str, start_s: float) -> dict[str, Any]:
    """Return the campaign of the run, without `system` and `hosts`.

    Between power losses, and before it reads what is left, it waits for twice the time that the system took to start (`start_s`): a server may
    recover slower than it starts.
    """
    settle_s = round(SETTLE_S + 2 * start_s)
    return {
        "name": "power-loss",
        "duration": f"{settle_s + LOSSES * (settle_s + 1)}s",
        "settle": f"{settle_s}s",
        "workloads": [{workload: {"clients": 3, "rate": "30/s"}}],
        "faults": [
            {"power-loss": {"target": "all", "after": "3s", "every": f"{settle_s + 1}s", "for": "1s", "times": LOSSES}}
        ],
        "checker_options": CHECKER_OPTIONS.get(workload, {}),
    }


def seen(judgement: Judgement) -> str:
    """Describe the valid run in words. Raises `Wrong` for what keeps it from being valid."""
    for checker, result in judgement.results.items():
        for anomaly in result.anomalies:
            raise Wrong(
                f"every host lost its power, and then {checker} finds {anomaly.kind}: {anomaly.explanation}", _SYNC
            )
    document = judgement.document
    reasons = [result.reason for result in judgement.results.values() if result.reason]
    for why in (*document["errors"], *document["doubts"], *reasons):
        raise Wrong(
            f"every host lost its power, and then: {why}", "start(host) brings the system up again from its data"
        )
    lost = [fault["observed"].get("lost_bytes", {}) for fault in document["faults"] if fault["observed"]]
    total = sum(sum(by.values()) for by in lost)
    return f"all data is there; {total} bytes that were not synced were lost, in {len(lost)} losses of power"
