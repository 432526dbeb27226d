"""Loader of the plugins that a plan names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import shown
from ..workloads import WORKLOADS
from .loading import load_installed, load_plugins


def plan_with_plugins(plan: Mapping[str, Any], source: str) -> Mapping[str, Any]:
    """Load the plugins of a plan's JSON and make their paths absolute: in a run's folder they are relative to `source`. Raises `ValueError`."""
    named = plan["options"].get("plugins", [])
    if not isinstance(named, list) or not all(isinstance(path, str) for path in named):
        raise ValueError(f"$.options.plugins: {shown(named)} is not a list of paths")
    if any(name not in WORKLOADS for name in plan["workloads"]):
        load_installed()
    paths = [str((Path(source).parent / path).absolute()) for path in named]
    load_plugins(paths)
    return {**plan, "options": {**plan["options"], "plugins": paths}} if paths else plan
