"""Permitted content of a plan.json: the types, the bounds of a campaign, and names that the plan itself defines.

    inspect(data)       # raises ValueError with the place: "Expected `int` <= 3600000000000000 - at `$.timing.load_ns`"

Anyone can edit the file. A number without a bound would simulate until someone ends it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain
from typing import Annotated, Any, Literal, NotRequired, TypedDict, TypeVar

import pydantic
from msgspec import Meta

from ...campaign.model import MOST_FAULTS, MOST_SEED, HostsSpec, SystemSpec
from ...errors import shown
from ...evidence.documents import typed
from ...nemesis.faults.power_models import PowerModel
from ...nemesis.kinds.clocks.clock import MAX_DRIFT_PPM
from ...nemesis.kinds.disks.disk import DiskEffect
from ...nemesis.kinds.members.membership import Action
from ...nemesis.schedule.schedule import MOST_STARTS
from ...nemesis.specs.links import Shape
from ...nemesis.topology.liveness import Rest
from ...simulator.options import MILLISECOND, SimOptions
from ...user_files.bounded_model import LONGEST_TEXT, MOST_INTEGER, MOST_ITEMS
from ...user_files.quantities import LONGEST_NS, MOST_BYTES, MOST_NS
from ...workloads.settle import SETTLE

M = TypeVar("M", bound=pydantic.BaseModel)

MOST_SLOTS = 100_000
"""Clients of a history that comes without a plan: one for each process at a time."""
MOST_SIMULATED = 32
MOST_PINNED = 10_000_000

_Text = Annotated[str, Meta(max_length=LONGEST_TEXT)]
_Name = Annotated[str, Meta(min_length=1, max_length=LONGEST_TEXT)]
_Names = Annotated[list[_Name], Meta(max_length=MOST_ITEMS)]
_Index = Annotated[int, Meta(ge=0, le=MOST_INTEGER)]
_RunTime = Annotated[int, Meta(ge=0, le=2 * LONGEST_NS)]
"""A load lasts at most `LONGEST_NS`; what comes at its end is later."""
_Time = Annotated[int, Meta(ge=0, le=LONGEST_NS)]
_SomeTime = Annotated[int, Meta(ge=1, le=LONGEST_NS)]
_Period = Annotated[int, Meta(ge=MILLISECOND, le=LONGEST_NS)]
_Shift = Annotated[int, Meta(ge=-MOST_NS, le=MOST_NS)]
_Ppm = Annotated[int, Meta(ge=0, le=1_000_000)]
_Drift = Annotated[int, Meta(ge=-MAX_DRIFT_PPM, le=MAX_DRIFT_PPM)]
_Weight = Annotated[int, Meta(ge=0, le=9)]
_Edges = Annotated[list[tuple[_Name, _Name]], Meta(max_length=MOST_ITEMS * MOST_ITEMS)]
_Clients = Annotated[int, Meta(ge=1, le=MOST_SLOTS)]
_Slots = Annotated[list[tuple[_Index, _Name, _Index, _Clients, _Name]], Meta(max_length=MOST_SLOTS)]


class _Timing(TypedDict):
    load_ns: _SomeTime
    quiet_ns: _Time
    final_ns: _Time
    operation_ns: _SomeTime


class _Pace(TypedDict):
    hold_most_ns: _Time
    load_more_ns: _Time


class _Parameters(TypedDict, total=False):
    """Parameters of all kinds of fault; resolving requires those of the fault's kind."""

    target: _Name | _Names
    shape: Shape
    direction: Literal["out", "in", "both"]
    clients: Literal["all", "majority", "minority"]
    edges: _Edges
    loss_ppm: _Ppm
    duplicate_ppm: _Ppm
    reorder_ppm: _Ppm
    corrupt_ppm: _Ppm
    delay_ns: _Time
    jitter_ns: _Time
    rate_bps: Annotated[int, Meta(ge=1, le=MOST_INTEGER)]
    period_ns: _Period
    effect: DiskEffect
    model: PowerModel
    calibration: bool
    whole: Literal["host"]
    slow_start_ns: _Time
    share_ppm: _Ppm
    limit_bytes: Annotated[int, Meta(ge=1, le=MOST_BYTES)]
    limit: _Index
    offset_ns: _Shift
    jump_ns: _Shift
    spread_ns: Annotated[int, Meta(ge=0, le=MOST_NS)]
    strobe_ns: _Shift
    drift_ppm: _Drift
    monotonic: bool
    set: dict[_Name, _Weight]
    to: _Name
    action: Action
    core: _Name | _Names
    rest: Rest
    optional: bool


class _On(TypedDict):
    event: _Name
    delay_ns: _Time
    rest_ns: _Time
    windows: Annotated[list[tuple[_RunTime, _RunTime]], Meta(max_length=MOST_STARTS)]


class _Intent(TypedDict):
    id: _Name
    kind: _Name
    parameters: _Parameters
    at_ns: _RunTime
    for_ns: _RunTime | None
    key: _Text
    lane: NotRequired[_Text]
    on: NotRequired[_On | None]
    drawn: NotRequired[bool]


