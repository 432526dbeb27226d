"""One run of the real pipeline over stand-ins, with at most one part of it failing; and how `tri` would have ended."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tribulation.harness.campaign.model import Campaign
from tribulation.harness.errors import TribulationError
from tribulation.harness.run.pipeline import run_on_hosts
from tribulation.harness.run.plan.build import System
from tribulation.harness.run.settings import Settings

from .standin import Saboteur, StandInClient, StandInProvider, StandInService, World

CAMPAIGN: dict[str, Any] = {
    "name": "standin",
    "hosts": {"provider": "local", "nodes": 3},
    "seed": 7,
    "duration": "700ms",
    "settle": "30ms",
    "final": "400ms",
    "operation_timeout": "150ms",
    "workloads": [
        {"register": {"keys": 2, "clients": 3, "rate": "300/s"}},
        {"set": {"clients": 1, "rate": "60/s"}},
    ],
    "faults": [
        {"partition": {"shape": "isolate-one", "target": ["n2"], "after": "100ms", "for": "150ms"}},
        {"kill": {"target": ["n3"], "after": "350ms", "restart_after": "100ms"}},
    ],
    "checkers": ["linearizable", "set", "availability", "convergence", "vacuity"],
}


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended: the exit code of `tri`, the verdict (None: there was none), and everything that it said about why."""

    exit_code: int
    verdict: str | None
    words: str
    document: dict[str, Any]


def run(
    saboteur: Saboteur, folder: Path, changed: dict[str, Any] | None = None, waits: Mapping[str, float] | None = None
) -> Ending:
    with ExitStack() as shorter:
        for name, value_s in (waits or {}).items():
            shorter.enter_context(patch(f"tribulation.harness.{name}", value_s))
        return _run(saboteur, folder, changed)


def _run(saboteur: Saboteur, folder: Path, changed: dict[str, Any] | None) -> Ending:
    campaign = Campaign.model_validate({**CAMPAIGN, **(changed or {})})
    world = World(saboteur)
    client = lambda: saboteur.at("client.make", "", lambda: StandInClient(world))  # noqa: E731
    system = System(StandInService(world), client)
    settings = Settings("tri run standin", folder, folder / "runs", saboteur.enter)
    try:
        judgement = run_on_hosts(campaign, settings, provider=StandInProvider(world), system=system)
    except TribulationError as error:
        return Ending(error.exit_code, None, str(error), {})
    except Exception as error:  # `tri` ends with 70 then, and says what it was
        return Ending(70, None, f"internal error: {type(error).__name__}: {error}", {})
    document = dict(judgement.document)
    reasons = [f"{name}: {result['reason']}" for name, result in document["checkers"].items() if result["reason"]]
    reasons += [anomaly["explanation"] for result in document["checkers"].values() for anomaly in result["anomalies"]]
    words = "\n".join([*document["errors"], *reasons, *map(str, document["unverified"])])
    return Ending(judgement.exit_code, judgement.verdict.value, words, document)
