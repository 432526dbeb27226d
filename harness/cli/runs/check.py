"""`tri check RUN|HISTORY`: check a recording again."""

from __future__ import annotations

from pathlib import Path

import click

from ..choices import Later, Named, history_formats, levels, models, unknown
from ..choices import checkers as checker_names
from ..ci.reporting import ci_options, reporting
from ..options import DurationType, PathType, json_option, renamed_option, trust_option
from ..refusals import refuse_to_replace


@click.command("check")
@click.argument("target", type=PathType())
@click.option(
    "--format",
    "format_name",
    type=Named("history format", history_formats),
    help="The format of a history file; detected by default.",
)
@click.option(
    "--model",
    type=Named("model", models),
    help="The kind of the history: register, kv, queue, list-append …; inferred by default.",
)
@click.option(
    "--consistency",
    type=Named("consistency level", levels),
    help="The required isolation level of transactions: serializable, snapshot-isolation, causal …",
)
@click.option("--exact", is_flag=True, help="Give no verdict from conditions that are only necessary; search instead.")
@click.option("--explain", is_flag=True, help="Print each witness among the operations around it.")
@click.option(
    "--certificate",
    type=PathType(dir_okay=False),
    help="Write the order that proves a valid verdict to this file (JSON).",
)
@click.option(
    "--checker",
    "checkers",
    type=Later("checker", checker_names),
    multiple=True,
    help="Run only this checker; can be repeated.",
)
@renamed_option("--time", "--checker-timeout", has_value=True)
@click.option(
    "--checker-timeout",
    "time_s",
    type=DurationType(),
    default="60s",
    show_default=True,
    help="Time limit of each checker.",
)
@click.option(
    "--memory",
    "memory_mb",
    type=click.IntRange(min=64),
    default=4096,
    show_default=True,
    help="Memory limit of each checker in MB.",
)
@ci_options
@trust_option
@json_option
def command(
    target: Path,
    format_name: str | None,
    model: str | None,
    consistency: str | None,
    exact: bool,
    explain: bool,
    certificate: Path | None,
    checkers: tuple[str, ...],
    time_s: float,
    memory_mb: int,
    junit: Path | None,
    fail_on: str,
    as_json: bool,
) -> int:
    """Check TARGET, a run's folder or a history file in any format that `tri convert` reads.

    Exit code: 0 valid, 1 anomaly found, 2 usage, 3 unknown.
    """
    from tribulation.checkers import Budget

    from ...run.outcome.verdict import Asked, judge
    from ..asked import begun_certificate, known_level, known_model, write_certificate

    refuse_to_replace(target, junit=junit, certificate=certificate)
    with reporting(junit, fail_on) as report:
        _require_known(target, checkers)
        order = None if certificate is None else begun_certificate(certificate)
        asked = Asked(known_model(model), known_level(consistency), exact, order is not None)
        judgement = judge(target, list(checkers), Budget(time_s, memory_mb), format=format_name, asked=asked)
        code = report.print(judgement, as_json)
        if order is not None:
            write_certificate(order, judgement.results)
    if explain and not as_json:
        from .explain import print_witnesses

        print_witnesses(judgement)
    return code


def _require_known(target: Path, checkers: tuple[str, ...]) -> None:
    """Refuse a missing target, and checkers that the package and the run do not have."""
    from tribulation.checkers.registry import CHECKERS

    from ...errors import CampaignError
    from ...plugins.copying import FOLDER, load_kept
    from ...plugins.trust import HINT, trusted
    from ...run.outcome.run_folder import read_facts

    if trusted() and any(name not in CHECKERS for name in checkers) and (target / "plan.json").is_file():
        load_kept(target, read_facts(target).plugins)
    for name in checkers:
        if name not in CHECKERS:
            if not trusted() and (target / FOLDER).is_dir():
                raise CampaignError(f"--checker: no checker {name!r} without the plugins of this run", hint=HINT)
            raise unknown("checker", name, CHECKERS, "--checker")
    if not target.exists():
        raise CampaignError(
            f"{target}: no such file or folder",
            hint="give a run's folder or a history file; `tri list runs` shows runs",
        )
