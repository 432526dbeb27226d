"""Power models: which unsynced writes a power loss loses, and which model a run uses.

`journaled` does what file systems with a journal may do, `strict` the most that POSIX allows; `agent/fault_disk` implements them. The reference node
and the simulator use `strict`, other systems `journaled` unless their campaign says otherwise. A disk has one model, so a run has one. Intents
without a model are of `strict`: plans and ledgers from before there were two have none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from typing import Any

from ...errors import CampaignError
from .disk_effects import CRASHES
from .fault import Intent


class PowerModel(str, Enum):
    JOURNALED = "journaled"
    STRICT = "strict"


WHAT_IS_LOST = "which unsynced writes are lost: those that a journaling file system may lose, or all that POSIX allows; the default depends on the system"
"""Description of the field `model`."""

JOURNALED, STRICT, NOTHING = "journaled", "strict", "none"
STRICTER = (
    "found under the strict power model, which loses more than journaling file systems: without a sync of the directory it loses names "
    "that ext4 and XFS keep; `model: journaled` shows which anomalies remain"
)
UNTOUCHED = "the power loss lost no write, because the system declares no `data_directory`; so the run proves nothing about durability"


def loses_writes(kind: str, what: Mapping[str, Any]) -> bool:
    """Return whether a fault, by its parameters or its resolved form, loses unsynced writes."""
    return kind == "power" or (kind == "disk" and what.get("effect") in CRASHES)


def with_model(intents: Sequence[Intent], default: str | None, simulated: bool) -> list[Intent]:
    """Return all intents; those that lose writes get the model that their campaign named, else `default` (None: nothing is added). Raises `CampaignError`
    for two models, and for `journaled` in the simulator.
    """
    losing = [intent for intent in intents if loses_writes(intent.kind, intent.parameters)]
    named = {intent.parameters["model"] for intent in losing if "model" in intent.parameters}
    if len(named) > 1:
        raise CampaignError(
            f"faults of one campaign name two power models, {' and '.join(sorted(named))}: a disk can only have one",
            "use the same `model` in all `power` and `disk` faults, or write two campaigns",
        )
    if simulated and JOURNALED in named:
        hint = "remove `model`, or run the campaign on hosts"
        raise CampaignError("the simulator's disks support only the strict power model", hint)
    model = next(iter(named), default)
    if model is None:
        return list(intents)
    return [
        replace(intent, parameters={**intent.parameters, "model": model}) if intent in losing else intent
        for intent in intents
    ]


def model_of(intents: Iterable[Intent]) -> str:
    """Return the model of the run's disks."""
    models = (
        intent.parameters.get("model", STRICT) for intent in intents if loses_writes(intent.kind, intent.parameters)
    )
    return next(iter(models), STRICT)


def model_seen(kind: str, intended: Mapping[str, Any], observed: Mapping[str, Any] | None) -> str | None:
    """Return the model by which a recorded fault lost writes; `NOTHING` for hosts without power whose system has no fault disk. None: it lost nothing,
    or was never active.
    """
    if not loses_writes(kind, intended) or not observed:
        return None
    if "model" in observed:
        return str(observed["model"])
    on_hosts_without_a_disk = kind == "power" and "answers" in observed and "not_asked" not in observed
    return NOTHING if on_hosts_without_a_disk else str(intended.get("model", STRICT))
