"""A run's faults and what its hosts can do: determined when the hosts are up, before anything is deployed, and reported afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..evidence.seal import PLAN_FILE
from ..evidence.writing import write_json
from ..hosts.base import Host
from ..hosts.ssh.reach import require_reach
from ..nemesis.faults.fault import Intent
from ..nemesis.schedule.abilities import backends, lacking, require_abilities, try_abilities
from ..plugins.copying import with_kept
from .drive.runner import Runner
from .under_way import Run


def match_to_hosts(run: Run, hosts: Sequence[Host]) -> None:
    """Compose faults of what these hosts can do, and name those that are left out; require what the campaign asks for by name."""
    if run.provider.name != "local":
        # Local hosts reach each other, and clients reach them, by construction.
        require_reach(run.provider, hosts, run.system.service.port)
    found: dict[str, dict[str, str]] = {}
    if run.composed:
        names = run.requirements.composed_of()
        never = lacking(names, run.provider, run.system.service.capabilities)
        asked = names - {able.ability for able in never}
        tried = [*never, *try_abilities(hosts, asked)]
        run.skipped = run.requirements.left_out(tried)
        able = names - {able.ability for able in tried if not able.ok}
        run.plan = run.requirements.planned(run.plan, able)
        write_json(run.run_dir / PLAN_FILE, with_kept(run.plan.to_json(), run.run_dir))
        found = backends(tried)
    needs = run.requirements.needs(run.plan)
    found |= require_abilities(hosts, needs - set(found))
    run.backends = {ability: how for ability, how in sorted(found.items()) if ability in needs}


def never_begun(runner: Runner) -> list[dict[str, Any]]:
    """Faults whose turn did not come, in the form of `skipped`."""
    if runner.stopped:
        return [
            {"fault": intent.id, "why": "the run ended before it could start", "hint": ""}
            for intent in runner.never_begun
        ]
    return [
        {"fault": intent.id, "why": _why_not(intent), "hint": "lengthen `duration`"} for intent in runner.never_begun
    ]


def _why_not(intent: Intent) -> str:
    if intent.on is None:
        return "the load ended before the previous faults were over"
    return f"the load ended before another {intent.on['event']} came at a time when the fault could start"
