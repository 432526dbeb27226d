"""Reads a run's folder into plain values for the report, without judging or drawing.

Only `history.jsonl` is required. Anything else that is missing (the run was interrupted, or came from elsewhere) is empty in the report,
and `notes` says so, because a report must not look complete when it is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tribulation.checkers.base.result import Fault
from tribulation.histories import History, HistoryError, read_history

from ..errors import CampaignError
from ..evidence.documents import DocumentError, read_document, typed
from ..evidence.nemesis_events import well_formed
from ..evidence.reading import look_at, read_faults
from ..user_files.opening import read_text
from ..user_files.renamed import SHRINK, VERDICT, UnknownVersion, Words, current
from ..user_files.yaml_bounds import MOST_BYTES
from ..user_files.yaml_loader import parse_yaml
from ..wan import Regions
from .shape import ShrinkShape, VerdictShape

UNDECIDED: Mapping[str, Any] = {"verdict": "unknown", "checkers": {}, "faults": [], "phases": {}}
"""Stands in for `verdict.json` when the run has none."""


@dataclass(frozen=True, slots=True)
class ClockSample:
    """A host's wall clock minus the harness's, known to within `error_ns`, at `time_ns` of the run."""

    time_ns: int
    host: str
    offset_ns: int
    error_ns: int


@dataclass(frozen=True, slots=True)
class RunFiles:
    """A run's folder, read. `verdict` has the shape of `verdict.json`; `campaign_yaml` is the text as resolved; `shrink` is shrink.json."""

    folder: Path
    history: History
    verdict: Mapping[str, Any] = field(default_factory=lambda: UNDECIDED)
    faults: Sequence[Fault] = ()
    campaign_yaml: str = ""
    clocks: Sequence[ClockSample] = ()
    shrink: Mapping[str, Any] | None = None
    notes: Sequence[str] = ()
    regions: Mapping[str, str] = field(default_factory=dict)
    """The region of each node, where the campaign has regions."""


def load_run(folder: str | Path, history: History | None = None) -> RunFiles:
    """Read `folder`. Raises `CampaignError` when it is not a run or one of its documents is malformed, `HistoryError` when its history is and there is no
    verdict.

    `history` is that of its `history.jsonl`, if the caller already has it.
    """
    folder = Path(folder)
    history_path = folder / "history.jsonl"
    if not history_path.is_file():
        raise CampaignError(
            f"{folder} is not the folder of a run: it has no history.jsonl",
            "name a folder such as runs/latest or runs/<campaign>/<timestamp>",
        )
    notes: list[str] = []
    verdict = _read_json(folder / "verdict.json", VERDICT, VerdictShape)
    if history is None:
        history = _history(history_path, notes, judged=verdict is not None)
    if history.torn is not None:
        notes.append(
            "The last line of history.jsonl is torn: the harness ended while writing it. Everything before it is here."
        )
    if verdict is None:
        notes.append(
            "There is no verdict.json: the run ended before its history was checked (`tri check RUN` checks it now)."
        )
        verdict = UNDECIDED
    campaign = folder / "campaign.yaml"
    campaign_yaml = read_text(campaign, MOST_BYTES) if campaign.exists() else ""
    return RunFiles(
        folder=folder.resolve(),
        history=history,
        verdict=verdict,
        faults=_faults(folder, verdict, notes),
        campaign_yaml=campaign_yaml,
        clocks=_clocks(history),
        shrink=_read_json(folder / "shrink.json", SHRINK, ShrinkShape),
        notes=notes,
        regions=_regions(campaign_yaml, campaign),
    )


def _history(path: Path, notes: list[str], *, judged: bool) -> History:
    """Read the history. A judged run has a verdict to show even when its history cannot be read; the verdict names the gap."""
    try:
        return read_history(path)
    except HistoryError as error:
        if not judged:
            raise
        notes.append(f"history.jsonl cannot be read, so no operation is shown: {error.message.splitlines()[0]}")
        return History(())


def fault_from_json(value: Mapping[str, Any]) -> Fault:
    """A fault from its form in `verdict.json`. Unknown fields are left out; a fault without times began with the run."""
    return Fault(
        id=str(value.get("id", "?")),
        kind=str(value.get("kind", "?")),
        intended=value.get("intended") or {},
        observed=value.get("observed"),
        verified=bool(value.get("verified")),
        start_ns=int(value.get("start_ns") or 0),
        injected_ns=value.get("injected_ns"),
        heal_ns=value.get("heal_ns"),
        healed_ns=value.get("healed_ns"),
    )


def _faults(folder: Path, verdict: Mapping[str, Any], notes: list[str]) -> Sequence[Fault]:
    """The verdict's faults; without a verdict the ledger's, which is written before anything is done."""
    if verdict is not UNDECIDED:
        return [fault_from_json(value) for value in verdict.get("faults", ())]
    ledger = folder / "ledger.jsonl"
    if not ledger.is_file():
        return []
    faults, wrong = read_faults(ledger)
    notes += [f"ledger.jsonl: {wrong}"] if wrong else []
    return faults


def _clocks(history: History) -> list[ClockSample]:
    """Clock samples that the harness put into the history as nemesis lines `clock-offsets`: the wall clocks that the services saw."""
    return [
        ClockSample(
            event.time_ns,
            host,
            sample["wall_offset_ns"] + sample.get("shown_offset_ns", 0),
            sample["error_ns"],
        )
        for event in well_formed(history, "clock-offsets")
        for host, sample in event.value.items()
    ]


def _regions(campaign_yaml: str, path: Path) -> Mapping[str, str]:
    """Region by node. The campaign was checked when it was resolved; if it was made invalid since, there are no regions."""
    campaign, _ = parse_yaml(campaign_yaml, path)
    hosts = campaign.get("hosts") if isinstance(campaign, dict) else None
    sizes = hosts.get("regions") if isinstance(hosts, dict) else None
    usable = isinstance(sizes, dict) and all(type(size) is int and 0 < size <= 32 for size in sizes.values())
    return Regions(sizes).names if sizes and usable else {}


def _read_json(path: Path, words: Words, shape: Any) -> Any:
    """The content of that file, if it exists. Raises `CampaignError` when it does not have the shape."""
    try:
        document = current(read_document(path), words)
        typed(document, shape)
        look_at([fault_from_json(fault) for fault in document.get("faults", ())])
    except FileNotFoundError:
        return None
    except UnknownVersion as error:
        raise CampaignError(
            f"{path}: {error}", hint="a newer version of tri wrote it: read it with that version"
        ) from error
    except DocumentError as error:
        raise CampaignError(error.at(path), _HINTS[path.name]) from None
    except (TypeError, ValueError, OSError) as error:
        raise CampaignError(f"{path}: {error}", _HINTS[path.name]) from None
    return document


_HINTS = {
    "verdict.json": "remove it: then the report says that nothing was checked, and `tri check` checks the folder again",
    "shrink.json": "remove it, or shrink the run again",
}
