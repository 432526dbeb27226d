"""Check that the simulator has the system of a campaign or a plan: it simulates the reference cluster, and nothing else.

The only place that decides it. Simulating another system in its name would report on the reference cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import CampaignError

HINT = "the simulator supports only the reference cluster: `tri run` the campaign on hosts, such as --hosts local"


def why_not(system: Mapping[str, Any]) -> str | None:
    """Return why the system cannot be simulated, or None. `system` comes from a campaign or from the options of a plan."""
    file = system.get("file")
    return None if file is None else f"the system of {file} cannot be simulated"


def require_simulable(system: Mapping[str, Any], place: str) -> None:
    """Raise `CampaignError` for a system that the simulator does not have; `place` says where the system is named."""
    if (why := why_not(system)) is not None:
        raise CampaignError(f"{place}: {why}", hint=HINT)
