"""`tri heal`: undo every fault that may still be active, from any machine, with or without a ledger. Safe to repeat."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from ...errors import CampaignError, TribulationError
from ...user_files.yaml_loader import suggest
from ..console import out, say
from ..options import hosts_option

if TYPE_CHECKING:
    from ...hosts.base import Host, Provider
    from ...hosts.local import LocalProvider
    from ...hosts.parallel import HostResult
    from ...hosts.ssh.provider import SshProvider
    from ...hosts.ssh.vagrant import VagrantProvider
    from ...nemesis.agent_client.heal import Healed


@click.command("heal")
@hosts_option("The hosts to heal; default: every local lab. `qemu`: every lab of emulated machines.")
@click.option("--name", help="Only the lab of this name, in use or not (local, qemu).")
@click.option("--all", "every", is_flag=True, help="All your labs, also those of runs in progress.")
@click.option("--json", "as_json", is_flag=True, help='Print {"undone": […], "faults": […], "failed": […]}.')
def command(hosts: str | None, name: str | None, every: bool, as_json: bool) -> int:
    """Undo faults on local labs that no process uses, or on other hosts. Reports what was undone, and the runs of these faults.

    Hosts of an inventory are healed even if another one cannot be reached. Exit code: 0 all are healed, 4 a host is not.
    """
    from ...nemesis.agent_client.heal import heal_each

    results: list[HostResult[Healed]] = []
    for cluster, provider in _clusters(hosts or "local", name, every):
        say(f"healing {cluster}")
        try:
            results += heal_each(_everywhere(provider))
        finally:
            provider.close()
    undone = [f"{each.host}: {what}" for each in results if each.error is None for what in each.value.undone]
    faults = [{"host": each.host, **fault} for each in results if each.error is None for fault in each.value.faults]
    failed = [_failed(each) for each in results if each.error is not None]
    if as_json:
        out.print_json(json.dumps({"undone": undone, "faults": faults, "failed": failed}))
    else:
        _print(undone, faults)
    for one in failed:
        say(f"not healed: {one['host']}: {one['error']}" + (f" — {one['hint']}" if one["hint"] else ""))
    return 4 if failed else 0


def _print(undone: Sequence[str], faults: Sequence[Mapping[str, Any]]) -> None:
    for fault in faults:
        out.print(f"{fault['host']}: {_whose(fault)}", markup=False, highlight=False, soft_wrap=True)
    for entry in undone:
        out.print(entry, markup=False, highlight=False, soft_wrap=True)
    if not undone:
        say("no fault was active")


def _whose(fault: Mapping[str, Any]) -> str:
    since = datetime.fromtimestamp(fault["at_ns"] / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"{fault['id']} ({fault['kind']}) of {fault.get('run') or 'an unnamed run'}, by {fault.get('by')}, since {since}"


def _failed(result: HostResult[Healed]) -> dict[str, str | None]:
    error = result.error
    known = error if isinstance(error, TribulationError) else None
    said = known.message if known is not None else f"{type(error).__name__}: {error}"
    return {"host": result.host, "error": " ".join(said.split()), "hint": known.hint if known is not None else None}


def _clusters(
    hosts: str, name: str | None, every: bool
) -> Iterator[tuple[str, SshProvider | LocalProvider | VagrantProvider]]:
    """Yield the hosts to heal, with a name for each group. No lab is started: one that is down has no active fault. A lab in use is skipped, except
    with its name or --all.
    """
    from ...hosts.local import LocalProvider, list_labs
    from ...hosts.qemu import QemuProvider, list_machine_labs
    from ...hosts.selection.chosen import chosen
    from ...hosts.ssh.provider import SshProvider
    from ...hosts.ssh.vagrant import VagrantProvider

    choice = chosen(hosts)
    if (name is not None or every) and choice.provider not in ("local", "qemu"):
        raise CampaignError(
            f"--name and --all are for labs, not for {hosts}", hint="all hosts of an inventory are healed"
        )
    if choice.inventory is not None:
        yield hosts, SshProvider.from_file(choice.inventory)
    elif choice.provider == "vagrant":
        yield hosts, VagrantProvider()
    else:
        labs, kind = (list_labs(), LocalProvider) if hosts == "local" else (list_machine_labs(), QemuProvider)
        for lab in labs if name is None else [lab for lab in labs if lab.name == name]:
            if lab.in_use and not every and name is None:
                say(f"lab {lab.name} is not changed, because a process uses it; --name {lab.name} or --all heals it")
            elif lab.alive:
                yield f"lab {lab.name}", kind.find(lab.name)
        if name is not None and name not in [lab.name for lab in labs if lab.alive]:
            raise CampaignError(f"no lab {name!r} is up", hint=suggest(name, [lab.name for lab in labs]))


def _everywhere(provider: Provider) -> Sequence[Host]:
    """Return the hosts, reached or not, and the clients' host if there is a separate one: faults may affect it too."""
    from ...hosts.ssh.provider import SshProvider

    hosts = provider.each(means=False) if isinstance(provider, SshProvider) else provider.up()
    clients = provider.client_host()
    return [*hosts, *([clients] if clients is not None else [])]
