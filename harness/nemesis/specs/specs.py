"""The items that a campaign may have under `faults:`, one pydantic model per kind (`catalog`); docs/reference/faults.md describes them.

    faults:
      - partition: {shape: [halves, bridge], every: 8s, for: 4s}
      - kill: {target: leader, after: 20s, restart_after: 2s}
      - clock: {target: minority, offset: 60s, every: 10s, for: 5s}
      - recovery: {every: 15s, for: 5s}

Each list item is a mapping with one key, the kind. Nothing here knows the nodes of a cluster: names are checked against them when the
campaign is loaded (`names()`), and targets are resolved at run time (`topology/resolve.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeAlias, Union

from pydantic import AliasChoices, ConfigDict, Discriminator, Field, Tag, create_model

from ...user_files.bounded_model import BoundedModel
from ...user_files.measured import PositiveDuration
from ..catalog import catalog
from ..catalog.timing import Timing
from .random_mix import AllSpec, MixSpec, SwarmSpec


class RecoverySpec(BoundedModel):
    """Windows in which no fault is on: a start whose fault could reach into one is left out (once-only faults are refused)."""

    model_config = ConfigDict(populate_by_name=True)
    kind: ClassVar[str] = "recovery"

    every: PositiveDuration = Field(description="period of windows; the first starts after one period")
    for_ns: PositiveDuration = Field(
        validation_alias=AliasChoices("for", "for_ns"), serialization_alias="for", description="length of each window"
    )

    def names(self) -> Iterable[str]:
        return ()


class _Item(BoundedModel):
    @property
    def spec(self) -> Timing | RecoverySpec | MixSpec:
        """Return the one model in this item, whatever its kind."""
        spec: Timing | RecoverySpec | MixSpec = getattr(self, self.field())
        return spec

    @classmethod
    def field(cls) -> str:
        return next(iter(cls.model_fields))

    @classmethod
    def word(cls) -> str:
        """Return the fault's key in a campaign."""
        return cls.model_fields[cls.field()].alias or cls.field()


SPECS: dict[str, type[Timing | RecoverySpec | MixSpec]] = {
    **{kind.key: kind.spec for kind in catalog.kinds()},
    "recovery": RecoverySpec,
    "all": AllSpec,
    "swarm": SwarmSpec,
}
"""By an item's key."""

FAULT_NAMES = tuple(SPECS)


def _fault_name(item: Any) -> str | None:
    keys = list(item) if isinstance(item, Mapping) else [item.word()] if isinstance(item, _Item) else []
    return keys[0] if keys and keys[0] in SPECS else None


def _item_model(name: str, spec: type[BoundedModel]) -> type[_Item]:
    """A model with the one key `name`. It has a module-level name, where pickle looks for it."""
    fields: dict[str, Any] = {name.replace("-", "_"): (spec, Field(alias=name))}
    model = create_model(f"{name.title().replace('-', '')}Item", __base__=_Item, __module__=__name__, **fields)
    globals()[model.__name__] = model
    return model


_ITEMS = tuple(Annotated[_item_model(name, spec), Tag(name)] for name, spec in SPECS.items())

if TYPE_CHECKING:
    FaultSpec: TypeAlias = _Item
else:
    FaultSpec = Annotated[
        Union[_ITEMS],
        Discriminator(
            _fault_name,
            custom_error_type="unknown_fault",
            custom_error_message=f"a fault is a mapping with one key of: {', '.join(FAULT_NAMES)}",
        ),
    ]
"""An item of the campaign's `faults:` list."""
