"""`tri check RUN|HISTORY`: judge what was recorded, again."""

from __future__ import annotations

import json
from pathlib import Path

import click

from .console import out
from .outcome import print_judgement


@click.command("check")
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--checker", "checkers", multiple=True, help="Only this checker; may be given several times.")
@click.option(
    "--time",
    "time_s",
    type=click.FloatRange(min=0.1),
    default=60.0,
    show_default=True,
    help="Budget of each checker in seconds.",
)
@click.option(
    "--memory",
    "memory_mb",
    type=click.IntRange(min=64),
    default=4096,
    show_default=True,
    help="Budget of each checker in MB.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document.")
def command(target: Path, checkers: tuple[str, ...], time_s: float, memory_mb: int, as_json: bool) -> int:
    """Check TARGET, a run's folder or a history file (JSONL).

    Exit code: 0 valid, 1 anomaly found, 2 usage, 3 unknown.
    """
    from checkers import Budget
    from checkers.registry import CHECKERS

    from ..errors import CampaignError
    from ..run.verdict import judge
    from ..yaml_positions import suggest

    for name in checkers:
        if name not in CHECKERS:
            raise CampaignError(f"no checker {name!r}", hint=suggest(name, list(CHECKERS)))
    if not target.exists():
        raise CampaignError(
            f"{target}: no such file or folder",
            hint="give a run's folder or a history file; `tri list runs` shows runs",
        )
    judgement = judge(target, list(checkers), Budget(time_s, memory_mb))
    if as_json:
        out.print_json(json.dumps(judgement.document, default=str))
    else:
        print_judgement(judgement)
    return judgement.exit_code
