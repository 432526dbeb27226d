"""The parts of a run's folder that a replay reads: the plan, the record, the inputs of its nodes. Damage is refused with its place."""

from __future__ import annotations

from pathlib import Path

from tribulation.checkers.base.result import RunRecord
from tribulation.histories import HistoryError

from ..errors import CampaignError
from ..evidence.documents import required_document
from ..plugins.trust import plugins_of, require_trust
from ..run.outcome.run_folder import load_record
from ..run.plan.plan import Plan


def read_plan(run_dir: Path) -> Plan:
    """The plan of a run's folder. Raises `CampaignError` when it is missing or invalid."""
    path = run_dir / "plan.json"
    if not path.exists():
        raise CampaignError(f"{run_dir} holds no plan.json", hint="name the folder of a run: runs/latest")
    return read_plan_file(path, hint="the file was changed")


def read_plan_file(path: Path, hint: str) -> Plan:
    """The plan in a file, which may come from another user: its plugins are loaded only if the user trusts them."""
    document = required_document(path, hint=hint)
    options = document.get("options")
    require_trust(path, plugins_of(options) if isinstance(options, dict) else ())
    return Plan.from_json(document, str(path))


def read_record(run_dir: Path) -> RunRecord:
    """History, traces, faults and facts of a folder, as for the checkers."""
    try:
        return load_record(run_dir, refuse=True)
    except HistoryError as error:
        raise CampaignError(error.message, hint=error.hint) from error


def is_simulated(plan: Plan) -> bool:
    """Return whether the plan was carried out in the simulator, where the plan alone determines the run."""
    return bool(plan.options.get("hosts", {}).get("provider") == "sim")


def is_own(plan: Plan) -> bool:
    """Return whether the system under test was defined by a file of the user."""
    return plan.options["system"].get("file") is not None


def recordings(run_dir: Path) -> dict[str, list[Path]]:
    """Node → its recorded inputs, one file an incarnation, oldest first."""
    found: dict[str, list[Path]] = {}
    for path in sorted((run_dir / "inputs").glob("*/events-*.log")):
        found.setdefault(path.parent.name, []).append(path)
    return found


def recorded_verdict(run_dir: Path) -> str | None:
    """The verdict in the folder's verdict.json, if there is one."""
    path = run_dir / "verdict.json"
    if not path.exists():
        return None
    found = required_document(path, hint="`tri check` on the folder writes it again")
    return str(found.get("verdict"))


def checker_timeout_s(run_dir: Path) -> float:
    """The budget that the campaign gave each of its checkers."""
    from tribulation.checkers import Budget

    from ..campaign.load import load_recorded

    path = run_dir / "campaign.yaml"
    return load_recorded(path).checker_timeout / 1e9 if path.exists() else Budget().time_s
