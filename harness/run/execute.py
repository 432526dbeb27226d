"""A run on real hosts, from nothing to a judged folder: up, deploy, run, heal, collect, check, report.

Healing and collecting always happen, whatever went wrong before; the first error is the one that is told.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from checkers import Budget
from histories import Recorder
from histories.store import RunStore

from ..campaign.load import dump_campaign
from ..campaign.model import Campaign
from ..deploy.deploy import EnvironmentOf, deploy_down, deploy_up
from ..errors import TribulationError
from ..evidence.seal import CAMPAIGN_FILE, PLAN_FILE
from ..evidence.writing import writing
from ..hosts.base import Apart, Host, Provider
from ..hosts.claims import Claims
from ..hosts.parallel import on_all
from ..nemesis import clock_library, fault_disk
from ..nemesis.following import Following, events_of
from ..nemesis.injector import HostInjector
from ..nemesis.ledger import Ledger
from ..nemesis.mix import possible_needs
from ..nemesis.power_models import model_of
from ..systems.base import Dial, Service
from ..trouble import Trouble
from .assemble import System, make_plan, make_provider, make_system, require_capabilities
from .attached import AttachedService, attach, attached_system, require_attachable, require_running
from .interrupts import Interrupted, Interrupts
from .journal import Journal
from .matching import match_to_hosts, never_begun
from .nemesis import Nemesis
from .plan import Plan
from .record import RunFacts, facts_of_plan, place_of, states_agree
from .runner import Phase
from .sampler import Sampler
from .threads import ThreadDriver
from .verdict import Judgement, judge
from .worker import RunClock

SETTLE_S = 5.0
SETTLE_STEP_S = 0.1
"""How long nodes may take, after the final reads, to apply what was written last."""

Tell = Callable[[str, str], None]
"""`tell(phase, detail)`: progress for a person."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How this run was asked for. `command` repeats it (the seed is added); `directory` is the campaign file's.

    `attach`: to the cluster that is deployed there. `take_over`: break stale claims on the hosts."""

    command: str
    directory: Path
    runs: Path
    tell: Tell
    keep: bool = False
    attach: bool = False
    take_over: bool = False


@dataclass(slots=True)
class Run:
    """A run under way. `composed`: faults that are composed of what the hosts can do are not in the plan yet."""

    campaign: Campaign
    plan: Plan
    provider: Provider
    system: System
    run_dir: Path
    settings: Settings
    composed: bool = False
    interrupts: Interrupts = field(default_factory=Interrupts)
    elapsed_s: dict[str, float] = field(default_factory=dict)
    backends: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    left_out: list[dict[str, Any]] = field(default_factory=list)

    @property
    def keep(self) -> bool:
        """Whether hosts and system stay up afterwards."""
        return self.settings.keep or self.settings.attach or self.campaign.hosts.keep

    @contextmanager
    def phase(self, name: str, detail: str = "") -> Iterator[None]:
        """Tell and time a phase."""
        self.settings.tell(name, detail)
        started = time.monotonic()
        try:
            yield
        finally:
            self.elapsed_s[name] = round(time.monotonic() - started, 3)


def run_on_hosts(campaign: Campaign, settings: Settings, plan: Plan | None = None) -> Judgement:
    """Everything, on real hosts. Raises `TribulationError` when the environment does not let it happen.

    `plan`: this one instead of the campaign's own, for the same hosts and system.
    """
    composed = plan is None and bool(possible_needs(campaign.faults))
    plan = plan or make_plan(campaign, settings.directory, able=())
    provider = make_provider(campaign, settings.directory, settings.keep)
    system = attached_system(campaign, provider) if settings.attach else make_system(campaign, plan, settings.directory)
    if isinstance(system.service, AttachedService):
        require_attachable(campaign, plan, system.service)
    require_capabilities(campaign, provider, system.service.capabilities)
    run_dir = open_run_folder(campaign, plan, settings)
    run = Run(campaign, plan, provider, system, run_dir, settings, composed)
    try:
        _run_to_its_facts(run)
    except KeyboardInterrupt:
        raise _interrupted(run) from None
    return finish(campaign, run_dir, settings)


def _run_to_its_facts(run: Run) -> None:
    """Leaves the complete folder, whoever ended the run. Raises `KeyboardInterrupt` when the user did, after everything is undone."""
    interrupts = run.interrupts
    with interrupts.handled():
        with ExitStack() as stack:
            if not run.keep:
                stack.callback(run.provider.down)
            with run.phase("hosts", f"{len(run.plan.nodes)} of provider {run.provider.name}"):
                hosts = list(run.provider.up())
            stack.enter_context(_claimed(run, hosts))
            interrupts.raise_if_asked()
            with run.phase("abilities"):
                match_to_hosts(run, hosts)
            _tell_distances(run)
            facts = _deployed_run(run, hosts)
            facts.sealed(run.run_dir)
        interrupts.raise_if_asked()


def _tell_distances(run: Run) -> None:
    """What lies between regions belongs to what the run was made on."""
    if isinstance(run.provider, Apart) and (found := run.provider.distances()):
        run.backends = {**run.backends, "between regions": found}


def _claimed(run: Run, hosts: Sequence[Host]) -> AbstractContextManager[object]:
    """Hosts that others may work on as well. A lab is this run's own."""
    if run.provider.name == "local":
        return nullcontext()

    def lost(message: str) -> None:
        run.settings.tell("claim", message)

    return Claims(hosts, run.settings.command, take_over=run.settings.take_over, lost=lost).held()


