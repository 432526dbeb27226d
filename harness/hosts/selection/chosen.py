"""The provider for `local`, `qemu`, `vagrant` or an inventory's file: the only place that decides it, for campaigns and the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, cast

from ...errors import CampaignError, shown
from ...wan import Regions
from ..base import Provider

PROVIDERS = ("local", "qemu", "vagrant")
"""Providers chosen by name; real machines are chosen by an inventory's file."""
Clock = Literal["library", "system"]
_KEPT = {"qemu": ("clock", "lab"), "vagrant": ("clock",)}
"""Fields of a campaign's `hosts:` that apply to these providers; `regions` and `wan` apply to the others."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """`inventory` is for `ssh`; `lab`, a running lab of emulated machines, for `qemu`; `clock` for `qemu` and `vagrant`; `regions` for `local`."""

    provider: str
    nodes: int = 5
    inventory: Path | None = None
    lab: str | None = None
    clock: str = "library"
    regions: Regions | None = None


def described(hosts: str, given: Any = None) -> dict[str, Any]:
    """Return `--hosts` as a campaign's `hosts:` section; other `given` fields are kept where they apply."""
    before = dict(given) if isinstance(given, Mapping) else {}
    if hosts in ("sim", *PROVIDERS):
        kept = ("nodes", *_KEPT.get(hosts, ("regions", "wan")))
        return {"provider": hosts, **{name: before[name] for name in kept if before.get(name) is not None}}
    if Path(hosts).suffix in (".yaml", ".yml"):
        _require_inventory(hosts)
        return {"provider": "ssh", "inventory": hosts}
    raise _unknown(hosts, ("sim", *PROVIDERS))


def _require_inventory(hosts: str) -> None:
    if not Path(hosts).exists():
        raise CampaignError(
            f"--hosts {hosts}: no such inventory file",
            hint="an inventory is a YAML file that lists hosts (docs/reference/hosts.md); `--hosts local` needs no inventory",
        )


def _unknown(hosts: str, known: Sequence[str]) -> CampaignError:
    close = get_close_matches(hosts, known, n=1)
    return CampaignError(
        f"--hosts {shown(hosts)} is not {', '.join(known)} or an inventory file",
        hint=f"did you mean {close[0]!r}?" if close else "an inventory is a .yaml file that lists hosts",
    )


def chosen(hosts: str) -> Chosen:
    """Return the hosts chosen by a command that uses them without a campaign: `--hosts` is a provider's name or an existing inventory file."""
    if hosts in PROVIDERS:
        return Chosen(hosts)
    if Path(hosts).is_file():
        return Chosen("ssh", inventory=Path(hosts))
    if Path(hosts).suffix in (".yaml", ".yml"):
        _require_inventory(hosts)
    raise _unknown(hosts, PROVIDERS)


def provider_of(choice: Chosen, *, name: str, lease_s: float = 600.0, kept: bool = False) -> Provider:
    """Make the provider; no host is brought up yet. `name` is that of a new lab, `lease_s` how long it stays up unused, `kept` whether it stays up
    after the run.
    """
    clock = cast(Clock, choice.clock)
    match choice.provider:
        case "ssh":
            from ..ssh.provider import SshProvider

            assert choice.inventory is not None
            return SshProvider.from_file(choice.inventory)
        case "qemu":
            from ..qemu import QemuProvider

            if choice.lab is not None:
                return QemuProvider.find(choice.lab).borrowed()
            return QemuProvider(choice.nodes, name, lease_s=lease_s, clock=clock, kept=kept)
        case "vagrant":
            from ..ssh.vagrant import VagrantProvider

            return VagrantProvider(choice.nodes, clock=clock)
        case _:
            from ..local import LocalProvider

            return LocalProvider(choice.nodes, name, lease_s=lease_s, regions=choice.regions, kept=kept)
