"""State of a run under way: what becomes known is written down at once, and a later error hides nothing that was known before."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tribulation.checkers import Budget

from ..errors import TribulationError
from ..evidence.writing import RunFolderError
from ..foreign import fired_timers, in_one_process
from ..hosts.base import Host, Provider
from ..trouble import Trouble
from .interrupts import Interrupts
from .outcome.run_folder import RunFacts
from .plan.build import System
from .plan.plan import Plan
from .plan.requirements import Requirements
from .settings import Settings


@dataclass(slots=True)
class Run:
    """A run under way. `composed`: faults that are composed of what the hosts can do are not yet in the plan. `facts` are what `run.json` holds.

    `keep`: hosts and system stay up afterwards. `budget`: of each checker. `clocked`: hosts on which this run installed the clock library.

    `began`: the load began; from then on nothing is raised that would hide what was recorded. `driven`: the driver reached its end.
    """

    plan: Plan
    requirements: Requirements
    provider: Provider
    system: System
    run_dir: Path
    settings: Settings
    facts: RunFacts
    keep: bool
    budget: Budget
    composed: bool = False
    interrupts: Interrupts = field(default_factory=Interrupts)
    trouble: Trouble = field(default_factory=Trouble)
    elapsed_s: dict[str, float] = field(default_factory=dict)
    backends: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    skipped: list[dict[str, Any]] = field(default_factory=list)
    clocked: list[Host] = field(default_factory=list)
    began: bool = False
    driven: bool = False

    @contextmanager
    def phase(self, name: str, detail: str = "") -> Iterator[None]:
        """Report and time a phase."""
        self.settings.notify(name, detail)
        started = time.monotonic()
        try:
            with in_one_process():
                yield
        finally:
            self.elapsed_s[name] = round(time.monotonic() - started, 3)

    def note(self, **known: Any) -> None:
        """Record what is `known` now, with all errors so far, and write it down. A failure to write is one more error."""
        self._write(seal=False, **known)

    def seal(self) -> None:
        """Seal the folder: no more evidence is written."""
        self._write(seal=True)

    def missing(self, part: str, name: str, why: str, *, tail: bool = False) -> None:
        """Record that a piece of evidence is not complete."""
        self.note(gaps=[*self.facts.gaps, {"part": part, "name": name, "why": why, "tail": tail}])

    @contextmanager
    def guarded(self, doing: str) -> Iterator[None]:
        """Guard a step of the end: an error there is recorded, and the next step follows."""
        try:
            yield
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self.settings.notify(doing, error.message if isinstance(error, TribulationError) else str(error))
            self.trouble.add(doing, error)

    def _write(self, *, seal: bool, **known: Any) -> None:
        self.facts = replace(self.facts, **known)
        self._refresh()
        try:
            if seal:
                self.facts = self.facts.sealed(self.run_dir)
            else:
                self.facts.write(self.run_dir)
        except RunFolderError as error:
            if str(error) not in self.trouble.errors:
                self.trouble.error(str(error))
                self._refresh()

    def _refresh(self) -> None:
        if fired := fired_timers():
            self.trouble.error(fired)
        self.facts = replace(
            self.facts,
            errors=list(self.trouble.errors),
            bugs=self.trouble.bugs,
            elapsed_s=dict(self.elapsed_s),
            backends=self.backends,
        )
