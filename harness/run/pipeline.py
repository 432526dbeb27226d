"""A run on real hosts, from nothing to a judged folder: up, deploy, run, heal, collect, check, report.

Healing and collecting always happen, whatever went wrong before; the first error is the one that is reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext

from tribulation.checkers import Budget, Verdict

from ..campaign.model import Campaign
from ..deploy.deploy import EnvironmentOf, deploy_down, deploy_up
from ..errors import DeployError
from ..evidence.collecting import collect
from ..evidence.seal import HISTORY_FILE
from ..foreign import contained
from ..hosts.base import Apart, Host, Provider
from ..hosts.parallel import on_all
from ..hosts.ssh.claims import Claims
from ..nemesis.cluster import clock_library, fault_disk
from ..nemesis.faults.power_models import JOURNALED, model_of
from ..systems.adapter.strays import ending_strays
from ..systems.base import Service
from .driving import drive
from .interrupts import Interrupted
from .outcome.run_folder import read_facts
from .outcome.verdict import ENDED_BY_USER, Judgement, judge
from .plan.attached import AttachedService, attach, attached_system, require_attachable, require_running
from .plan.build import System, make_plan, make_provider, make_system
from .plan.plan import Plan
from .plan.requirements import Requirements
from .preflight import match_to_hosts
from .settings import Settings, open_run_folder
from .under_way import Run

INTERRUPTED_CHECK_S = 10.0
"""The budget of each checker when the user waits for the command to end."""


@contained()
def run_on_hosts(
    campaign: Campaign,
    settings: Settings,
    plan: Plan | None = None,
    *,
    provider: Provider | None = None,
    system: System | None = None,
) -> Judgement:
    """Run a campaign on real hosts, and return its judgement. Raises `TribulationError` when an error of the environment keeps the load from beginning.

    `plan`, `provider`, `system`: these instead of the campaign's own; a plan must be for the same hosts and system.
    """
    run = _prepared(campaign, settings, plan, provider, system)
    try:
        _run_to_its_facts(run)
    except KeyboardInterrupt:
        return _judged_after_interrupt(run)
    except BaseException as error:
        run.trouble.add("before the load", error)
        run.note()
        raise
    return _finished(run, run.budget)


def _prepared(
    campaign: Campaign, settings: Settings, plan: Plan | None, provider: Provider | None, system: System | None
) -> Run:
    """Compile the campaign into a plan and requirements, and refuse what these hosts or this system can never do. Nothing reads the campaign afterwards."""
    requirements = Requirements.of(campaign)
    composed = plan is None and bool(requirements.composed_of())
    plan = plan or make_plan(campaign, settings.directory, able=())
    provider = provider or make_provider(campaign, settings.directory, settings.keep)
    if system is None:
        attach_to = attached_system(campaign, plan, provider) if settings.attach else None
        system = attach_to or make_system(campaign, plan, settings.directory)
    if isinstance(system.service, AttachedService):
        require_attachable(requirements.needs(plan), plan, system.service)
    requirements.require(provider, system.service.capabilities)
    traced = list(plan.nodes) if "traces" in system.service.capabilities else []
    run_dir = open_run_folder(campaign, plan, settings, traced, system.program_files())
    keep = settings.keep or settings.attach or campaign.hosts.keep
    budget = Budget(time_s=campaign.checker_timeout / 1e9)
    return Run(plan, requirements, provider, system, run_dir, settings, read_facts(run_dir), keep, budget, composed)


def _run_to_its_facts(run: Run) -> None:
    """Leave the complete folder, whatever ended the run. Raises `KeyboardInterrupt` when the user did, after everything is undone.

    Once the load has begun, nothing else is raised: errors are recorded in the facts.
    """
    with run.interrupts.handled():
        try:
            with ExitStack() as stack:
                if not run.keep:
                    stack.callback(_take_down, run)
                with run.phase("hosts", f"{len(run.plan.nodes)} of provider {run.provider.name}"):
                    hosts = list(run.provider.up())
                stack.enter_context(_claimed(run, hosts))
                run.interrupts.raise_if_asked()
                with run.phase("abilities"):
                    match_to_hosts(run, hosts)
                _report_distances(run)
                run.settings.notify_lines("plan", run.plan.one_line())
                with ending_strays(run.trouble.error, run.keep):
                    _deployed_run(run, hosts)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a user's service may call sys.exit, or leave what a library's loop raises
            if not run.began:
                raise
            run.trouble.add("after the load", error)
        finally:
            run.note()
        run.interrupts.raise_if_asked()


def _take_down(run: Run) -> None:
    with run.guarded("taking the hosts down"):
        run.provider.down()


def _report_distances(run: Run) -> None:
    """Report the distances between regions: they belong to the description of the run's hosts."""
    if isinstance(run.provider, Apart) and (found := run.provider.distances()):
        run.backends = {**run.backends, "between regions": found}