class _Liveness(TypedDict):
    within_ns: _SomeTime
    for_ns: _SomeTime
    settle_ns: _Time | None
    intents: Annotated[list[_Intent], Meta(max_length=MOST_FAULTS)]


class _System(TypedDict):
    """The fields that are read by themselves; `SystemSpec` checks all."""

    flaws: NotRequired[list[_Name]]


class _Options(TypedDict):
    system: _System
    hosts: NotRequired[dict[str, Any]]
    checkers: NotRequired[Literal["auto"] | Annotated[list[_Name], Meta(min_length=1)]]
    checker_options: NotRequired[dict[_Name, Any]]
    expect: NotRequired[Literal["valid", "invalid", "unknown"]]
    plugins: NotRequired[list[str]]


_Operation = tuple[_Name, str | int | float | bool | None, Any, _Text, _Name]


class PlanShape(TypedDict):
    """A plan's JSON."""

    campaign: _Name
    seed: int
    nodes: Annotated[list[_Name], Meta(min_length=1, max_length=MOST_ITEMS)]
    voters: dict[_Name, _Weight]
    timing: _Timing
    workloads: Annotated[dict[str, dict[str, Any]], Meta(max_length=MOST_ITEMS)]
    slots: _Slots
    intents: Annotated[list[_Intent], Meta(max_length=MOST_STARTS)]
    options: _Options
    world: dict[str, bool | int]
    pinned: Annotated[list[tuple[_Index, _RunTime, _Operation]], Meta(max_length=MOST_PINNED)] | None
    liveness: NotRequired[_Liveness | None]
    pace: NotRequired[_Pace | None]
    settling: NotRequired[_Slots]
    judged_by: NotRequired[dict[_Name, list[_Name]]]


def inspect(data: Any) -> None:
    """Raise `ValueError` where the JSON is not a plan, exceeds the bounds, or uses a name that is not in it."""
    typed(data, PlanShape)
    for wrong in chain(_numbers(data), _names(data)):
        raise ValueError(wrong)
    valid("$.options.hosts", HostsSpec, data["options"].get("hosts") or {})
    valid("$.options.system", SystemSpec, data["options"].get("system"))


def valid(place: str, kind: type[M], value: Any) -> M:
    """Return `value` as that model. Raises `ValueError` with the place of the first error."""
    try:
        return kind.model_validate(value)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, (place, *first['loc'])))}: {first['msg']}") from None


def _numbers(data: Mapping[str, Any]) -> Iterator[str]:
    if not 0 <= data["seed"] <= MOST_SEED:
        yield f"$.seed: {data['seed']} is not between 0 and {MOST_SEED}"
    hosts = data["options"].get("hosts")
    if isinstance(hosts, Mapping) and hosts.get("provider") == "sim" and len(data["nodes"]) > MOST_SIMULATED:
        yield f"$.nodes: {len(data['nodes'])} nodes, but the simulator supports at most {MOST_SIMULATED}"
    for name, value in data["world"].items():
        least = MILLISECOND if name in _NEVER_AT_ONCE else 0
        if not isinstance(value, bool) and not least <= value <= MOST_INTEGER:
            yield f"$.world.{name}: {value} is not between {least} and {MOST_INTEGER}"
    SimOptions.from_json(data["world"])


_NEVER_AT_ONCE = frozenset({"connect_timeout_ns", "redial_min_ns", "stall_timeout_ns"})
"""Times after which something is tried again: with 0 no time would pass between tries."""


def _names(data: Mapping[str, Any]) -> Iterator[str]:
    nodes, workloads = data["nodes"], data["workloads"]
    yield from _twice("$.nodes", nodes)
    yield from _strangers("$.voters", data["voters"], nodes, "node")
    for place, slots, known in (
        ("$.slots", data["slots"], workloads),
        ("$.settling", data.get("settling", ()), (SETTLE,)),
    ):
        yield from _twice(place, [slot[0] for slot in slots])
        yield from _strangers(place, (slot[1] for slot in slots), known, "workload")
        yield from _strangers(place, (slot[4] for slot in slots), nodes, "node")
    liveness = data.get("liveness") or {"intents": ()}
    yield from _twice("$.intents", [intent["id"] for intent in (*data["intents"], *liveness["intents"])])
    numbers = {slot[0] for slot in data["slots"]}
    for index, (slot, _, operation) in enumerate(data["pinned"] or ()):
        yield from _strangers(f"$.pinned[{index}]", (slot,), numbers, "slot")
        yield from _strangers(f"$.pinned[{index}]", (operation[4],), workloads, "workload")


def _twice(place: str, names: list[Any]) -> Iterator[str]:
    if len(set(names)) != len(names):
        yield f"{place}: {shown(next(name for name in names if names.count(name) > 1))} is there twice"


def _strangers(place: str, names: Iterable[Any], known: Collection[Any], what: str) -> Iterator[str]:
    yield from (f"{place}: no {what} {shown(name)} in the plan" for name in names if name not in known)