def _interrupted(run: Run) -> Interrupted:
    """To be told when everything is undone."""
    left = (
        "left up, as asked" if run.keep else "down" if run.provider.name in ("local", "qemu") else "as they were before"
    )
    hint = f"tri check {run.run_dir} judges what was recorded"
    return Interrupted(f"interrupted: no fault is in force, hosts are {left}", hint)


def open_run_folder(campaign: Campaign, plan: Plan, settings: Settings, traced: Sequence[str] = ()) -> Path:
    """The new folder with what is known before anything happens: the resolved campaign, the plan, and facts in the state "open".

    `traced` are the nodes that will leave traces. Raises `RunFolderError`."""
    resolved = campaign.model_copy(update={"seed": plan.seed})
    with writing(settings.runs):
        run_dir = RunStore(settings.runs).create(campaign.name)
        (run_dir / CAMPAIGN_FILE).write_text(dump_campaign(resolved), encoding="utf-8")
        RunStore.write_json(run_dir / PLAN_FILE, plan.to_json())
    facts_of_plan(plan.to_json(), settings.command, traced).write(run_dir)
    return run_dir


def finish(campaign: Campaign, run_dir: Path, settings: Settings) -> Judgement:
    """Check and report; both need only the folder."""
    from ..report import write_report

    settings.tell("check", "")
    judgement = judge(run_dir, budget=Budget(time_s=campaign.check_time / 1e9))
    settings.tell("report", "")
    return judgement.kept(run_dir, lambda: write_report(run_dir))


def _deployed_run(run: Run, hosts: Sequence[Host]) -> RunFacts:
    service = run.system.service
    try:
        if isinstance(service, AttachedService):
            with run.phase("attach", service.cluster_id):
                run.left_out += attach(run.campaign, run.plan, service, hosts)
        else:
            with run.phase("deploy", service.name):
                deploy_up(service, hosts, environment_of(run))
        run.interrupts.raise_if_asked()
        facts = _driven_run(run, hosts)
    except BaseException:
        _collect_and_remove(run, hosts)
        raise
    return replace(facts, errors=[*facts.errors, *_collect_and_remove(run, hosts)])


def _collect_and_remove(run: Run, hosts: Sequence[Host]) -> list[str]:
    """What went wrong is told and returned: it must hide neither an earlier error nor a verdict."""
    errors: list[str] = []
    with run.phase("collect"):
        _collect(run, hosts)
        try:
            if isinstance(run.system.service, AttachedService):
                require_running(run.system.service, hosts)
            elif not run.keep:
                deploy_down(run.system.service, hosts)
            elif needs_fault_disk(run):
                on_all(hosts, lambda host: _keep_without_fault_disk(run.system.service, host)).require("keeping it up")
        except TribulationError as error:
            run.settings.tell("collect", error.message)
            errors.append(error.message)
    return errors


def _keep_without_fault_disk(service: Service, host: Host) -> None:
    """What stays up goes on with its data on the host's own disk."""
    if fault_disk.remove(host, service, service.stop):
        service.start(host, {})


def environment_of(run: Run) -> EnvironmentOf | None:
    """Nodes run under the clock library only where the campaign moves clocks: it is one thing less to explain otherwise. So with a fault disk."""
    service, kinds = run.system.service, {intent.kind for intent in run.plan.intents}
    moves_clocks = "clock" in kinds and "clock" in service.capabilities
    if not moves_clocks and not needs_fault_disk(run):
        return None

    def prepare(host: Host) -> Mapping[str, str]:
        if isinstance(service, fault_disk.OnDisk) and needs_fault_disk(run):
            fault_disk.mount(host, service, model_of(run.plan.intents))
        return clock_library.environment(host) if moves_clocks else {}

    return prepare