def _claimed(run: Run, hosts: Sequence[Host]) -> AbstractContextManager[object]:
    """Claim hosts that others may use as well. A local cluster belongs to this run alone."""
    if run.provider.name == "local":
        return nullcontext()

    def lost(message: str) -> None:
        run.settings.notify("claim", message)

    return Claims(hosts, run.settings.command, take_over=run.settings.take_over, lost=lost).held()


def _judged_after_interrupt(run: Run) -> Judgement:
    """Report an anomaly that was recorded before the user ended the run, unless the user ended it twice; else report that the run was ended, when everything is undone."""
    if run.began and not run.interrupts.again:
        judgement = _finished(run, Budget(time_s=min(run.budget.time_s, INTERRUPTED_CHECK_S)))
        if judgement.verdict is Verdict.INVALID:
            return judgement
    left = (
        "left up, as requested"
        if run.keep
        else "down"
        if run.provider.name in ("local", "qemu")
        else "as they were before"
    )
    hint = f"tri check {run.run_dir} checks the recorded part"
    wrong = [error for error in run.trouble.errors if error != ENDED_BY_USER]
    text = f"no fault is active; hosts are {left}" if not wrong else "; ".join(wrong)
    raise Interrupted(f"interrupted: {text}", hint)


def _finished(run: Run, budget: Budget) -> Judgement:
    """Check and report; both need only the folder, apart from facts that could not be written to it."""
    from ..report import write_report

    run.settings.notify("check", "")
    judgement = judge(run.run_dir, budget=budget, facts=run.facts)
    run.settings.notify("report", "")
    return judgement.kept(run.run_dir, lambda: write_report(run.run_dir))


def _deployed_run(run: Run, hosts: Sequence[Host]) -> None:
    service = run.system.service
    try:
        if isinstance(service, AttachedService):
            with run.phase("attach", service.cluster_id):
                run.skipped += attach(run.plan, service, hosts)
                if not service.kept_traces:
                    run.note(traced=[])
        else:
            with run.phase("deploy", service.name):
                deploy_up(service, hosts, environment_of(run))
                if isinstance(service, fault_disk.OnDisk) and needs_fault_disk(run):
                    _settle(service, hosts, model_of(run.plan.intents))
        run.interrupts.raise_if_asked()
        drive(run, hosts)
    finally:
        _collect_and_remove(run, hosts)


def _settle(service: fault_disk.OnDisk, hosts: Sequence[Host], model: str) -> None:
    """Settle the disks, except under the strict model: there the system must sync everything itself."""
    if model == JOURNALED:
        on_all(hosts, lambda host: fault_disk.settle(host, service)).require("syncing the disks", DeployError)


def _collect_and_remove(run: Run, hosts: Sequence[Host]) -> None:
    """Collect files and remove the system. An error here does not hide an earlier error or a verdict."""
    # Evidence is given up only by a repeated signal that comes while it is collected: an earlier one was meant for the healing.
    before = max(run.interrupts.count, 1)
    with run.phase("collect"):
        missed = collect(hosts, run.system.service, run.run_dir, lambda: run.interrupts.count > before)
        for one in missed:
            run.settings.notify("collect", f"{one['host']}: {one['file']}: {one['why']}")
        run.note(uncollected=missed)
        if run.began and not run.driven:
            run.missing("history", HISTORY_FILE, "ends where the driver did", tail=True)
        if run.began:
            run.seal()
        with run.guarded("removing the system"):
            if isinstance(run.system.service, AttachedService):
                require_running(run.system.service, hosts)
            elif not run.keep:
                deploy_down(run.system.service, hosts)
                on_all(run.clocked, clock_library.remove).require("removing the clock library")
            elif needs_fault_disk(run):
                on_all(hosts, lambda host: _keep_without_fault_disk(run.system.service, host)).require("keeping it up")


def _keep_without_fault_disk(service: Service, host: Host) -> None:
    """Move the data of a node that stays up to the host's own disk."""
    if fault_disk.remove(host, service, service.stop):
        service.start(host, {})


def environment_of(run: Run) -> EnvironmentOf | None:
    """Run nodes under the clock library only where the campaign moves clocks, and on a fault disk only where it needs one: otherwise it is one more
    thing to explain.
    """
    service, kinds = run.system.service, {intent.kind for intent in run.plan.intents}
    moves_clocks = "clock" in kinds and "clock" in service.capabilities
    if not moves_clocks and not needs_fault_disk(run):
        return None

    def prepare(host: Host) -> Mapping[str, str]:
        if isinstance(service, fault_disk.OnDisk) and needs_fault_disk(run):
            fault_disk.mount(host, service, model_of(run.plan.intents))
        if not moves_clocks:
            return {}
        if clock_library.clock_of(host) != "system" and clock_library.installed(host) is None:
            run.clocked.append(host)
        return clock_library.environment(host)

    return prepare


def needs_fault_disk(run: Run) -> bool:
    """Return whether the campaign breaks disks or cuts the power, and the system says where its data are."""
    kinds = {intent.kind for intent in run.plan.intents}
    return isinstance(run.system.service, fault_disk.OnDisk) and not kinds.isdisjoint(fault_disk.KINDS)
