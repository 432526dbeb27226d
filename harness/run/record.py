"""What a run left in its folder, and the `RunRecord` that checkers are given.

`run.json` holds what the driver alone knows: when phases ended, what every node said at the end, how far its clock was off, which faults
could not be carried out. Everything else is read from the files that were written while the run went on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from checkers.result import Fault, RunRecord
from histories import NEMESIS, History, HistoryError, read_history
from histories.formats import read
from histories.store import read_traces

from ..errors import CampaignError
from ..nemesis.ledger import read_ledger

RUN_FILE = "run.json"
BUGS_FILE = "harness-errors.txt"


@dataclass(frozen=True, slots=True)
class RunFacts:
    """The content of `run.json`. Times are run time in ns; `clock_offsets_ns` maps a node to (offset, ± error).

    `backends` says, by ability and host, by what means faults were done there. `left_out` are faults that the campaign asked to compose and that could not
    be: each a `sort` or a `fault`, with `why` and, where there is one, a `hint`. `errors` are the environment's, `bugs` the harness's own, each with its
    traceback. `client_errors` say why operations did not end ok (`causes.Causes.top`).
    """

    campaign: str
    seed: int
    command: str
    nodes: Sequence[str]
    voters: Mapping[str, int]
    expect: str = "valid"
    checks: str | Sequence[str] = "auto"
    phases: Mapping[str, int] = field(default_factory=dict)
    clock_offsets_ns: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    final_states: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    errors: Sequence[str] = ()
    bugs: Sequence[str] = ()
    client_errors: Sequence[Mapping[str, Any]] = ()
    elapsed_s: Mapping[str, float] = field(default_factory=dict)
    backends: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    left_out: Sequence[Mapping[str, Any]] = ()

    def write(self, run_dir: Path) -> None:
        (run_dir / RUN_FILE).write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        if self.bugs:
            (run_dir / BUGS_FILE).write_text("\n\n".join(self.bugs) + "\n", encoding="utf-8")


def read_facts(run_dir: Path) -> RunFacts:
    """Raises `CampaignError` when the folder holds no run that ended."""
    path = run_dir / RUN_FILE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CampaignError(
            f"{run_dir} holds no {RUN_FILE}: the run did not reach its end",
            hint=f"check its history alone: tri check {run_dir / 'history.jsonl'}",
        ) from None
    except json.JSONDecodeError as error:
        raise CampaignError(
            f"{path}:{error.lineno}: not JSON: {error.msg}", hint="the file was changed or cut"
        ) from None
    data["clock_offsets_ns"] = {node: tuple(pair) for node, pair in data["clock_offsets_ns"].items()}
    return RunFacts(**data)


def load_record(run_dir: Path) -> RunRecord:
    """Everything in a run's folder, for the checkers."""
    ledger = run_dir / "ledger.jsonl"
    faults = read_ledger(ledger) if ledger.exists() else ()
    return record_of(read_facts(run_dir), read_history(run_dir / "history.jsonl"), read_traces(run_dir), faults)


def states_agree(states: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether all nodes that answered say that they are at the same place in the same state."""
    return len({(state.get("index"), state.get("digest")) for state in states.values()}) <= 1


def record_of(
    facts: RunFacts, history: History, traces: Mapping[str, Sequence[Mapping[str, Any]]], faults: Sequence[Fault]
) -> RunRecord:
    """What checkers are given of a run."""
    return RunRecord(
        history=history,
        traces=traces,
        faults=faults,
        nodes=list(facts.nodes),
        voters=facts.voters,
        clock_offsets_ns=facts.clock_offsets_ns,
        phases=facts.phases,
        reachability=reachability_samples(history),
        final_states=facts.final_states,
        options=facts.options,
    )


def load_history_record(path: Path, format: str | None = None) -> RunRecord:
    """A bare history in any known format: the checkers that need only operations. One that makes no sense is refused with the place."""
    try:
        history = read(path, format)
        history.columns  # noqa: B018 (pairs invocations with completions, which may fail)
    except HistoryError as error:
        raise CampaignError(error.message, hint=error.hint or "name a history's file") from error
    return RunRecord(history=history)


def reachability_samples(history: History) -> list[tuple[int, dict[tuple[str, str], bool]]]:
    """The matrices that the nemesis sampled into the history."""
    return [
        (event.time_ns, {(source, target): bool(up) for source, target, up in event.value["links"]})
        for event in history.events
        if event.process == NEMESIS and event.f == "reachability"
    ]
