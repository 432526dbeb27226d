"""Trials on real hosts, where the same plan fails in some runs and not in others.

A plan is tried up to `repeat` times and fails if one run does. Runs that pass prove nothing: a part that was kept may be less necessary
than it seemed. So the smallest plan is reported with how many of its runs fail.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ..errors import TribulationError
from ..failures.allowance import Allowance
from ..failures.signature import Signature, fails_alike, signatures
from ..plugins.trust import require_trust
from ..run.interrupts import Interrupted
from ..run.outcome.verdict import Judgement
from ..run.pipeline import run_on_hosts
from ..run.plan.plan import Plan
from ..run.settings import Settings
from .focus import clue_of
from .folder import Source, campaign_of
from .trial import Failure, first_seen, plan_id

Run = Callable[[Plan], Judgement]
"""Carries a plan out, once, and judges it."""


class HostTrials:
    """Trials on hosts: as `Trials`, with runs that may differ. `last` is the folder of the newest run with the wanted failure."""

    def __init__(
        self,
        wanted: Signature,
        allowance: Allowance,
        run: Run,
        repeat: int,
        notify: Callable[[str], None] = lambda what: None,
    ) -> None:
        self.wanted = wanted
        self.allowance = allowance
        self.last: Path | None = None
        self._run, self._repeat, self._notify = run, repeat, notify
        self._known: dict[str, Failure | None] = {}

    def attempt(self, plan: Plan) -> Failure | None:
        """Run up to `repeat` times, until one fails alike. Raises `SpentError` when the allowance ends before."""
        name = plan_id(plan)
        if name not in self._known:
            self._known[name] = self._tries(plan)
        return self._known[name]

    def rate(self, plan: Plan) -> tuple[int, int]:
        """Return how many of `repeat` runs fail alike, and `repeat`. Costs nothing of the allowance."""
        return sum(self._once(plan) is not None for _ in range(self._repeat)), self._repeat

    def _tries(self, plan: Plan) -> Failure | None:
        for number in range(1, self._repeat + 1):
            self.allowance.spend()
            failure = self._once(plan)
            if failure is not None:
                return replace(failure, hits=1, tries=number)
        return None

    def _once(self, plan: Plan) -> Failure | None:
        try:
            judgement = self._run(plan)
        except Interrupted:
            raise
        except TribulationError as error:
            self._notify(f"a run ended early and counts as a run that did not fail: {error.message}")
            return None
        record = judgement.record
        found = signatures(judgement.results, record.history)
        if not fails_alike(self.wanted, found):
            return None
        self.last = Path(judgement.document["run"])
        seen = first_seen(self.wanted, judgement.results[self.wanted.checker], record)
        return Failure(
            plan=plan,
            signature=self.wanted,
            clue=clue_of(record, plan, seen.ops, seen.at_ns),
            digest="",
        )


def runs_on_hosts(source: Source, settings: Settings) -> Run:
    """A function that runs plans on the hosts of the source's campaign; each run leaves its folder. Raises `CampaignError` for an adapter without the
    user's trust.
    """
    file = source.plan.options["system"].get("file")
    require_trust(f"{source.place}/plan.json", [] if file is None else [file])

    def run(plan: Plan) -> Judgement:
        return run_on_hosts(campaign_of(plan, source.campaign, source.place), settings, plan)

    return run
