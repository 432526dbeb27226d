"""`tri deploy up|upgrade|status|down INVENTORY`: the reference cluster on machines of one's own, apart from a campaign."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from ...errors import TribulationError
from ..choices import Group, Named
from ..console import marked, out, say
from ..options import PathType, take_over_option

if TYPE_CHECKING:
    from ...deploy.cluster import Deployment
    from ...deploy.deploy import HostResult
    from ...deploy.plan import HostPlan
    from ...deploy.status import NodeStatus
    from ...hosts.ssh.provider import SshProvider
    from ...systems.base import Dial

INVENTORY = click.argument("inventory", type=PathType(exists=True, dir_okay=False))
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
DRY_RUN = click.option("--dry-run", is_flag=True, help="Print what would be done on each host, and do nothing.")
TIMING = click.option(
    "--timing", type=Named("timing", ("default", "fast")), help="Default: that of the cluster, or `default`."
)
FIREWALL = click.option(
    "--open-firewall", is_flag=True, help="Open the hosts' own firewalls for the cluster, as `firewall: true` does."
)


@click.group("deploy", cls=Group)
def command() -> None:
    """Deploy the reference cluster to the hosts of an INVENTORY."""


@command.command("up")
@INVENTORY
@TIMING
@FIREWALL
@DRY_RUN
@take_over_option
@JSON
def up(inventory: Path, timing: str | None, open_firewall: bool, dry_run: bool, take_over: bool, as_json: bool) -> int:
    """Install and start a node on every host, all at once. What is already as it should be is not changed."""
    with _cluster(inventory, timing, open_firewall, only_looks=dry_run) as (cluster, _):
        if dry_run:
            return _show_plans(cluster.plans_up, as_json)
        say(f"deploying to {len(cluster.hosts)} hosts")
        return _show(lambda: cluster.up(take_over), as_json)


@command.command("upgrade")
@INVENTORY
@TIMING
@DRY_RUN
@take_over_option
@JSON
def upgrade(inventory: Path, timing: str | None, dry_run: bool, take_over: bool, as_json: bool) -> int:
    """Bring a running cluster up to date, one node at a time, the leader last. If it was interrupted, the next upgrade continues there."""
    from ...deploy.upgrade import Upgrade

    with _cluster(inventory, timing, only_looks=dry_run) as (cluster, dial):
        if dry_run:
            return _show_plans(cluster.plans_up, as_json)
        return _show(lambda: Upgrade(cluster, dial, say).run(take_over), as_json)


@command.command("status")
@INVENTORY
@JSON
def status(inventory: Path, as_json: bool) -> int:
    """Show the state of every node: version, role, term, commit index, lag, and how long it has run."""
    from ...deploy.status import status_of
    from ...deploy.upgrade import states_of

    with _cluster(inventory, only_looks=True) as (cluster, dial):
        seen = cluster.look()
        return _show_status(status_of(cluster, seen, states_of(cluster.service, cluster.hosts, dial)), as_json)


@command.command("down")
@INVENTORY
@DRY_RUN
@take_over_option
@JSON
def down(inventory: Path, dry_run: bool, take_over: bool, as_json: bool) -> int:
    """Stop the nodes, and leave every host as it was found."""
    from ...systems.reference.authority import kept_directory

    with _cluster(inventory, only_looks=dry_run) as (cluster, _):
        if dry_run:
            return _show_plans(cluster.plans_down, as_json)
        code = _show(lambda: cluster.down(take_over), as_json)
    if code == 0:
        shutil.rmtree(kept_directory(inventory.stem), ignore_errors=True)
    return code


@contextmanager
def _cluster(
    inventory: Path, timing: str | None = None, firewall: bool = False, only_looks: bool = False
) -> Iterator[tuple[Deployment, Dial]]:
    """Yield the deployment, and a function that dials its nodes. `timing` None: as already deployed. `only_looks`: a new certificate authority is
    deleted at the end.
    """
    from ...deploy.cluster import Deployment
    from ...hosts.ssh.provider import SshProvider
    from ...systems.reference.authority import kept_directory
    from ...systems.reference.system import ReferenceService

    provider = SshProvider.from_file(inventory)
    authority = kept_directory(inventory.stem)
    for_now = only_looks and not authority.exists()
    firewall = firewall or provider.inventory.firewall
    try:
        # `each` includes hosts without a login. Their errors are printed with the results of the others.
        cluster = Deployment(ReferenceService(_options(inventory, timing)), provider.each(), firewall, notify=say)
        if timing is None:
            cluster.service = ReferenceService(_options(inventory, cluster.deployed_timing()))
        yield cluster, _dial_by(provider, cluster)
    finally:
        if for_now:
            shutil.rmtree(authority, ignore_errors=True)
        provider.close()


def _dial_by(provider: SshProvider, cluster: Deployment) -> Dial:
    """Return a function that dials a node by its name, as clients do."""
    addresses = {host.name: host.address for host in cluster.hosts}
    return lambda node, timeout_s: provider.dial(addresses[node], cluster.service.port, timeout_s=timeout_s)


def _options(inventory: Path, timing: Any) -> dict[str, Any]:
    from ...systems.reference.authority import kept_directory

    authority = str(kept_directory(inventory.stem))
    chosen = "default" if timing is None else timing
    return {"cluster": inventory.stem, "timing": chosen, "keep_data": True, "tls": True, "authority": authority}


def _show_plans(make: Callable[[], Sequence[HostPlan]], as_json: bool) -> int:
    """Show what would be done on each host. Return the exit code: 4 if a host refuses, else 0."""
    plans = make()
    if as_json:
        out.print_json(json.dumps({"plan": [plan.to_json() for plan in plans]}))
    else:
        table = Table(box=None, pad_edge=False)
        for heading in ("host", "step", "detail"):
            table.add_column(heading, overflow="fold")
        for plan in plans:
            for step in plan.steps:
                table.add_row(plan.host, step.action, Text(step.detail))
            for refusal in plan.refusals:
                table.add_row(plan.host, marked("[red]refused[/]"), Text(f"{refusal.message}; hint: {refusal.hint}"))
            if not plan.steps and not plan.refusals:
                table.add_row(plan.host, "-", "nothing to do")
        out.print(table)
    return 4 if any(plan.refusals for plan in plans) else 0


def _show_status(rows: Sequence[NodeStatus], as_json: bool) -> int:
    if as_json:
        out.print_json(json.dumps({"hosts": [_row(row) for row in rows]}))
    else:
        table = Table(box=None, pad_edge=False)
        for heading in ("host", "", "detail", "version", "role", "term", "commit", "lag", "up"):
            table.add_column(heading, overflow="fold")
        for row in rows:
            version = "" if row.version is None else row.version + ("" if row.current else " (another)")
            figures = ("" if value is None else str(value) for value in (row.role, row.term, row.commit, row.lag))
            up = "" if row.uptime_s is None else _duration(row.uptime_s)
            table.add_row(row.host, _mark(row.ok), Text(row.detail if row.ok else "see below"), version, *figures, up)
        out.print(table)
        for row in rows:
            if not row.ok:
                # In one line: a column would fold it.
                detail = row.detail.removeprefix(f"{row.host}: ")
                out.print(f"{row.host}: {detail}", markup=False, highlight=False, soft_wrap=True)
    return _print_hints([row.error for row in rows])


def _duration(seconds: float) -> str:
    """Write a duration by its two largest parts: `3 d 4 h`, `5 min 2 s`."""
    parts = [(int(seconds) // 86400, "d"), (int(seconds) // 3600 % 24, "h"), (int(seconds) // 60 % 60, "min")]
    shown = [f"{value} {unit}" for value, unit in [*parts, (int(seconds) % 60, "s")] if value]
    return " ".join(shown[:2]) or "0 s"


def _show(act: Callable[[], Sequence[HostResult]], as_json: bool) -> int:
    """Print the result of every host and return the exit code. If some hosts fail, the results of all are printed before the error is raised."""
    from ...deploy.deploy import NotOnAllHosts

    try:
        results = act()
    except NotOnAllHosts as error:
        _print(error.results, as_json)
        raise
    _print(results, as_json)
    return _print_hints([result.error for result in results])


def _print_hints(errors: Sequence[Exception | None]) -> int:
    """Print each hint once. Return the exit code: 4 with an error, else 0."""
    for hint in dict.fromkeys(error.hint for error in errors if isinstance(error, TribulationError) and error.hint):
        say(f"hint: {hint}")
    return 4 if any(error is not None for error in errors) else 0


def _mark(ok: bool) -> Text:
    return marked("[green]ok[/]") if ok else marked("[red]failed[/]")


def _print(results: Sequence[HostResult], as_json: bool) -> None:
    if as_json:
        out.print_json(json.dumps({"hosts": [_row(result) for result in results]}))
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("host", "", "detail", "s"):
        table.add_column(heading, overflow="fold")
    for result in results:
        table.add_row(result.host, _mark(result.ok), Text(result.detail), f"{result.elapsed_s:.2f}")
    out.print(table)


def _row(result: HostResult | NodeStatus) -> dict[str, Any]:
    """Return a result as JSON; an error is its whole text."""
    row = {field.name: getattr(result, field.name) for field in fields(result)}
    return {**row, "ok": result.ok, "error": None if result.error is None else str(result.error)}
