"""What is installed is what was locked: each requirement at one version, each file of it by its hash."""

from __future__ import annotations

import re
from pathlib import Path

import tomllib

ROOT = Path(__file__).resolve().parent.parent
LOCKS = (ROOT / "requirements.lock", ROOT / "systems" / "requirements.lock", ROOT / "tests" / "browser.lock")
"""The second has the drivers of `systems/`, which `make systems` installs, the third what `make page` needs."""


def _requirements() -> dict[str, str]:
    """By name its lines, joined."""
    lines = re.sub(r" \\\n\s+", " ", "".join(lock.read_text() for lock in LOCKS)).splitlines()
    return {line.partition("==")[0]: line for line in lines if not line.startswith("#")}


def test_every_requirement_is_pinned_by_hashes() -> None:
    loose = [
        line[:80]
        for line in _requirements().values()
        if not re.fullmatch(r"[a-z0-9.-]+==\S+( ;[^#]*?)?( --hash=sha256:[0-9a-f]{64})+", line)
    ]
    assert loose == [] and len(_requirements()) > 40


def test_all_that_the_project_asks_for_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = project["dependencies"] + [one for extra in project["optional-dependencies"].values() for one in extra]
    names = {re.split(r"[<>=~ ;\[]", one)[0].lower().replace("_", "-") for one in asked}
    assert names - set(_requirements()) == set()


def test_whoever_installs_the_lock_checks_the_hashes() -> None:
    for name in ("scripts/setup.sh", "scripts/determinism.py"):
        text = (ROOT / name).read_text()
        assert text.count("requirements.lock") and "--require-hashes" in text, name
    assert "--generate-hashes" in (ROOT / "Makefile").read_text()
