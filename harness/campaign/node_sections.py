"""The node's sections `membership`, `agents` and `memory` as written in campaigns: times with units, everything else as in the node's configuration.

membership: {detector: swim, swim_period: 200ms}        → {"detector": "swim", "swim_period_ns": 200000000}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator

from tribulation.node.config.cluster import (
    AgentsConfig,
    MembershipConfig,
    MemoryConfig,
    agents_from,
    membership_from,
    memory_from,
)
from tribulation.node.errors import ConfigError

from ..user_files.quantities import parse_ns

_SUFFIX = "_ns"


def _section(value: Any, kind: type[Any], judge: Callable[[Mapping[str, Any]], Any]) -> dict[str, Any] | None:
    """The section for the node. Raises `ValueError` with the node's own message for what it would refuse."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise ValueError(f"{value!r} is not a mapping; write {{}} for the defaults")
    fields = tuple(kind.__dataclass_fields__)
    section = {}
    for name, given in value.items():
        if name not in fields and f"{name}{_SUFFIX}" in fields:
            section[f"{name}{_SUFFIX}"] = parse_ns(given)
        else:
            # Where another field has the short name, as `sync` next to `sync_ns`, the long one takes a time with a unit.
            section[name] = parse_ns(given) if name.endswith(_SUFFIX) and isinstance(given, str) else given
    try:
        judge(section)
    except ConfigError as error:
        raise ValueError(f"{error.message}; {error.hint}") from None
    return section


def _membership(value: Any) -> dict[str, Any] | None:
    return _section(value, MembershipConfig, lambda section: membership_from({"membership": section}))


def _agents(value: Any) -> dict[str, Any] | None:
    return _section(value, AgentsConfig, lambda section: agents_from({"membership": {}, "agents": section}))


def _memory(value: Any) -> dict[str, Any] | None:
    return _section(value, MemoryConfig, lambda section: memory_from({"memory": section}))


def _capacity(value: Any) -> Any:
    if not isinstance(value, Mapping) or not value:
        raise ValueError(f"{value!r} is not a capacity; write for example {{slots: 4, cpu_percent: 50}}")
    _section({"capacity": value}, MembershipConfig, lambda section: membership_from({"membership": section}))
    return dict(value)


MembershipSection = Annotated[dict[str, Any] | None, BeforeValidator(_membership)]
AgentsSection = Annotated[dict[str, Any] | None, BeforeValidator(_agents)]
CapacitySection = Annotated[dict[str, int], BeforeValidator(_capacity)]
MemorySection = Annotated[dict[str, Any] | None, BeforeValidator(_memory)]
