"""The settings of a run, and the folder that it begins with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tribulation.histories.files.store import RunStore

from ..campaign.load import dump_campaign
from ..campaign.model import Campaign
from ..evidence.seal import CAMPAIGN_FILE, PLAN_FILE
from ..evidence.writing import writing
from ..plugins.copying import code_digests, copy_adapter, copy_plugins, with_kept
from ..progress import Notify, silent
from .outcome.run_folder import facts_of_plan
from .plan.plan import Plan


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of this run. `command` repeats it (the seed is added); `directory` is the campaign file's.

    `attach`: use the cluster that is deployed there. `take_over`: break stale claims on the hosts. `notify_lines`: report documents in full, for
    users that asked for them. `hint`: report an early finding of the run, for users who watch it; None: nothing is looked for.
    """

    command: str
    directory: Path
    runs: Path
    notify: Notify
    keep: bool = False
    attach: bool = False
    take_over: bool = False
    notify_lines: Notify = silent
    hint: Callable[[str], None] | None = None


def open_run_folder(
    campaign: Campaign, plan: Plan, settings: Settings, traced: Sequence[str] = (), programs: Sequence[Path] = ()
) -> Path:
    """Make the folder with what is known before anything happens: the resolved campaign, the plan, and facts in the state "open".

    `traced` are the nodes that will leave traces, `programs` the files of client programs. Raises `RunFolderError`."""
    with writing(settings.runs):
        run_dir = RunStore(settings.runs).create(campaign.name)
        kept = copy_plugins(campaign.plugins, run_dir)
        copy_adapter(campaign.system.file, settings.directory, run_dir, programs)
        code = code_digests(run_dir)
        resolved = campaign.model_copy(update={"seed": plan.seed, "plugins": list(kept.values())})
        (run_dir / CAMPAIGN_FILE).write_text(dump_campaign(resolved), encoding="utf-8")
        document = with_kept(plan.to_json(), run_dir)
        RunStore.write_json(run_dir / PLAN_FILE, document)
    replace(facts_of_plan(document, settings.command, traced), code=code).write(run_dir)
    return run_dir
