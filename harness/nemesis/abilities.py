"""What hosts are able to do, found out by doing it: asked for what a campaign needs before it deploys, and for everything by `tri doctor`.

An ability is named like the fault that needs it (`cut`, `power`, `disk`), with more words where a fault comes in forms that not all hosts can do
(`clock-drift`). Packages say how each is tried; what only a provider can do (pull the plug of its hosts) is asked of the provider.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..errors import FaultError, TribulationError
from ..hosts.base import Host
from ..hosts.parallel import on_all
from .packages import PACKAGES
from .packages.base import Probe

PROBES: Mapping[str, Probe] = {
    name: probe for package in dict.fromkeys(PACKAGES.values()) for name, probe in package.abilities.items()
}


@dataclass(frozen=True, slots=True)
class Able:
    """One ability of one host: how it does it, or why it cannot and what to do about that."""

    ability: str
    host: str
    ok: bool
    detail: str
    hint: str | None = None


def try_abilities(hosts: Sequence[Host], names: Iterable[str] = tuple(PROBES)) -> list[Able]:
    """Each of these on each host, hosts side by side. Never raises for what a host cannot do."""
    wanted = [name for name in names if name in PROBES]
    found = on_all(hosts, lambda host: [_try(name, host) for name in wanted]).require(
        "trying what hosts can do", FaultError
    )
    return [able for host in hosts for able in found[host.name]]


def require_abilities(hosts: Sequence[Host], names: Iterable[str]) -> dict[str, dict[str, str]]:
    """By ability and host, how it is done. Raises one `FaultError` that lists everything that is missing."""
    tried = try_abilities(hosts, names)
    missing = [able for able in tried if not able.ok]
    if missing:
        told = "\n".join(f"  {able.ability} on {able.host}: {able.detail}" for able in missing)
        hints = dict.fromkeys(able.hint for able in missing if able.hint)
        raise FaultError(f"these hosts cannot do what the campaign asks for:\n{told}", "; ".join(hints) or None)
    how: dict[str, dict[str, str]] = {}
    for able in tried:
        how.setdefault(able.ability, {})[able.host] = able.detail
    return how


def _try(name: str, host: Host) -> Able:
    try:
        return Able(name, host.name, True, PROBES[name](host))
    except TribulationError as error:
        return Able(name, host.name, False, error.message, error.hint)
