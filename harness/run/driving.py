"""The load on real hosts: recorder, ledger, fault agents and clients from the first operation to the last final read."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from tribulation.histories import Recorder

from ..evidence.seal import HISTORY_FILE, LEDGER_FILE
from ..evidence.writing import unwritable, writing
from ..hosts.base import Host
from ..hosts.parallel import on_all
from ..nemesis.cluster.following import Following, events_of
from ..nemesis.faults.ledger import Ledger
from ..nemesis.inject.injector import LEASE_S, HostInjector
from ..progress import Notify
from ..systems.answers import status_of
from ..systems.base import Dial, Service
from .clients.pool import ClientProcesses
from .drive.dialling import NodeDial
from .drive.journal import Journal
from .drive.nemesis import Nemesis
from .drive.runner import Phase, Runner
from .drive.sampler import Sampler
from .drive.threads import ThreadDriver
from .drive.worker import RunClock
from .outcome.run_folder import states_agree
from .outcome.verdict import ENDED_BY_USER
from .preflight import never_begun
from .under_way import Run

CLIENTS_FOLDER = "clients"
"""In the run's folder: what client programs wrote to standard error."""
SETTLE_S = 5.0
SETTLE_STEP_S = 0.1
"""Time for nodes, after the final reads, to apply what was written last."""

LEASES_S = {"qemu": 30.0, "vagrant": 30.0}
"""By provider, how long a host keeps a fault without hearing from the harness, where that is not `LEASE_S`. An emulated machine may not answer for
some seconds, and it takes 15 s to start its agent again.
"""


def drive(run: Run, hosts: Sequence[Host]) -> None:
    """Drive the load to its last final read: write history and ledger, and keep the run's facts. Then stop the agents, which may fail."""
    service, provider, clock = run.system.service, run.provider, RunClock()
    dial = NodeDial(provider, {host.name: host.address for host in hosts}, service.port)

    with ExitStack() as stack:
        with writing(run.run_dir):
            recorder = stack.enter_context(Recorder(run.run_dir / HISTORY_FILE))
            ledger = stack.enter_context(Ledger(run.run_dir / LEDGER_FILE))
        clients = _client_processes(run, stack)
        injector = HostInjector(
            hosts,
            provider,
            service,
            ledger,
            clock.now_ns,
            seed=run.plan.seed,
            voters=run.plan.voters,
            dial=dial,
            lease_s=LEASES_S.get(provider.name, LEASE_S),
            run=f"{run.plan.campaign}, seed {run.plan.seed}",
            trouble=run.trouble,
            clients=clients,
        )
        with run.phase("agents"):
            injector.start()
            stack.callback(_stop, run, injector)
        run.interrupts.raise_if_asked()
        journal = Journal(recorder, run.plan.effects, run.settings.hint)
        nemesis = Nemesis(injector, journal, run.plan.seed, clock.now_ns, trouble=run.trouble)

        def stop_asked() -> bool:
            return run.interrupts.asked() or recorder.failure is not None or ledger.failure is not None

        tick = progress(journal, nemesis, run.plan.timing.load_ns, run.settings.notify)
        driver = ThreadDriver(
            run.plan, run.system.keyed(run.system.make_client), dial, nemesis, journal, clock, tick, stop_asked
        )
        if clients is not None:
            made = clients
            driver.client_of = lambda slot: run.system.keyed(made.client_of(slot))
        events = events_of(run.plan.intents)
        stack.enter_context(Following(hosts, service, dial, events, driver.happened, clock.now_ns, run.trouble))
        clock.started_ns = time.monotonic_ns()
        run.began = True
        with (
            run.phase("load", f"{run.plan.timing.load_ns / 1e9:g} s of load, seed {run.plan.seed}"),
            Sampler(injector, journal, clock, run.trouble),
        ):
            runner = driver.run()
        run.driven = True
        _keep_phases(run, runner, journal, recorder, ledger)
        with run.guarded("asking the nodes for their final states"):
            # Without a quiet period faults may still be active, or the user was in a hurry: the replicas' states then mean nothing.
            states, failures = _final_states(service, hosts, dial) if "quiet_end" in run.facts.phases else ({}, {})
            for node, error in failures.items():
                run.trouble.add(f"asking {node} for its final state", error)
            run.note(final_states=states)
        with run.guarded("asking the hosts for their clocks"):
            run.note(clock_offsets_ns=injector.monotonic_offsets_ns())


def _client_processes(run: Run, stack: ExitStack) -> ClientProcesses | None:
    """Start the processes of the clients, where the campaign asks for them, or the clients are programs; else return None."""
    if run.system.programs is None:
        return None
    file, options = run.system.programs
    with run.phase("clients"):
        slots = [*run.plan.slots, *run.plan.settling]
        made = ClientProcesses(file, options, slots, run.run_dir / CLIENTS_FOLDER)
    stack.callback(_end_clients, run, made)
    return made


def _end_clients(run: Run, clients: ClientProcesses) -> None:
    with run.guarded("ending the clients"):
        clients.close()


def _stop(run: Run, injector: HostInjector) -> None:
    with run.guarded("stopping the fault agents"):
        injector.stop()


def _keep_phases(run: Run, runner: Runner, journal: Journal, recorder: Recorder, ledger: Ledger) -> None:
    """Record the runner's marks. A file that could not be written completely becomes a gap and an error."""
    marks = dict(runner.marks)
    gaps: list[dict[str, Any]] = []
    for failure, part, name in ((recorder.failure, "history", HISTORY_FILE), (ledger.failure, "ledger", LEDGER_FILE)):
        if failure is not None:
            run.trouble.error(str(unwritable(run.run_dir / name, failure)))
            why = f"could not be written completely: {failure.strerror or failure}"
            gaps.append({"part": part, "name": name, "why": why, "tail": True})
    if run.interrupts.asked():
        run.trouble.error(ENDED_BY_USER)
    if run.interrupts.asked() or gaps:
        marks.pop("quiet_end", None)
    run.note(
        phases=marks,
        gaps=[*run.facts.gaps, *gaps],
        client_errors=journal.causes.top(),
        skipped=[*run.skipped, *never_begun(runner)],
    )


def _final_states(
    service: Service, hosts: Sequence[Host], dial: Dial
) -> tuple[dict[str, Mapping[str, Any]], Mapping[str, Exception]]:
    """Return the nodes' last states, and the errors of those that could not be asked.

    While states differ, the nodes are asked again for a moment: a last entry may be on its way.
    """
    deadline_s = time.monotonic() + SETTLE_S
    while True:
        answers = on_all(hosts, lambda host: status_of(service, host, dial))
        states = {name: state for name, state in answers.values.items() if state is not None}
        if (states_agree(states) and len(states) == len(hosts)) or not states or time.monotonic() > deadline_s:
            return states, answers.errors
        time.sleep(SETTLE_STEP_S)


def progress(journal: Journal, nemesis: Nemesis, load_ns: int, notify: Notify) -> Callable[[int, Phase], None]:
    """Make the function that the driver calls a few times a second."""

    def tick(now_ns: int, phase: Phase) -> None:
        notify(phase.value, journal.pulse.text(now_ns, load_ns, list(nemesis.active)))

    return tick
