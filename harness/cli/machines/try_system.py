"""`tri try FILE`: exercises the adapter of a system on hosts, and reports what is wrong with it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..console import out, say
from ..options import PathType

if TYPE_CHECKING:
    from ...adapters.steps import Step
    from ...hosts.base import Provider

CLOSED_PORT = 1
"""A port on which nothing listens."""


@click.command("try")
@click.argument("file", type=PathType(dir_okay=False))
@click.option("--hosts", default="local", show_default=True, help="local, qemu, vagrant, or an inventory file.")
@click.option("--nodes", type=click.IntRange(1, 32), default=3, show_default=True, help="How many hosts.")
@click.option(
    "--option", "options", multiple=True, metavar="KEY=VALUE", help="An option of the system, as in `system.options`."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(file: Path, hosts: str, nodes: int, options: tuple[str, ...], as_json: bool) -> int:
    """Exercise the adapter in FILE: install, start, each operation once, a port on which nothing listens, pause, kill, stop, uninstall; on local hosts
    and emulated machines then a power loss, if it declares `data`.

    An adapter of a running system is refused. Exit code: 0 nothing is wrong, 1 a step found something wrong, 2 FILE cannot be loaded or is refused, 4
    the hosts failed.
    """
    from dataclasses import replace

    from ...adapters.power_loss import applies, power_loss
    from ...hosts.selection.chosen import chosen, provider_of
    from ...run.plan.build import System
    from ...run.plan.own_system import load_system

    given = dict(_option(option) for option in options)
    service, make_client = load_system(file.absolute(), given)
    _require_own(file, service)
    choice = chosen(hosts)
    provider = provider_of(choice if choice.inventory else replace(choice, nodes=nodes), name=f"try-{os.getpid()}")
    say(f"{nodes} {hosts} hosts" if choice.inventory is None else f"hosts of {hosts}")
    try:
        steps, start_s = _exercised(provider, service, make_client, as_json)
    finally:
        provider.down()
    system, known = System(service, make_client), {step.name.split(":")[0] for step in steps if not step.wrong}
    if applies(system, provider) and not any(step.wrong for step in steps):
        steps.append(power_loss(file, given, system, provider, nodes, sorted(known), start_s))
        _show(steps[-1], as_json)
    wrong = [step for step in steps if step.wrong]
    if as_json:
        document = [
            {"step": step.name, "ok": not step.wrong, "seen": step.seen, "wrong": step.wrong, "hint": step.hint}
            for step in steps
        ]
        out.print_json(json.dumps(document))
    else:
        out.print(
            f"{len(wrong)} of {len(steps)} steps found something wrong"
            if wrong
            else f"nothing is wrong: {len(steps)} steps"
        )
    return 1 if wrong else 0


def _require_own(file: Path, service: Any) -> None:
    """Raise `CampaignError` for an adapter of a system that runs already: the trial would kill a user's processes."""
    from ...errors import CampaignError

    if getattr(service, "keeps_data", False):
        raise CampaignError(
            f"{file}: {type(service).__name__} attaches to a running system, and a trial kills and pauses every process of the system",
            hint="try a copy of the system, with an adapter that starts it (`Daemon`); `tri run` on the running system injects only the faults of its campaign",
        )


def _exercised(provider: Provider, service: Any, make_client: Any, quiet: bool) -> tuple[list[Step], float]:
    """Return the steps, and how long the longest start took, in s."""
    import time

    from ...adapters.trial import Trial
    from ...run.plan.build import System
    from ...systems.adapter.strays import ending_strays

    hosts = list(provider.up())
    addresses = {host.name: host.address for host in hosts}
    trial = Trial(
        System(service, make_client),
        hosts,
        lambda node, timeout_s: provider.dial(addresses[node], service.port, timeout_s=timeout_s),
        lambda node, timeout_s: provider.dial(addresses[node], CLOSED_PORT, timeout_s=timeout_s),
    )
    steps: list[Step] = []
    began_s, start_s = time.monotonic(), 0.0
    with ending_strays(say):
        for step in trial.steps():
            steps.append(step)
            _show(step, quiet)
            if step.name.startswith("start"):
                start_s = max(start_s, time.monotonic() - began_s)
            began_s = time.monotonic()
    return steps, start_s


def _show(step: Step, quiet: bool) -> None:
    if not quiet:
        word = "WRONG" if step.wrong else "ok   "
        out.print(f"{word} {step.name}: {step.wrong or step.seen}", markup=False, highlight=False)
        if step.hint:
            out.print(f"      hint: {step.hint}", markup=False, highlight=False)


def _option(given: str) -> tuple[str, Any]:
    """Return name and value. The value is parsed as in campaigns, where `no` is a text and not a boolean."""
    from ...errors import CampaignError, shown
    from ...user_files.yaml_loader import parse_yaml

    name, found, value = given.partition("=")
    if not found or not name:
        raise CampaignError(f"--option {shown(given)} is not KEY=VALUE", hint="for example --option version=1.2")
    return name, parse_yaml(value, f"--option {name[:80]}")[0]
