"""Files that a run left in its folder, and the `RunRecord` made from it for the checkers.

`run.json` holds what only the driver knows: when phases ended, the state of every node at the end, how far its clock was off, which faults
could not be carried out. Everything else is read from the files written during the run. `run.json` is written as soon as there is a plan, in
the state "open", and again whenever something becomes known. At the end it is "sealed" and holds the digests of the other files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tribulation.checkers.base.result import Fault, Gap, RunRecord
from tribulation.checkers.sources import as_record
from tribulation.checkers.traces.state_digests import scheme_of
from tribulation.checkers.traces.traces import trace_gaps
from tribulation.histories import History, HistoryError
from tribulation.histories.files.store import RunStore
from tribulation.histories.formats import read

from ...errors import CampaignError
from ...evidence.documents import DocumentError, read_document, typed
from ...evidence.nemesis_events import well_formed
from ...evidence.reading import OPEN, SEALED, Evidence, Expected, has_faults, read_evidence
from ...evidence.seal import PLAN_FILE, RUN_FILE, Files, part_of, place_of, seal
from ...evidence.writing import writing
from ...user_files.renamed import PLAN, RUN, SCHEMA, UnknownVersion, current, written

DIGEST = "digest"
"""In `run.json`: SHA-256 of the rest. The file vouches for the other files, so a change of it must show."""
BUGS_FILE = "harness-errors.txt"


@dataclass(frozen=True, slots=True)
class RunFacts:
    """The content of `run.json`. Times are run time in ns; `clock_offsets_ns` maps a node to (offset, ± error), `boot_offsets_ns` one whose host was
    booted again to those of its boots, by the first incarnation of each.

    `backends` says, by ability and host, by what means faults were done there. `skipped` are faults that the campaign asked to compose and that could
    not be: each a `sort` or a `fault`, with `why` and, where there is one, a `hint`. `errors` are the environment's, `bugs` the harness's own, each
    with its traceback. `client_errors` say why operations did not end ok (`causes.Causes.top`). `state` is "open" or "sealed" (empty: written by a
    version without seals), `files` the seal. `traced` are the nodes that must leave traces. `uncollected` are files of hosts that could not be had:
    `host`, `file`, `why`. `gaps` are others that the run noticed itself: `part`, `name`, `why`, `tail`. `truth` is what the simulator alone knows
    (`tribulation.checkers.liveness.simulated_truth`). `judged_by`: see `Plan.judged_by`. `plugins` are files below the run's folder. `code`: SHA-256
    of each file of the user's code there (adapter and plugins), by its name.
    """

    campaign: str
    seed: int
    command: str
    nodes: Sequence[str]
    voters: Mapping[str, int]
    expect: str = "valid"
    checkers: str | Sequence[str] = "auto"
    phases: Mapping[str, int] = field(default_factory=dict)
    clock_offsets_ns: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    boot_offsets_ns: Mapping[str, Mapping[int, tuple[int, int]]] = field(default_factory=dict)
    final_states: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    errors: Sequence[str] = ()
    bugs: Sequence[str] = ()
    client_errors: Sequence[Mapping[str, Any]] = ()
    elapsed_s: Mapping[str, float] = field(default_factory=dict)
    backends: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    skipped: Sequence[Mapping[str, Any]] = ()
    state: str = ""
    files: Files = field(default_factory=dict)
    traced: Sequence[str] = ()
    uncollected: Sequence[Mapping[str, str]] = ()
    gaps: Sequence[Mapping[str, Any]] = ()
    truth: Mapping[str, Any] = field(default_factory=dict)
    judged_by: Mapping[str, Sequence[str]] = field(default_factory=dict)
    plugins: Sequence[str] = ()
    code: Mapping[str, str] = field(default_factory=dict)

    def write(self, run_dir: Path) -> None:
        """Write `run.json`, and the tracebacks of bugs. Raises `RunFolderError`."""
        with writing(run_dir / RUN_FILE):
            document = json.loads(json.dumps(written(asdict(self)), default=str))
            RunStore.write_json(run_dir / RUN_FILE, {**document, DIGEST: _digest(document)})
            if self.bugs:
                (run_dir / BUGS_FILE).write_text("\n\n".join(self.bugs) + "\n", encoding="utf-8")

    def sealed(self, run_dir: Path) -> RunFacts:
        """Write the facts with the seal of all files that are now in the folder, and return them."""
        with writing(run_dir):
            found = replace(self, state=SEALED, files=seal(run_dir))
        found.write(run_dir)
        return found


def facts_of_plan(plan: Mapping[str, Any], command: str = "", traced: Sequence[str] = ()) -> RunFacts:
    """Return what is known as soon as there is a plan, given as its JSON."""
    options = plan["options"]
    return RunFacts(
        campaign=plan["campaign"],
        seed=plan["seed"],
        command=command,
        nodes=list(plan["nodes"]),
        voters=dict(plan["voters"]),
        expect=options.get("expect", "valid"),
        checkers=options.get("checkers", "auto"),
        options=dict(options.get("checker_options", {})),
        state=OPEN,
        traced=list(traced),
        judged_by=dict(plan.get("judged_by", {})),
        plugins=list(options.get("plugins", ())),
    )


def read_facts(run_dir: Path) -> RunFacts:
    """Return the content of `run.json`. When it cannot be read: the facts of the plan, with a gap for `run.json`.

    Raises `CampaignError` when neither can be read.
    """
    path = run_dir / RUN_FILE
    try:
        return _facts(read_document(path))
    except FileNotFoundError:
        why, error = "is missing", "there is none"
    except OSError as wrong:
        why = error = f"cannot be read: {wrong.strerror}"
    except DocumentError as wrong:
        why = error = f"is not what a run writes: {wrong}"
    try:
        facts = typed(asdict(facts_of_plan(current(read_document(run_dir / PLAN_FILE), PLAN))), RunFacts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        history = run_dir / "history.jsonl"
        alone = f"check only its history: tri check {history}"
        raise CampaignError(
            f"{run_dir} has no run: {RUN_FILE}: {error}; and no {PLAN_FILE} that can be read",
            hint=alone if history.exists() else "give a run's folder; `tri list runs` shows runs",
        ) from None
    return replace(facts, gaps=[{"part": "run", "name": RUN_FILE, "why": why}])


def _facts(document: dict[str, Any]) -> RunFacts:
    """Return the facts in a document. Raises `DocumentError` if it was changed, or is not one of a run."""
    digest = document.pop(DIGEST, None)
    if digest is None and SCHEMA in document:
        raise DocumentError("it has no digest, although its version writes one")
    if digest is not None and digest != _digest(document):
        raise DocumentError("its digest is not that of its content")
    try:
        facts = typed(current(document, RUN), RunFacts)
    except UnknownVersion as error:
        raise DocumentError(str(error)) from error
    if isinstance(facts.checkers, str) and facts.checkers != "auto":
        raise DocumentError(f"checkers is {facts.checkers!r}")
    return facts


def _digest(document: Mapping[str, Any]) -> str:
    text = json.dumps(document, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def reached_its_end(run_dir: Path) -> bool:
    """Return whether a run that ended in order left this folder."""
    return (run_dir / RUN_FILE).exists() and read_facts(run_dir).state != OPEN


def load_record(run_dir: Path, facts: RunFacts | None = None, *, refuse: bool = False) -> RunRecord:
    """Everything in a run's folder, for the checkers, with its gaps. `facts`: these instead of its own. `refuse`: see `read_evidence`."""
    facts = facts or read_facts(run_dir)
    return _record(facts, read_evidence(run_dir, _expected(run_dir, facts), refuse=refuse))


