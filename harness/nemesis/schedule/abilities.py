"""Abilities of hosts, found by tests: those that a campaign needs, before it deploys, and all of them for `tri doctor`.

An ability is named like the fault that needs it (`cut`, `power`, `disk`), with more words where a fault has forms that not all hosts can do
(`clock-drift`). Three must allow it: the provider, if only the provider can do it (cut the power of its hosts); the system under test, if the
fault is done through it; and each host, found out by trying, as its package defines (`PROBES`). The first two are known before anything is touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ...errors import FaultError, TribulationError
from ...hosts.base import Host, Provider
from ...hosts.errors import ConnectError, lost_or_late
from ...hosts.parallel import on_all
from ..catalog import catalog
from ..kinds.base import Probe
from ..registry import PACKAGES

PROBES: Mapping[str, Probe] = {
    name: probe for package in dict.fromkeys(PACKAGES.values()) for name, probe in package.abilities.items()
}


EVERY = tuple(dict.fromkeys((*PACKAGES, *PROBES)))
"""All abilities that a host may have."""

OF_THE_PROVIDER = frozenset[str]().union(*(kind.of_the_provider for kind in catalog.kinds()))
"""Abilities that a provider must name in its `capabilities`."""

OF_THE_SYSTEM: Mapping[str, str] = {
    ability: wanted for kind in catalog.kinds() for ability, wanted in kind.of_the_system.items()
}
"""Names that the system under test must list in its `capabilities`, by ability."""


INSTEAD = {ability: advice for kind in catalog.kinds() for ability, advice in kind.instead.items()}
"""Simulator-only abilities, with the closest substitute on hosts."""


@dataclass(frozen=True, slots=True)
class Able:
    """One ability of one host, or of all (`ALL`): how it does it, or why it cannot and what to do about that."""

    ability: str
    host: str
    ok: bool
    detail: str
    hint: str | None = None


ALL = "(all)"


def lacking(names: Iterable[str], provider: Provider, system: frozenset[str] | None = None) -> list[Able]:
    """Return which of these are impossible, as far as that is known before a host is up. `system` None: for any system."""
    found = [(name, _why_not(name, provider, system)) for name in sorted(names)]
    return [Able(name, ALL, False, *why) for name, why in found if why is not None]


def _why_not(name: str, provider: Provider, system: frozenset[str] | None) -> tuple[str, str] | None:
    if name not in EVERY:
        return "real hosts do not support it", INSTEAD.get(
            name, "the simulator can, with the reference cluster: --hosts sim"
        )
    if name in OF_THE_PROVIDER and name not in provider.capabilities:
        return (
            f"hosts of provider {provider.name!r} do not offer it",
            "use local hosts, or for the reference cluster --hosts sim",
        )
    wanted = OF_THE_SYSTEM.get(name)
    if wanted is not None and system is not None and wanted not in system:
        return (
            f"the system under test lacks the capability {wanted!r}",
            "docs/guides/own-system.md explains what is needed",
        )
    return None


def try_abilities(hosts: Sequence[Host], names: Iterable[str] = tuple(PROBES)) -> list[Able]:
    """Try each of these on each host, hosts in parallel. Never raises for what a host cannot do."""
    wanted = sorted(name for name in names if name in PROBES)
    if not wanted:
        return []
    found = on_all(hosts, lambda host: _try_all(wanted, host)).require("testing what hosts support", FaultError)
    return [able for host in hosts for able in found[host.name]]


def _try_all(names: Sequence[str], host: Host) -> list[Able]:
    """A host that no longer answers is skipped: each request would take its whole timeout."""
    tried: list[Able] = []
    for name in names:
        try:
            tried.append(Able(name, host.name, True, PROBES[name](host)))
        except TribulationError as error:
            tried.append(Able(name, host.name, False, " ".join(error.message.split()), error.hint))
            if isinstance(error, ConnectError) or lost_or_late(error):
                break
    rest = names[len(tried) :]
    return [*tried, *(Able(name, host.name, False, "not tested: the host did not answer any more") for name in rest)]


def survey(provider: Provider, hosts: Sequence[Host], wanted: Iterable[str] = (*EVERY, *INSTEAD)) -> list[Able]:
    """Return one row for `tri doctor` for each ability and host: all abilities, or those that a campaign needs."""
    wanted = frozenset(wanted)
    never = lacking(wanted, provider)
    names = sorted(wanted - {able.ability for able in never})
    tried = try_abilities(hosts, names)
    granted = [Able(name, ALL, True, f"every {provider.name} host can") for name in names if name not in PROBES]
    return sorted([*never, *granted, *tried], key=lambda able: (able.ability, able.host))


def require_abilities(hosts: Sequence[Host], names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return by ability and host how it is done. Raises one `FaultError` that lists everything that is missing."""
    tried = try_abilities(hosts, names)
    if any(not able.ok for able in tried):
        text, hint = missing_text(tried)
        raise FaultError(f"these hosts do not support what the campaign needs:\n{text}", hint)
    return backends(tried)


def missing_text(tried: Iterable[Able]) -> tuple[str, str | None]:
    """Return a line for each missing one, and what to do about all of them."""
    missing = [able for able in tried if not able.ok]
    hints = dict.fromkeys(able.hint for able in missing if able.hint)
    return "\n".join(f"  {able.ability} on {able.host}: {able.detail}" for able in missing), "; ".join(hints) or None


def backends(tried: Iterable[Able]) -> dict[str, dict[str, str]]:
    """Return how each host does each, for those that work."""
    how: dict[str, dict[str, str]] = {}
    for able in tried:
        if able.ok:
            how.setdefault(able.ability, {})[able.host] = able.detail
    return how
