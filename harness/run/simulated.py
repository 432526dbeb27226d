"""A plan carried out in the simulator, in memory: `tri run --hosts sim` writes it down; search, shrink and replay look at it.

done = simulate(plan)
done.digest                      # equal for equal plans, in every process and on every Python
check(done.record, "auto")       # what the checkers say
done.write(run_dir)              # the folder of a run on hosts, file by file
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from tribulation.checkers import CHECKERS, Budget, OptionError
from tribulation.checkers.base.options import refuse
from tribulation.checkers.base.result import RunRecord
from tribulation.checkers.campaign_options import problems
from tribulation.histories import History, MemoryRecorder, write_history
from tribulation.histories.files.store import RunStore
from tribulation.node.config.node import NodeConfig
from tribulation.node.core_source import fingerprint
from tribulation.node.errors import ConfigError

from ..campaign.model import Campaign, HostsSpec
from ..campaign.simulable import require_simulable
from ..errors import CampaignError, shown
from ..evidence.seal import HISTORY_FILE, LEDGER_FILE
from ..evidence.writing import RunFolderError, writing
from ..foreign import contained
from ..garbage import rare_collections
from ..nemesis.faults.ledger import HEAD, MemoryLedger, faults_of
from ..plugins.copying import kept_names
from ..progress import Notify, silent
from ..simulator.cluster.cluster import SimCluster
from ..simulator.cluster.digest import MARK_EVERY
from ..simulator.coverage.witness import Witness
from ..simulator.faults.injector import SimInjector
from ..simulator.network.message_log import MessageLog
from ..simulator.options import SimOptions
from ..simulator.purity_guard import fence
from ..systems.reference.options import ReferenceOptions, node_config
from .drive.journal import Journal
from .drive.virtual import ELECTION_NS, VirtualDriver
from .outcome.run_folder import RunFacts, record_of
from .outcome.verdict import Judgement, judge_record
from .plan.build import make_plan, reference_options
from .plan.plan import Pinned, Plan
from .preflight import never_begun
from .settings import Settings, open_run_folder
from .sources import simulator_fingerprint

DIGESTS_FILE = "digests.json"
"""The run's digest at regular steps, so that a replay that differs can report where it began to differ."""

