"""The corpus: small failing plans, kept with their histories, so that an old finding can be found again.

`histories/corpus/NAME/` holds `plan.json`, `history.jsonl` and `expected.json`. An entry is tried again by running its plan: with its flaw it must
fail by the same checker and kind, without it nothing may be wrong. Another version of the node or of the simulator may time the same events
differently, and miss a moment of a millisecond; then the plan's neighbours count as well (`find_again`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tribulation.histories import History, read_history, write_history
from tribulation.histories.files.replacing import replacing
from tribulation.node.core_source import fingerprint

from ..errors import CampaignError
from ..evidence.documents import required_document
from ..failures.allowance import Allowance
from ..failures.folder import read_plan_file
from ..failures.signature import Signature
from ..run.plan.plan import Plan
from ..run.simulated import simulate
from . import edits
from .focus import MS
from .story import story
from .trial import Failure, Trials

PLAN_FILE, HISTORY_FILE, EXPECTED_FILE = "plan.json", "history.jsonl", "expected.json"
NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
OTHER_SEEDS = 10
_HINT = "tri shrink RUN --add-to-corpus NAME makes one"
_HARNESS = Path(__file__).resolve().parents[1]
_WORLD = ("simulator", "run", "nemesis", "systems", "workloads")
"""Folders of the harness, with all below them, that decide what a simulated run does."""


@dataclass(frozen=True, slots=True)
class Entry:
    """`flaws` are planted in the plan. `core` and `world` are fingerprints of the sources with which `digest` was seen."""

    name: str
    plan: Plan
    history: History
    signature: Signature
    flaws: tuple[str, ...]
    core: str
    world: str
    digest: str

    @property
    def same_sources(self) -> bool:
        """Whether the digest must be the same."""
        return (self.core, self.world) == (fingerprint(), world_fingerprint())


def world_fingerprint() -> str:
    """Hash the sources of the simulator, as `tribulation.node.core_source.fingerprint` does those of the core."""
    digest = hashlib.sha256()
    for path in sorted(path for folder in _WORLD for path in (_HARNESS / folder).rglob("*.py")):
        digest.update(f"{path.relative_to(_HARNESS)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def keep(plan: Plan, signature: Signature, name: str, corpus: Path) -> Path:
    """Add an entry, or replace the one of that name. Raises `CampaignError` when the name is invalid or the plan does not fail as expected."""
    if not NAME.fullmatch(name):
        raise CampaignError(f"an entry cannot be named {name!r}", hint="use small letters, digits and dashes")
    failure = Trials(signature, Allowance()).run(plan)
    if failure is None:
        raise CampaignError(f"the plan does not fail by {signature}", hint="shrink it again")
    folder = corpus / name
    folder.mkdir(parents=True, exist_ok=True)
    done = simulate(plan)
    _write(folder / PLAN_FILE, plan.to_json())
    write_history(folder / HISTORY_FILE, done.record.history)
    expected = {
        "signature": {"checker": failure.signature.checker, "kind": failure.signature.kind},
        "flaws": list(plan.options["system"].get("flaws", ())),
        "story": [" ".join(line) for line in story(plan)],
        "core": fingerprint(),
        "world": world_fingerprint(),
        "digest": done.digest,
    }
    _write(folder / EXPECTED_FILE, expected)
    return folder


def entries(corpus: Path) -> Iterator[Entry]:
    """Every entry, by name."""
    for path in sorted(corpus.glob(f"*/{EXPECTED_FILE}")):
        yield read_entry(path.parent)


def read_entry(folder: Path) -> Entry:
    """Read an entry. Raises `CampaignError` when the folder is not one."""
    try:
        expected: Mapping[str, Any] = required_document(folder / EXPECTED_FILE, hint=_HINT)
        return Entry(
            name=folder.name,
            plan=read_plan_file(folder / PLAN_FILE, hint=_HINT),
            history=read_history(folder / HISTORY_FILE),
            signature=Signature(**expected["signature"]),
            flaws=tuple(expected["flaws"]),
            core=expected["core"],
            world=expected["world"],
            digest=expected["digest"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CampaignError(
            f"{folder}: no entry of the corpus: {type(error).__name__}: {error}",
            hint=_HINT,
        ) from error


def find_again(entry: Entry) -> Failure | None:
    """The entry's failure, in its plan or, where sources have changed, in its nearest neighbour with the same signature."""
    trials = Trials(entry.signature, Allowance())
    found = trials.run(entry.plan)
    if found is not None or entry.same_sources:
        return found
    return next((failure for plan in _neighbours(entry.plan) if (failure := trials.run(plan)) is not None), None)


def _neighbours(plan: Plan) -> Iterable[Plan]:
    yield from (near for by_ns in (-MS, MS) for near in edits.nudged(plan, by_ns))
    yield from (replace(plan, seed=plan.seed + by) for by in range(1, OTHER_SEEDS + 1))


def _write(path: Path, document: Any) -> None:
    with replacing(path) as file:
        file.write((json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode())
