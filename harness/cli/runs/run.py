"""`tri run CAMPAIGN`: everything from hosts to verdict."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..choices import Named
from ..ci.reporting import ci_options, reporting
from ..console import Talk
from ..options import CampaignType, PathType, json_option, runs_option, set_option, take_over_option, trust_option
from ..refusals import refuse_to_replace

if TYPE_CHECKING:
    from ...campaign.model import Campaign
    from ...run.outcome.verdict import Judgement


@click.command("run")
@click.argument("campaign", required=False, type=CampaignType())
@click.option(
    "--plan",
    type=PathType(exists=True, dir_okay=False),
    help="Run this plan.json in the simulator, instead of a campaign.",
)
@click.option(
    "--hosts", metavar="sim|local|qemu|vagrant|INVENTORY", help="Run on these hosts instead of the campaign's."
)
@click.option("--seed", type=click.IntRange(min=0), help="Determines the plan; by default random, and printed.")
@set_option
@runs_option()
@click.option(
    "--repeat",
    type=click.IntRange(1, 10_000),
    metavar="N",
    help="Run N times, each with the next seed, and print rates.",
)
@click.option(
    "--until",
    type=Named("verdict", ("invalid", "unknown", "valid")),
    help="With --repeat: stop after the first such verdict.",
)
@click.option("--keep", is_flag=True, help="Leave hosts and system up after the run.")
@click.option(
    "--attach",
    is_flag=True,
    help="Test the cluster that `tri deploy up` installed on the inventory's hosts, without changing it.",
)
@take_over_option
@trust_option
@click.option("-q", "--quiet", is_flag=True, help="Print only the result and errors.")
@click.option("-v", "--verbose", is_flag=True, help="Also print the whole plan as JSON, before the run begins.")
@ci_options
@json_option
def command(
    campaign: Path | None,
    plan: Path | None,
    hosts: str | None,
    seed: int | None,
    overrides: tuple[str, ...],
    runs: Path,
    repeat: int | None,
    until: str | None,
    keep: bool,
    attach: bool,
    take_over: bool,
    quiet: bool,
    verbose: bool,
    junit: Path | None,
    fail_on: str,
    as_json: bool,
) -> int:
    """Run CAMPAIGN, a YAML file or a name of `tri list campaigns`, and report whether the system kept its promises.

    Exit code: 0 valid, 1 anomaly found, 2 bad campaign, 3 unknown, 4 environment; with --repeat the worst of all runs: 1, then 70, 4, 3, 0.
    """
    if quiet and verbose:
        raise click.UsageError("--quiet and --verbose exclude each other", click.get_current_context())
    talk = Talk(quiet, verbose)
    asked = {"keep": keep, "attach": attach, "take_over": take_over}
    if repeat is not None:
        if plan is not None or keep or junit is not None or fail_on != "unknown":
            raise click.UsageError("--repeat cannot be combined with --plan, --keep, --junit or --fail-on")
        path, loaded = _loaded(campaign, hosts, seed, overrides, talk)

        def run(one: int) -> Judgement:
            seeded = loaded.model_copy(update={"seed": one})
            return _run_loaded(path, seeded, hosts, overrides, runs, asked, talk)

        return _repeated(run, loaded, repeat, until, talk, as_json)
    if until is not None:
        raise click.UsageError("--until needs --repeat N")
    for read in (plan or campaign, Path(hosts) if hosts else None):
        refuse_to_replace(read, junit=junit)
    with reporting(junit, fail_on) as report:
        if plan is not None:
            changed = hosts or seed is not None or bool(overrides) or attach
            return report.print(_run_plan(campaign, plan, changed, runs, talk), as_json)
        path, loaded = _loaded(campaign, hosts, seed, overrides, talk)
        return report.print(_run_loaded(path, loaded, hosts, overrides, runs, asked, talk), as_json)


def _repeated(
    run: Callable[[int], Judgement], loaded: Campaign, times: int, until: str | None, talk: Talk, as_json: bool
) -> int:
    """Run with consecutive seeds. After an interruption, report the completed runs."""
    from ...run.interrupts import Interrupted
    from .repeating import repeats, report

    assert loaded.seed is not None
    seeds, about, found = range(loaded.seed, loaded.seed + times), {"campaign": loaded.name}, []
    try:
        for one in repeats(run, seeds, until, talk.say):
            found.append(one)
    except (Interrupted, KeyboardInterrupt):
        if found:
            report(found, times, until, about, as_json)
        raise
    return report(found, times, until, about, as_json)


def _loaded(
    campaign: Path | None, hosts: str | None, seed: int | None, overrides: tuple[str, ...], talk: Talk
) -> tuple[Path, Campaign]:
    """Return the campaign's path, and the campaign with a seed, which is drawn if it has none."""
    if campaign is None:
        raise click.UsageError("Missing argument 'CAMPAIGN'.")
    talk.say(f"campaign {campaign}")
    if seed is not None:
        _refuse_two_seeds(seed, overrides)
    from ...campaign.load import load_campaign

    loaded = load_campaign(campaign, [*overrides, *([f"seed={seed}"] if seed is not None else [])], hosts)
    if loaded.seed is None:
        # Imported late, because it takes a second and a wrong campaign does not need it.
        from ...run.plan.build import make_plan

        loaded = loaded.model_copy(update={"seed": make_plan(loaded, campaign.parent).seed})
    return campaign, loaded


