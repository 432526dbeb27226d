"""Execution of a plan, step by step, on one host. Every step may be repeated; after a failure, a new plan continues from there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from shlex import quote
from typing import Any

from tribulation.node.runtime.process import control

from ..hosts.base import Host
from ..hosts.ssh.claims import Claims
from ..nemesis.agent_client.heal import heal
from ..nemesis.agent_client.shipping import agent_directory, agent_program
from ..nemesis.cluster import fault_disk
from ..systems.reference.system import ReferenceService
from . import unit
from .as_root import as_root
from .observe import MADE, Made, Observed
from .plan import Action, HostPlan, Step
from .wanted import ENVIRONMENT

_SYSTEMCTL_S = unit.STOP_S + 30.0


@dataclass
class Work:
    """The work on one host. `hands` is the host as the owner of the service's folder: root, if systemd runs the node."""

    host: Host
    hosts: Sequence[Host]
    service: ReferenceService
    observed: Observed
    claims: Claims
    unit_text: str = ""
    ready_s: float = 30.0
    hands: Any = field(init=False)

    def __post_init__(self) -> None:
        root = self.observed.by_unit or bool(self.observed.unit)
        self.hands = as_root(self.host) if root else self.host

    @property
    def folder(self) -> str:
        return self.service.control_of(self.host).directory


def carry_out(plan: HostPlan, work: Work) -> str:
    """Carry out the plan; returns the host's result, for people."""
    for step in plan.steps:
        _ACTIONS[step.action](work, step)
    if any(step.action == "remove-files" for step in plan.steps):
        return "removed"
    pid = work.service.pid(work.hands)
    if pid is None:
        return "nothing to do" if not plan.steps else "done"
    return f"ready, pid {pid}" + ("" if plan.steps else ", nothing to do")


def _make_folders(work: Work, step: Step) -> None:
    """Keep the folders that the claim on the host made, which it would remove again."""
    work.claims.keep_folders(work.host)
    made = work.observed.made or Made()
    _remember(work, Made([*work.observed.missing, *made.folders], made.user))


def _make_user(work: Work, step: Step) -> None:
    made = work.observed.made or Made()
    # Written first: otherwise a user that is found without this record would never be removed.
    _remember(work, Made([*work.observed.missing, *made.folders], user=True))
    home = quote(work.observed.nearest if work.observed.missing else work.host.directory)
    as_root(work.host).run(
        f"id -u {unit.USER} >/dev/null 2>&1 || useradd --system --user-group --no-create-home --home-dir {home} --shell /usr/sbin/nologin {unit.USER}"
    )


def _remember(work: Work, made: Made) -> None:
    work.host.put(made.to_json().encode(), f"{work.host.directory.rstrip('/')}/{MADE}")


def _stop(work: Work, step: Step) -> None:
    fault_disk.remove(work.host, work.service, lambda host: work.service.stop(work.hands))
    if work.observed.active not in ("", "inactive", "failed", "unknown"):
        as_root(work.host).run(["systemctl", "stop", unit.NAME], timeout_s=_SYSTEMCTL_S)
    work.service.stop(work.hands)


def _remove_unit(work: Work, step: Step) -> None:
    name, aside = unit.NAME, f"/run/{unit.NAME}.removed"
    # Without a reload systemd keeps the unit: the file comes back then, by which the next plan knows it.
    as_root(work.host).run(
        f"systemctl disable --now {name} >/dev/null 2>&1; [ ! -e {unit.PATH} ] || mv {unit.PATH} {aside} && "
        f"{{ systemctl daemon-reload || {{ mv {aside} {unit.PATH}; exit 1; }}; }} && rm -f {aside} && "
        f"{{ systemctl reset-failed {name} >/dev/null 2>&1 || true; }}",
        timeout_s=_SYSTEMCTL_S,
    )


def _put(work: Work, step: Step) -> None:
    contents = work.service.files(work.host, work.hosts)
    for name in step.what:
        work.hands.put(contents[name], f"{work.folder}/{name}")


def _certify(work: Work, step: Step) -> None:
    for name, content in work.service.certificates(work.host).items():
        work.hands.put(content, f"{work.folder}/{name}", mode=0o600)


def _environment(work: Work, step: Step) -> None:
    work.hands.put(ENVIRONMENT, f"{work.folder}/{control.ENVIRONMENT}")


def _give(work: Work, step: Step) -> None:
    work.hands.run(["chown", "-R", f"{unit.USER}:{unit.USER}", "--", work.folder])


def _put_unit(work: Work, step: Step) -> None:
    work.hands.put(work.unit_text.encode(), unit.PATH)
    work.hands.run(["systemctl", "daemon-reload"], timeout_s=_SYSTEMCTL_S)


def _rules(work: Work, step: Step) -> None:
    as_root(work.host).run(["nft", "-f", "-"], stdin="\n".join([*step.what, ""]).encode())


def _start(work: Work, step: Step) -> None:
    if work.observed.by_unit:
        allow = work.service.control_of(work.host).restart_command()
        # The unit may have been put by a deployment that failed before its reload. The start is not waited for here: a node that does not come up is
        # reported below, with its last words.
        commands = f"systemctl daemon-reload && {allow} && systemctl enable --quiet {unit.NAME} && systemctl reset-failed {unit.NAME} && systemctl --no-block start {unit.NAME}"
        work.hands.run(commands, timeout_s=_SYSTEMCTL_S)
    else:
        work.service.start(work.host, {})
    work.service.wait_ready(work.hands, work.ready_s)


def _remove_files(work: Work, step: Step) -> None:
    """Remove files, also those of faults, which are undone first so that none stays active."""
    directory = work.host.directory.rstrip("/")
    if work.host.run(["test", "-e", agent_program(directory)], check=False).exit_code == 0:
        heal([work.host])
    ours = [work.folder, agent_directory(directory), fault_disk.state_directory(work.host), f"{directory}/{MADE}"]
    as_root(work.host).run(["rm", "-rf", "--", *ours], timeout_s=60.0)
    if work.observed.made is not None:
        work.claims.also_made(work.host, work.observed.made.folders)


def _remove_user(work: Work, step: Step) -> None:
    as_root(work.host).run(f"! id -u {unit.USER} >/dev/null 2>&1 || userdel {unit.USER}")


_ACTIONS: Mapping[Action, Callable[[Work, Step], None]] = {
    "make-folders": _make_folders,
    "make-user": _make_user,
    "stop": _stop,
    "remove-unit": _remove_unit,
    "put": _put,
    "certify": _certify,
    "environment": _environment,
    "give": _give,
    "put-unit": _put_unit,
    "open-firewall": _rules,
    "close-firewall": _rules,
    "start": _start,
    "remove-files": _remove_files,
    "remove-user": _remove_user,
}
