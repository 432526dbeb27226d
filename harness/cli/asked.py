"""Names that a user may give `tri check`: models and levels, refused early when they do not exist."""

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
    """The model's own name."""
    if name is None:
        return None
    found = model_named(name)
    if found is None:
        raise unknown("model", name, [*MODELS, *ALIASES])
    if not checkers_of(found):
        raise CampaignError(f"no checker judges the model {found!r}", hint=f"there are {', '.join(MODELS)}")
    return found


def known_level(name: str | None) -> str | None:
    """The consistency level's own name."""
    if name is None:
        return None
    found = level_named(name)
    if found is None:
        raise unknown("consistency level", name, levels())
    return found


def begun_certificate(path: Path) -> NamedFile:
    """A certificate without an order, as long as nothing is checked. Raises `CampaignError` where the file cannot be written."""
    with writing_named(path):
        return NamedFile(path, "{}\n")


def write_certificate(file: NamedFile, results: Mapping[str, CheckResult]) -> None:
    """Object → history indices of its operations in a legal order, by checker: what `tribulation.checkers.verify` re-checks.

    That it cannot be written changes no exit code.
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