def _expected(run_dir: Path, facts: RunFacts) -> Expected:
    uncollected = [
        Gap(part, place, f"could not be collected: {one['why']}")
        for one in facts.uncollected
        for part, place in [_place(one)]
    ]
    return Expected(
        state=facts.state,
        files=facts.files,
        traced=facts.traced,
        faults_planned=has_faults(run_dir / PLAN_FILE),
        ended="end" in facts.phases,
        known=[*(Gap(**gap) for gap in facts.gaps), *uncollected],
    )


def _place(uncollected: Mapping[str, str]) -> tuple[str, str]:
    """The part and the place below the run's folder of a file that could not be collected; `*` stands for all of a host."""
    host, name = uncollected["host"], uncollected["file"]
    if name == "*":
        return "log", host
    place = place_of(host, name)
    return part_of(place), place


def states_agree(states: Mapping[str, Mapping[str, Any]]) -> bool:
    """Return whether all nodes that answered report the same position, and the same state as far as their digests can be compared."""
    digests = {state.get("digest") for state in states.values()}
    return len({state.get("index") for state in states.values()}) <= 1 and len(digests) == len(
        {scheme_of(digest) for digest in digests}
    )


def record_of(
    facts: RunFacts, history: History, traces: Mapping[str, Sequence[Mapping[str, Any]]], faults: Sequence[Fault]
) -> RunRecord:
    """Return the record of a run of which nothing is missing, for the checkers."""
    return _record(facts, Evidence(history, traces, faults))


def _record(facts: RunFacts, evidence: Evidence) -> RunRecord:
    return RunRecord(
        history=evidence.history,
        traces=evidence.traces,
        faults=evidence.faults,
        nodes=list(facts.nodes),
        voters=facts.voters,
        clock_offsets_ns=facts.clock_offsets_ns,
        boot_offsets_ns=facts.boot_offsets_ns,
        phases=facts.phases,
        reachability=reachability_samples(evidence.history),
        final_states=facts.final_states,
        options=facts.options,
        truth=facts.truth,
        judged_by=facts.judged_by,
        gaps=(*evidence.gaps, *_unnumbered(evidence)),
        is_run=True,
        attached="attach" in facts.elapsed_s,
    )


def _unnumbered(evidence: Evidence) -> list[Gap]:
    """Gaps that traces show by their own numbering. Traces without numbers show none."""
    return trace_gaps({node: lines for node, lines in evidence.traces.items() if lines and "seq" in lines[0]})


def load_history_record(path: Path, format: str | None = None) -> RunRecord:
    """A bare history in any known format: for the checkers that need only operations. A malformed one is refused with the place."""
    try:
        history = read(path, format)
        history.columns  # noqa: B018 (pairs invocations with completions, which may fail)
    except HistoryError as error:
        raise CampaignError(error.message, hint=error.hint or "name a history's file") from error
    return as_record(history)


def reachability_samples(history: History) -> list[tuple[int, dict[tuple[str, str], bool]]]:
    """The matrices that the nemesis sampled into the history."""
    return [
        (
            event.value.get("sampled_ns", event.time_ns),
            {(source, target): bool(up) for source, target, up in event.value["links"]},
        )
        for event in well_formed(history, "reachability")
    ]
