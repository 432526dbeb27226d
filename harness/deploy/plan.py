"""The steps to deploy, upgrade or remove a node, derived from a host's state. Pure.

plan = plan_up(wanted, observed, now)
plan.refusals        reasons against it, before anything is changed
plan.steps           what will be done, in order; none if everything is correct already

A plan is made only from the present state: an interrupted deployment is continued by planning again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from tribulation.node.runtime.process import control

from ..hosts.printed import parsed_json
from ..systems.reference.package import digest
from .firewall import Opening, closing_commands, opening_commands
from .observe import Observed
from .unit import NAME, USER

NEEDED_MIB = 200
RENEWED_BEFORE = timedelta(days=45)
"""A certificate that ends sooner is replaced by the next `tri deploy up`."""

Action = Literal[
    "make-folders",
    "make-user",
    "stop",
    "remove-unit",
    "put",
    "certify",
    "environment",
    "give",
    "put-unit",
    "open-firewall",
    "close-firewall",
    "start",
    "remove-files",
    "remove-user",
]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to be done on one host. `detail` is for people; `what` names the files of a `put`, or the rules of the firewall."""

    action: Action
    detail: str
    what: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class HostPlan:
    host: str
    steps: Sequence[Step] = ()
    refusals: Sequence[Refusal] = ()

    @property
    def restarts(self) -> bool:
        """Whether this step needs a running node to be stopped."""
        return any(step.action == "stop" for step in self.steps)

    def to_json(self) -> dict[str, Any]:
        return {
            "host": self.host,
            "steps": [{"action": step.action, "detail": step.detail} for step in self.steps],
            "refused": [{"message": refusal.message, "hint": refusal.hint} for refusal in self.refusals],
        }


@dataclass(frozen=True, slots=True)
class Wanted:
    """The desired state of one host. `files` maps a name in the service's folder to its digest; `authority` is the digest of the authority's
    certificate, None without TLS.

    `openings` are empty unless the firewall is to be opened, which `firewall` says. `unit` is the text for a host where systemd runs the node.
    """

    host: str
    address: str
    directory: str
    cluster: str
    files: Mapping[str, str]
    environment: str
    authority: tuple[str, str] | None
    unit: str = ""
    firewall: bool = False
    openings: Sequence[Opening] = field(default_factory=tuple)


def plan_up(wanted: Wanted, observed: Observed, now: datetime) -> HostPlan:
    """Steps for everything that is missing, and nothing else. A running node is stopped only for changes that it does not apply by itself."""
    refusals = _refusals(wanted, observed)
    if refusals:
        return HostPlan(wanted.host, (), refusals)
    puts = [name for name, content in wanted.files.items() if observed.files.get(name) != content]
    certify = _certify(wanted, observed, now)
    moves = _manager_changes(wanted, observed)
    environment = wanted.environment != observed.files.get(control.ENVIRONMENT)
    runs = observed.supervisor is not None or observed.node is not None or observed.active == "active"
    stops = bool(runs and (puts or moves))
    steps: list[Step] = []
    if observed.missing:
        steps.append(Step("make-folders", f"make {observed.missing[-1]}"))
    if observed.by_unit and not observed.user:
        steps.append(Step("make-user", f"make the system user {USER}"))
    if stops:
        steps.append(Step("stop", f"stop node {observed.node or ''}".rstrip()))
    if observed.unit and not observed.by_unit:
        steps.append(Step("remove-unit", f"remove {NAME}"))
    if puts:
        steps.append(Step("put", f"put {', '.join(puts)}", puts))
    if certify:
        steps.append(Step("certify", f"issue certificates: {certify}"))
    if environment:
        steps.append(Step("environment", f"put {control.ENVIRONMENT}"))
    if observed.by_unit and (puts or certify or moves or environment):
        steps.append(Step("give", f"give the folder to {USER}"))
    if observed.by_unit and wanted.unit != observed.unit:
        steps.append(Step("put-unit", f"put {NAME}"))
    opening = opening_commands(observed.rules, wanted.openings) if wanted.firewall else []
    if opening:
        steps.append(Step("open-firewall", f"open the firewall: {len(opening)} rules", opening))
    if stops or not _is_up(observed):
        steps.append(Step("start", "start, and wait until it is ready"))
    return HostPlan(wanted.host, steps)


