"""Metadata of one flaw of the zoo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Flaw:
    """`title` in a few words; `broken`: the mistake; `source`: where it happened; `checker`: the one that must report it.

    `needs` names the kinds of fault without which the flaw does no harm. `settings` is the node configuration that it needs to become visible.
    """

    name: str
    title: str
    broken: str
    source: str
    checker: str
    needs: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    campaign: bool = False
    """It needs members, agents or tasks: it shows in `campaigns/flaws/NAME.yaml`, and not in the plans in which the others are hunted."""

    searched: bool = False
    """Its trigger is random: it shows in searches of its campaign (`tri search campaigns/flaws/NAME.yaml`), not in each run of it."""
