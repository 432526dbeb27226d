"""`tri replay RUN|HISTORY`: make what was recorded happen again, and say how exactly it did."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from .console import COLOURS, Progress, out

if TYPE_CHECKING:
    from ..replay.simulated import SimulatedReplay

EXIT_EQUAL, EXIT_DIFFERS, EXIT_UNKNOWN = 0, 1, 3
SHOWN_DIFFERENCES = 3


@click.command("replay")
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--keep", is_flag=True, help="Write the replay as a run folder of its own.")
@click.option(
    "--runs",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Where kept replays go.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document.")
def command(target: Path, keep: bool, runs: Path, as_json: bool) -> int:
    """Replay TARGET, a run's folder.

    Exit code: 0 it happened again, 1 something differs, 2 usage, 3 nothing can be concluded.
    """
    from ..errors import CampaignError
    from ..replay.folder import is_simulated, read_plan

    if not target.exists():
        raise CampaignError(f"{target}: no such file or folder", hint="`tri list runs` shows runs")
    if is_simulated(read_plan(target)):
        return _simulated(target, keep, runs, as_json)
    raise CampaignError(f"{target} is no simulated run", hint="give a run of --hosts sim")


def _simulated(target: Path, keep: bool, runs: Path, as_json: bool) -> int:
    from ..replay.folder import recorded_verdict
    from ..replay.simulated import replay_simulated

    with Progress() as progress:
        progress.show("replay", "the plan again, in the simulator")
        replay = replay_simulated(target)
        kept = _keep(target, runs, progress) if keep else None
    if as_json:
        _print_json({**replay.to_json(), "run": str(target), "kept": kept})
    else:
        _print_simulated(replay, recorded_verdict(target))
        _print_kept(kept)
    if replay.equal:
        return EXIT_EQUAL
    return EXIT_DIFFERS if replay.same_core else EXIT_UNKNOWN


def _print_simulated(replay: SimulatedReplay, recorded: str | None) -> None:
    print_cores({replay.cores[0]}, replay.cores[1])
    steps = replay.done.cluster.digest.steps
    verdict = replay.judgement.verdict.value
    if replay.equal:
        history = len(replay.done.record.history)
        lines = sum(len(trace) for trace in replay.done.record.traces.values())
        out.print(
            f"[green]equal[/]  {steps} steps, {history} lines of history, {lines} of traces; digest {replay.digest}"
        )
        if replay.recorded is None:
            out.print("  the run recorded no digest: its lines were compared, its steps could not be")
    else:
        out.print(f"[red]differs[/]  digest {replay.digest}, recorded {replay.recorded}")
        _print_where(replay)
    was = "" if recorded in (None, verdict) else f" (recorded: {recorded})"
    out.print(f"verdict  [{COLOURS[verdict]}]{verdict}[/]{was}")


def _print_where(replay: SimulatedReplay) -> None:
    if replay.unsteady is not None:
        out.print(
            f"  two replays differ from each other: the simulator is not deterministic here\n  {escape(replay.unsteady)}"
        )
    if replay.window is not None:
        window = replay.window
        out.print(f"  the steps part after step {window.after}, at step {window.until} at the latest; in the replay:")
        out.print(f"    {escape(window.span)}")
    elif replay.recorded == replay.digest:
        out.print("  every step is equal: the folder's files were changed, or something beside the nodes differs")
    if not replay.differences:
        out.print("  history and traces are equal: the difference is in steps that traced nothing, or in faults")
    for difference in replay.differences[:SHOWN_DIFFERENCES]:
        for line in difference.told():
            out.print(f"  {escape(line)}")
    if len(replay.differences) > SHOWN_DIFFERENCES:
        out.print(f"  … and {len(replay.differences) - SHOWN_DIFFERENCES} more files differ, later")


def print_cores(recorded: set[str | None], here: str) -> None:
    """Said first, because it may explain everything that follows."""
    if recorded == {here}:
        return
    others = sorted(core for core in recorded if core not in (None, "", here))
    if others:
        told = ", ".join(others)
        out.print(
            f"[yellow]another core[/]  recorded with core {told}, this is core {here}: differences may come from that"
        )
    else:
        out.print(f"[yellow]unknown core[/]  the recording does not say which core ran; this is core {here}")


def _keep(target: Path, runs: Path, progress: Progress) -> str:
    """The plan again, as a whole run."""
    from ..campaign.load import load_campaign
    from ..replay.folder import read_plan
    from ..run.execute import Settings, open_run_folder
    from ..run.simulated import write_run

    campaign, plan = load_campaign(target / "campaign.yaml"), read_plan(target)
    settings = Settings(f"tri replay {target} --keep", target, runs, progress.show)
    run_dir = open_run_folder(campaign, plan, settings)
    write_run(campaign, plan, settings, run_dir)
    return str(run_dir)


def _print_kept(kept: str | None) -> None:
    if kept is not None:
        out.print(f"run      {escape(kept)}")


def _print_json(document: Mapping[str, Any] | Sequence[Any]) -> None:
    out.print_json(json.dumps(document, default=str))