def needs_fault_disk(run: Run) -> bool:
    """Likewise: only where the campaign breaks disks or cuts the power, and the system says where its data are."""
    kinds = {intent.kind for intent in run.plan.intents}
    return isinstance(run.system.service, fault_disk.OnDisk) and not kinds.isdisjoint(fault_disk.KINDS)


def _driven_run(run: Run, hosts: Sequence[Host]) -> RunFacts:
    service, provider = run.system.service, run.provider
    by_name = {host.name: host for host in hosts}
    clock, trouble = RunClock(), Trouble()

    def dial(node: str, timeout_s: float) -> socket.socket:
        return provider.dial(by_name[node].address, service.port, timeout_s=timeout_s)

    with ExitStack() as stack:
        journal = Journal(stack.enter_context(Recorder(run.run_dir / "history.jsonl")))
        ledger = stack.enter_context(Ledger(run.run_dir / "ledger.jsonl"))
        injector = HostInjector(
            hosts,
            provider,
            service,
            ledger,
            clock.now_ns,
            seed=run.plan.seed,
            voters=run.plan.voters,
            dial=dial,
            run=f"{run.plan.campaign}, seed {run.plan.seed}",
            trouble=trouble,
        )
        with run.phase("agents"):
            injector.start()
            stack.callback(injector.stop)
        run.interrupts.raise_if_asked()
        nemesis = Nemesis(injector, journal, run.plan.seed, clock.now_ns, trouble=trouble)
        tick = progress(journal, nemesis, run.settings.tell)
        driver = ThreadDriver(
            run.plan, run.system.make_client, dial, nemesis, journal, clock, tick, run.interrupts.asked
        )
        events = events_of(run.plan.intents)
        stack.enter_context(Following(hosts, service, dial, events, driver.happened, clock.now_ns, trouble))
        clock.started_ns = time.monotonic_ns()
        with (
            run.phase("load", f"{run.campaign.load / 1e9:g} s of load, seed {run.plan.seed}"),
            Sampler(injector, journal, clock, trouble),
        ):
            runner = driver.run()
        states = _final_states(service, hosts, dial)
        if "quiet_end" not in runner.marks:
            # Faults may still be in force: nothing says that replicas should agree.
            states = {}
        if run.interrupts.asked():
            # There was no quiet period: what replicas hold now says nothing, and the rest of the record less than it might.
            states = {}
            runner.marks.pop("quiet_end", None)
            nemesis.errors.append("the user ended the run before its final reads")
        return RunFacts(
            campaign=run.campaign.name,
            seed=run.plan.seed,
            command=run.settings.command,
            nodes=list(run.plan.nodes),
            voters=dict(run.plan.voters),
            expect=run.campaign.expect,
            checks=run.campaign.checks,
            phases=dict(runner.marks),
            clock_offsets_ns=injector.monotonic_offsets_ns(),
            final_states=states,
            options=dict(run.plan.options["check_options"]),
            errors=list(nemesis.errors),
            bugs=nemesis.trouble.bugs,
            client_errors=journal.causes.top(),
            elapsed_s=run.elapsed_s,
            backends=run.backends,
            left_out=[*run.left_out, *never_begun(runner)],
        )


def _final_states(service: Service, hosts: Sequence[Host], dial: Dial) -> dict[str, Mapping[str, Any]]:
    """What every node says at the end. Asked again for a moment while they differ: a last entry may be on its way to some."""
    deadline_s = time.monotonic() + SETTLE_S
    while True:
        answers = on_all(hosts, lambda host: service.status(host, dial)).values
        states = {name: state for name, state in answers.items() if state is not None}
        if (states_agree(states) and len(states) == len(hosts)) or not states or time.monotonic() > deadline_s:
            return states
        time.sleep(SETTLE_STEP_S)


def _collect(run: Run, hosts: Sequence[Host]) -> None:
    """Every host's files into the run folder; what cannot be had is told and does not hide an earlier error."""
    results = on_all(hosts, run.system.service.collect)
    for result in results:
        if result.error is not None:
            run.settings.tell("collect", f"{result.host}: {result.error}")
            continue
        for name, content in result.value.items():
            path = run.run_dir / place_of(result.host, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def progress(journal: Journal, nemesis: Nemesis, tell: Tell) -> Callable[[int, Phase], None]:
    """What the driver calls a few times a second."""

    def tick(now_ns: int, phase: Phase) -> None:
        active = ", ".join(sorted(nemesis.active)) or "no fault"
        tell(phase.value, f"{journal.summary()} · {active}")

    return tick
