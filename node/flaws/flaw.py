"""What is known of one flaw of the zoo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Flaw:
    """`title` in a few words; `broken`: what is done wrong; `source`: where it happened; `checker`: who must object.

    `needs` names the kinds of fault without which it does no harm, `settings` what of a node's configuration it needs to show.
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
    """What it takes is drawn: it shows in searches of its campaign (`tri search campaigns/flaws/NAME.yaml`), not in each run of it."""
