"""Step `power loss` of a trial: a short run in which every host loses its power, judged as any run is.

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
WORKLOADS = ("register", "set", "list-append", "rw-register", "append-log")
"""The first that the client has all operations for is used: their checkers find what is lost."""
_SYNC = "what is acknowledged must be synced below `data`; where the system promises less, choose campaigns that say so"


def applies(system: System, provider: Provider) -> bool:
    service = system.service
    return "disk" in service.capabilities and isinstance(service, OnDisk) and isinstance(provider, Powered)


def power_loss(
    file: Path, options: Mapping[str, Any], system: System, provider: Provider, nodes: int, known: Sequence[str]
) -> Step:
    """`known`: the workloads that the client has all operations for."""
    workload = next((name for name in WORKLOADS if name in known), None)
    if workload is None:
        return Step(NAME, f"not tried: the client has the operations of none of {', '.join(WORKLOADS)}")
    campaign = {
        "name": "power-loss",
        "system": {"file": str(file.absolute()), "options": dict(options)},
        "hosts": {"provider": provider.name, "nodes": nodes},
        "duration": "10s",
        "workloads": [{workload: {"clients": 3, "rate": "30/s"}}],
        "faults": [{"power-loss": {"target": "all", "after": "3s", "for": "1s"}}],
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


def seen(judgement: Judgement) -> str:
    """Raises `Wrong` for what keeps the run from being valid."""
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
    return f"all is there; {sum(sum(by.values()) for by in lost)} bytes that were not synced were lost"
