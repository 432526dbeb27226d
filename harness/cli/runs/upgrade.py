"""`tri upgrade FILE...`: campaigns of an older version, rewritten with the names of this one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..console import say
from ..options import PathType
from ..refusals import writing_named

if TYPE_CHECKING:
    from ...user_files.renamed import Old


@click.command("upgrade")
@click.argument("files", nargs=-1, required=True, type=PathType(dir_okay=False), metavar="FILE...")
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 if a campaign has old names.")
def command(files: tuple[Path, ...], check: bool) -> int:
    """Rewrite campaigns of an older version. Comments and layout stay as they are.

    Exit code: 0 all files have the names of this version now, 1 some do not (--check), 2 wrong usage or a file that is not a campaign.

    \b
    tri upgrade mine.yaml
    tri upgrade --check campaigns/*.yaml
    """
    from tribulation.histories.files.opening import write_whole

    from ...user_files.opening import read_text
    from ...user_files.yaml_bounds import MOST_BYTES

    done = [(path, *_of_a_campaign(read_text(path, MOST_BYTES), path)) for path in files]
    for path, text, found in done:
        changes = ", ".join(dict.fromkeys(f"{old.old} → {old.new}" for old in found))
        say(f"{path}: {changes or 'has the names of this version'}")
        if found and not check:
            with writing_named(path, hint="the file was not changed"):
                write_whole(path, text)
    return 1 if check and any(found for _, _, found in done) else 0


def _of_a_campaign(text: str, path: Path) -> tuple[str, list[Old]]:
    """Upgrade a campaign's text. Raises `CampaignError` for a file that is not a campaign, because it must not be reported as up to date."""
    from ...campaign.upgrade import upgraded
    from ...errors import CampaignError
    from ...user_files.yaml_loader import parse_yaml

    found = upgraded(text, path)
    data, _ = parse_yaml(found[0], path)
    if not isinstance(data, dict) or not {"name", "workloads"} & data.keys():
        raise CampaignError(
            f"{path} is not a campaign: a mapping with `name` and `workloads`", hint="see docs/reference/campaign.md"
        )
    return found
