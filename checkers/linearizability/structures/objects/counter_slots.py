"""Slots of a counter: stages in a known order from its reads and answers, and the slots between them that blind adds fill."""

from __future__ import annotations

from dataclasses import dataclass

from tribulation.histories.model.columns import Int64


@dataclass(frozen=True, slots=True)
class Slots:
    """Stages by sum (a fetch after the reads of the same sum): `seen` by stage; `need` blind adds before each; each blind add's first and last slot."""

    seen: Int64
    stage: Int64
    sum: Int64
    fetch: Int64
    need: Int64
    blind: Int64
    first: Int64
    last: Int64