FULL_CHECK_EVERY = 1000
"""Steps of a node between full checks of its invariants, whose cost grows with its log."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """The result of a simulated run. `issued` are its operations, to be pinned in another plan; `ledger` are the ledger's lines.

    Run time 0 is `start_ns` of virtual time.
    """

    plan: Plan
    record: RunRecord
    facts: RunFacts
    digest: str
    core_events: int
    issued: Sequence[Pinned]
    ledger: Sequence[Mapping[str, Any]] = field(repr=False)
    cluster: SimCluster = field(repr=False)
    start_ns: int = 0

    def messages_of(self, log: MessageLog) -> Callable[[Sequence[tuple[int, int]]], Iterator[Mapping[str, Any]]]:
        """Return a function from spans of the run's time to the messages under way in them, as lines of the run's folder."""
        zero_ns = self.start_ns

        def between(spans_ns: Sequence[tuple[int, int]]) -> Iterator[Mapping[str, Any]]:
            for one in log.between([(from_ns + zero_ns, until_ns + zero_ns) for from_ns, until_ns in spans_ns]):
                arrived_ns = None if one.arrived_ns is None else one.arrived_ns - zero_ns
                times = {"sent_ns": one.sent_ns - zero_ns, "arrived_ns": arrived_ns}
                yield {**times, "from": one.source, "to": one.target, "kind": one.kind, "about": one.about}

        return between

    def write(self, run_dir: Path) -> None:
        """Write the files of a run on hosts, except `campaign.yaml` and `plan.json`, which are written before anything happens. Raises `RunFolderError`."""
        with writing(run_dir):
            write_history(run_dir / HISTORY_FILE, self.record.history)
            _write_lines(run_dir / LEDGER_FILE, [HEAD, *self.ledger])
            (run_dir / "trace").mkdir()
            for node, lines in self.record.traces.items():
                _write_lines(run_dir / "trace" / f"{node}.jsonl", lines)
            RunStore.write_json(run_dir / DIGESTS_FILE, {"every": MARK_EVERY, "marks": self.cluster.digest.marks})
        self.facts.sealed(run_dir)


def run_in_simulator(campaign: Campaign, settings: Settings) -> Judgement:
    """Run a campaign in the simulator, as `run_on_hosts` does on hosts, without processes, sockets or privileges."""
    plan = make_plan(campaign, settings.directory)
    return write_run(campaign, plan, settings, open_run_folder(campaign, plan, settings, plan.nodes))


@rare_collections()
def write_run(campaign: Campaign, plan: Plan, settings: Settings, run_dir: Path) -> Judgement:
    """Carry out `plan`, made from `campaign`, and leave a complete run in `run_dir`, which `open_run_folder` made."""
    from ..report import write_report

    settings.notify_lines("plan", plan.one_line())
    settings.notify_lines("world", world_of(plan).one_line())
    settings.notify("simulate", f"{plan.timing.load_ns / 1e9:g} s of load under virtual time, seed {plan.seed}")
    logs: list[MessageLog] = []
    done = simulate(
        plan,
        settings.command,
        settings.notify,
        lambda cluster: logs.append(MessageLog(cluster.kernel, cluster.peers)),
        settings.hint,
    )
    unwritten: RunFolderError | None = None
    try:
        done.write(run_dir)
    except RunFolderError as error:
        # What was seen is in memory: it is judged even so.
        unwritten = error
    settings.notify("check", "")
    judgement = judge_record(done.record, done.facts, Budget(time_s=campaign.checker_timeout / 1e9), str(run_dir))
    if unwritten is not None:
        return judgement.with_trouble("writing the run's folder", unwritten)
    settings.notify("report", "")
    return judgement.kept(run_dir, lambda: write_report(run_dir, done.record.history, done.messages_of(logs[0])))


@contained()
@rare_collections()
def simulate(
    plan: Plan,
    command: str = "",
    notify: Notify = silent,
    watch: Callable[[SimCluster], None] = lambda cluster: None,
    hint: Callable[[str], None] | None = None,
) -> Simulated:
    """Carry out `plan`. The result depends on nothing else: not on the clock, the process or the machine.

    `watch` is given the cluster before anything happens, to add watchers of its traces; it must change nothing.
    `hint` is given early findings, as they come.
    """
    cluster = cluster_of(plan)
    witness = Witness(cluster)
    watch(cluster)
    cluster.start_all()
    injector = SimInjector(cluster, 0 if plan.pace is None else plan.pace.hold_most_ns)
    cluster.run_while(lambda: injector.situation().leader is None, ELECTION_NS)
    start_ns = cluster.now_ns
    recorder, ledger = MemoryRecorder(), MemoryLedger()
    journal = Journal(recorder, plan.effects, hint)
    with fence():
        driver = VirtualDriver(plan, cluster, injector, journal, ledger, notify)
        runner = driver.run()
    states = driver.final_states() if "quiet_end" in runner.marks else {}
    checkers, checker_options = plan.options.get("checkers", "auto"), plan.options.get("checker_options", {})
    digest = cluster.digest.hexdigest()
    facts = RunFacts(
        campaign=plan.campaign,
        seed=plan.seed,
        command=command,
        nodes=list(plan.nodes),
        voters=dict(plan.voters),
        expect=plan.options.get("expect", "valid"),
        checkers=checkers,
        phases=dict(runner.marks),
        clock_offsets_ns=driver.monotonic_offsets_ns(),
        boot_offsets_ns=driver.boot_offsets_ns(),
        final_states=states,
        options={**checker_options, "digest": digest, "core": fingerprint(), "simulator": simulator_fingerprint()},
        errors=list(driver.errors),
        client_errors=journal.causes.top(),
        skipped=never_begun(runner),
        traced=list(cluster.traces),
        truth=witness.truth(start_ns, bool(plan.settling)),
        judged_by=plan.judged_by,
        plugins=kept_names(plan.options.get("plugins", ())),
    )
    record = record_of(facts, History(recorder.events), cluster.traces, faults_of(ledger.lines))
    return Simulated(plan, record, facts, digest, cluster.core_events, runner.issued, ledger.lines, cluster, start_ns)


def cluster_of(plan: Plan) -> SimCluster:
    """Return the plan's cluster before anything happens. Raises `CampaignError` for a system that cannot be simulated, and for checkers that there are not."""
    require_simulable(plan.options["system"], f"the plan of campaign {plan.campaign}")
    _require_checkers(plan)
    hosts = HostsSpec.model_validate(plan.options.get("hosts") or {})
    options = replace(world_of(plan), fence=False)
    return SimCluster(node_configs(plan), plan.seed, options, regions=hosts.placed)


def _require_checkers(plan: Plan) -> None:
    """Refuse a plan that was changed by hand before it is simulated; a campaign's were refused already."""
    named = plan.options.get("checkers", "auto")
    for name in () if isinstance(named, str) else named:
        if name not in CHECKERS:
            hint = "`tri list checkers` shows what there is"
            raise CampaignError(f"the plan of campaign {plan.campaign}: no checker {shown(name)}", hint=hint)
    try:
        refuse(problems(plan.options.get("checker_options", {})))
    except OptionError as error:
        raise CampaignError(f"the plan of campaign {plan.campaign}: {error.message}", hint=error.hint) from error


def world_of(plan: Plan) -> SimOptions:
    """Return every simulation parameter of the plan. Raises `SimulationError` naming one that is impossible."""
    return SimOptions.from_json({"check_every": FULL_CHECK_EVERY, **plan.world})


def node_configs(plan: Plan) -> dict[str, NodeConfig]:
    """Return every node's configuration, as a deployment would write it."""
    options = ReferenceOptions.from_mapping(reference_options(plan))
    # Datagrams are sent to an address, so each member has its own.
    members = options.membership is not None
    addresses = {node: f"10.0.0.{i + 1}" if members else "127.0.0.1" for i, node in enumerate(plan.nodes)}
    try:
        return {node: NodeConfig.from_json(node_config(node, addresses, options)) for node in plan.nodes}
    except ConfigError as error:
        raise CampaignError(f"the plan of campaign {plan.campaign}: {error.message}", hint=error.hint) from None


def without_flaws(plan: Plan) -> Plan:
    """Return the same plan for a correct node."""
    system = {**plan.options["system"], "flaws": []}
    return replace(plan, options={**plan.options, "system": system})


def _write_lines(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    path.write_bytes(msgspec.json.Encoder().encode_lines(lines))
