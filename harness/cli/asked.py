"""Models and levels that a user names, refused early if they do not exist; and the file for certificates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tribulation.checkers import CheckResult
from tribulation.checkers.model_names import ALIASES, MODELS, checkers_of, model_named
from tribulation.checkers.transactions.table.lattice import level_named, levels
from tribulation.histories.files.opening import NamedFile

from ..errors import CampaignError
from .choices import unknown
from .refusals import writing_named


def known_model(name: str | None) -> str | None:
    """Return the name of the model; `name` may be an alias of it. Raises `CampaignError` for another name, or a model without a checker."""
    if name is None:
        return None
    found = model_named(name)
    if found is None:
        raise unknown("model", name, [*MODELS, *ALIASES])
    if not checkers_of(found):
        raise CampaignError(f"no checker judges the model {found!r}", hint=f"there are {', '.join(MODELS)}")
    return found


def known_level(name: str | None) -> str | None:
    """Return the name of the consistency level; `name` may be an alias of it. Raises `CampaignError` for another name."""
    if name is None:
        return None
    found = level_named(name)
    if found is None:
        raise unknown("consistency level", name, levels())
    return found


def begun_certificate(path: Path) -> NamedFile:
    """Write a certificate without an order, before anything is checked. Raises what `writing_named` raises."""
    with writing_named(path):
        return NamedFile(path, "{}\n")


def write_certificate(file: NamedFile, results: Mapping[str, CheckResult]) -> None:
    """Write by checker: object → history indices of its operations in a legal order. `tribulation.checkers.verify` checks this order again.

    An error of writing is printed and does not change the exit code.
    """
    found = {
        name: {key: list(order) for key, order in result.certificate.items()}
        for name, result in results.items()
        if result.certificate is not None
    }
    lost = ""
    try:
        file.write(json.dumps(found, default=int) + "\n")
    except OSError as error:
        lost = f"warning: cannot write {file.path}: {error.strerror}"
    if lost or not found:
        from .console import say

        say(lost or f"no checker found an order; {file.path} is empty (only valid verdicts of fast paths have one)")
