"""A campaign of a few simulated seconds, correct or with a flaw."""

from __future__ import annotations

from typing import Any

from tribulation.harness.campaign.model import Campaign


def campaign(*flaws: str, **more: Any) -> Campaign:
    return Campaign.model_validate(
        {
            "name": "small",
            "hosts": {"provider": "sim", "nodes": 3},
            "system": {"flaws": list(flaws)},
            "duration": "3s",
            "settle": "500ms",
            "workloads": [{"register": {"keys": 2, "clients": 4, "rate": "40/s"}}],
            "faults": [{"partition": {"shape": "leader-minority", "after": "500ms", "for": "1500ms"}}],
            **more,
        }
    )