def _refuse_two_seeds(seed: int, overrides: tuple[str, ...]) -> None:
    """Refuse two different seeds, because it would not be clear which one is used."""
    from ...errors import CampaignError

    for name, _, value in (override.partition("=") for override in overrides):
        if name.strip() == "seed" and value.strip() != str(seed):
            raise CampaignError(
                f"--seed {seed} and --set seed={value} are two different seeds", hint="use only one of them"
            )


def _run_loaded(
    campaign: Path,
    loaded: Campaign,
    hosts: str | None,
    overrides: tuple[str, ...],
    runs: Path,
    asked: Mapping[str, bool],
    talk: Talk,
) -> Judgement:
    from ...run.outlook import outlook
    from ...run.settings import Settings

    assert loaded.seed is not None
    repeat = repeat_command(campaign, hosts, loaded.seed, overrides) + (" --attach" if asked["attach"] else "")
    talk.say(f"seed {loaded.seed} · {loaded.hosts.provider} hosts · repeat with: {repeat}")
    talk.say(str(outlook(loaded, campaign.parent)))
    with talk.progress() as progress:
        settings = Settings(
            repeat, campaign.parent, runs, progress.show, **asked, notify_lines=talk.say_all, hint=progress.note
        )
        if loaded.hosts.provider == "sim" and not asked["attach"]:
            from ...run.simulated import run_in_simulator

            return run_in_simulator(loaded, settings)
        from ...run.pipeline import run_on_hosts

        return run_on_hosts(loaded, settings)


def _run_plan(campaign: Path | None, path: Path, changed: str | bool, runs: Path, talk: Talk) -> Judgement:
    """Run a plan in the simulator. Other options are refused, because a plan determines everything."""
    from ...campaign.load import load_recorded
    from ...campaign.simulable import require_simulable
    from ...errors import CampaignError
    from ...failures.folder import read_plan_file
    from ...plugins.trust import repeat_by
    from ...run.outlook import outlook_of_plan
    from ...run.settings import Settings, open_run_folder
    from ...run.simulated import write_run
    from ...shrink.folder import campaign_of

    if campaign is not None or changed:
        raise CampaignError(
            f"--plan {path} is run unchanged, without a campaign, hosts, a seed or --set",
            hint="omit the others, or change the file",
        )
    plan = read_plan_file(path, hint="name the plan.json of a run's folder")
    require_simulable(plan.options["system"], str(path))
    beside = path.parent / "campaign.yaml"
    known = load_recorded(beside) if beside.exists() else campaign_of(plan, None, str(path))
    talk.say(f"plan {path} · seed {plan.seed} · sim hosts")
    talk.say(str(outlook_of_plan(plan)))
    repeat = repeat_by(["tri", "run", "--plan", path.resolve()], plan.options)
    with talk.progress() as progress:
        settings = Settings(repeat, path.parent, runs, progress.show, notify_lines=talk.say_all, hint=progress.note)
        return write_run(known, plan, settings, open_run_folder(known, plan, settings))


def repeat_command(campaign: Path, hosts: str | None, seed: int, overrides: tuple[str, ...]) -> str:
    """Return the command that runs the same plan again."""
    from ...campaign.packaged import name_of

    words = ["tri", "run", name_of(campaign), "--seed", str(seed)]
    if hosts is not None:
        words += ["--hosts", hosts]
    for override in overrides:
        if override.partition("=")[0].strip() != "seed":
            words += ["--set", override]
    # File names that are not UTF-8 have surrogates, which cannot be written: they become escapes.
    return os.fsencode(shlex.join(words)).decode("utf-8", "backslashreplace")
