"""The acceptance run: scenarios on deployed clusters; those that need the same cluster run one after the other on the same deployment.

A failed scenario reports what it waited for, and the next one of its cluster gets a new deployment: so that its leftovers do not affect others.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ..errors import CampaignError, TribulationError, shown
from ..progress import Notify
from .asking import Refused
from .deployed import Deployed
from .lab import Lab
from .scenario import Result, Scenario
from .setup import Setup
from .waiting import Missed

_MOST_DIGITS = 4


def chosen(only: str | None, scenarios: Mapping[int, Scenario]) -> list[Scenario]:
    """The numbers in a text such as `1,4,12-15`; all when it is None. Raises `CampaignError` for a number that is not a scenario."""
    if only is None:
        return list(scenarios.values())
    numbers: dict[int, None] = {}
    for part in only.split(","):
        first, dash, last = (text.strip() for text in part.partition("-"))
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise CampaignError(
                f"--only {only!r}: {part.strip()!r} is not a number of a scenario", hint="write 1,4,12-15"
            )
        ends = first, last if dash else first
        unknown = [end for end in ends if len(end) > _MOST_DIGITS or int(end) not in scenarios]
        if unknown or int(ends[0]) > int(ends[1]):
            wrong = shown(unknown[0] if unknown else part.strip())
            raise CampaignError(
                f"--only {shown(only)}: there is no scenario {wrong}", hint=f"they are 1 to {max(scenarios)}"
            )
        numbers |= dict.fromkeys(range(int(ends[0]), int(ends[1]) + 1))
    return [scenarios[number] for number in sorted(numbers)]


def hosts_needed(scenarios: Iterable[Scenario]) -> int:
    """The number of hosts of the largest of their clusters."""
    return max((scenario.setup.hosts for scenario in scenarios), default=0)


def exit_code(results: Iterable[Result]) -> int:
    """1 when one failed, else 4 when one was not measured, else 0."""
    results = list(results)
    if any(result.passed is False for result in results):
        return 1
    return 4 if any(result.passed is None for result in results) else 0


def document(results: Iterable[Result]) -> dict[str, Any]:
    """The results as JSON, in the scenarios' order."""
    return {
        "scenarios": [
            {
                "number": result.scenario.number,
                "name": result.scenario.name,
                "category": result.scenario.category,
                "promised": result.scenario.promised,
                "measured": result.measured,
                "passed": result.passed,
            }
            for result in sorted(results, key=lambda result: result.scenario.number)
        ]
    }


def grouped(scenarios: Iterable[Scenario]) -> list[tuple[Setup, list[Scenario]]]:
    """Group by the cluster they need, smallest first; in a group, those that need it fresh come first."""
    groups: dict[str, tuple[Setup, list[Scenario]]] = {}
    for scenario in scenarios:
        groups.setdefault(scenario.setup.name, (scenario.setup, []))[1].append(scenario)
    for _, members in groups.values():
        members.sort(key=lambda scenario: (not scenario.fresh, scenario.number))
    return sorted(groups.values(), key=lambda group: group[0].hosts)


def run(scenarios: Sequence[Scenario], where: Lab, notify: Notify, logs: Path | None = None) -> Iterator[Result]:
    """Yield each result as it comes. `logs`: a folder for the logs and traces of failed scenarios."""
    for setup, members in grouped(scenarios):
        if setup.hosts > len(where.hosts):
            reason = f"not run: it needs {setup.hosts} hosts, and there are {len(where.hosts)}"
            yield from (Result(scenario, reason, None) for scenario in members)
        else:
            yield from _run_group(setup, members, where, notify, logs)


def _run_group(
    setup: Setup, members: Sequence[Scenario], where: Lab, notify: Notify, logs: Path | None
) -> Iterator[Result]:
    waiting = list(members)
    while waiting:
        with ExitStack() as stack:
            notify("deploy", setup.name)
            try:
                cluster = stack.enter_context(Deployed(setup, where.hosts, where.provider, logs))
            except (Missed, Refused, TribulationError) as error:
                # Only this attempt shows the state of the cluster, so it is the first scenario's result; the next one tries again.
                yield _failed(waiting.pop(0), error, 0.0)
                continue
            whole = True
            while waiting and whole:
                scenario = waiting.pop(0)
                notify(f"scenario {scenario.number}", scenario.name)
                result = attempt(scenario, cluster)
                whole = result.passed is True
                if not whole:
                    cluster.keep_logs(f"scenario-{scenario.number}")
                yield result


def attempt(scenario: Scenario, cluster: Deployed) -> Result:
    """Run it, and leave the cluster without agents, as the next one expects."""
    began_s = time.monotonic()
    try:
        measured = scenario.run(cluster)
        elapsed_s = time.monotonic() - began_s
        cluster.clear()
    except (Missed, Refused, TribulationError, OSError, KeyError, TypeError) as error:
        return _failed(scenario, error, time.monotonic() - began_s)
    return Result(scenario, measured, True, elapsed_s)


def _failed(scenario: Scenario, error: Exception, elapsed_s: float) -> Result:
    """A failed result. An error of the cluster is its failure; an error of the hosts is not."""
    if isinstance(error, TribulationError):
        return Result(scenario, f"not measured: {error.message}", None, elapsed_s)
    if isinstance(error, KeyError | TypeError):
        return Result(scenario, f"an answer has an unexpected shape: {type(error).__name__}: {error}", False, elapsed_s)
    return Result(scenario, str(error), False, elapsed_s)