def plan_down(host: str, observed: Observed) -> HostPlan:
    """Remove everything that deployment created; no step on a host without any of it."""
    if observed.unit and not (observed.root or observed.sudo):
        return HostPlan(
            host,
            (),
            [Refusal(f"{NAME} is there, and only root may remove it", "log in as root, or with `sudo: true`")],
        )
    steps: list[Step] = []
    if observed.supervisor is not None or observed.node is not None or observed.active in ("active", "activating"):
        steps.append(Step("stop", f"stop node {observed.node or ''}".rstrip()))
    if observed.unit:
        steps.append(Step("remove-unit", f"remove {NAME}"))
    closing = closing_commands(observed.rules)
    if closing:
        steps.append(Step("close-firewall", f"close the firewall: {len(closing)} rules", closing))
    if observed.folder or observed.made is not None:
        steps.append(Step("remove-files", "remove all files"))
    if observed.made is not None and observed.made.user and observed.user:
        steps.append(Step("remove-user", f"remove the system user {USER}"))
    return HostPlan(host, steps)


def _is_up(observed: Observed) -> bool:
    """Return whether the host is in the desired state: a node runs, nothing keeps it down, and it starts at boot if there is a manager."""
    managed = not observed.by_unit or (observed.active == "active" and observed.enabled == "enabled")
    return observed.node is not None and observed.supervisor is not None and not observed.kept_down and managed


def _manager_changes(wanted: Wanted, observed: Observed) -> bool:
    """Return whether the node has another manager than desired, or one with another configuration."""
    if observed.by_unit:
        return observed.unit != wanted.unit or (observed.supervisor is not None and observed.active != "active")
    return bool(observed.unit)


def _certify(wanted: Wanted, observed: Observed, now: datetime) -> str:
    """Return why new certificates are needed; an empty string if they are not."""
    if wanted.authority is None:
        return ""
    name, content = wanted.authority
    until = observed.certified_until()
    if observed.files.get(name) != content or until is None:
        return "none of this authority is there"
    return f"the present one ends on {until:%Y-%m-%d}" if until - now < RENEWED_BEFORE else ""


def _refusals(wanted: Wanted, observed: Observed) -> list[Refusal]:
    found = []
    foreign = _foreign_cluster(wanted, observed)
    if foreign is not None:
        found.append(
            Refusal(
                f"{wanted.directory} holds data of cluster {foreign!r}, not {wanted.cluster!r}",
                "`tri deploy down` with that cluster's inventory removes it",
            )
        )
    for taken in observed.ports:
        if not taken.ours:
            who = taken.who or "a process that the login may not see"
            found.append(
                Refusal(
                    f"port {taken.port}/{taken.kind} is taken by {who}",
                    f"stop it there: ss -lnp 'sport = :{taken.port}'",
                )
            )
    if not observed.writable:
        where = observed.nearest if observed.missing else wanted.directory
        found.append(
            Refusal(
                f"the login may not write in {where}",
                f"make {wanted.directory} for it there, or name another `directory` in the inventory",
            )
        )
    if observed.free_mib < NEEDED_MIB:
        found.append(
            Refusal(
                f"{observed.nearest} has {observed.free_mib} MiB free, and {NEEDED_MIB} are needed",
                "free some, or name another `directory` in the inventory",
            )
        )
    if observed.by_unit and not observed.entered:
        found.append(
            Refusal(
                f"user {USER} could not enter {wanted.directory}: a folder above it is closed to others",
                "name another `directory` in the inventory, such as /var/lib/tribulation",
            )
        )
    if wanted.firewall and not observed.rules:
        found.append(
            Refusal(
                "the firewall is to be opened, and the login cannot see it with nft",
                "log in as root or with `sudo: true`, and apt install nftables there; or open it yourself",
            )
        )
    return found


def _foreign_cluster(wanted: Wanted, observed: Observed) -> str | None:
    try:
        found = parsed_json(observed.config).get("cluster") if observed.config else None
    except (ValueError, AttributeError):
        return None
    return str(found) if found not in (None, wanted.cluster) else None


def digests(files: Mapping[str, bytes]) -> dict[str, str]:
    """Digests of contents, by name."""
    return {name: digest(content) for name, content in files.items()}
