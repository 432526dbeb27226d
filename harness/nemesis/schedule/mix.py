"""Intents from a campaign's `all:` and `swarm:`: which sorts, in which order, when. A pure function of spec, seed, length and hosts' abilities.

The faults of a lane (`draws`) follow one another. Each has a slot of its lane's time, and the runner begins none before the previous one in its lane
is healed, however slow the hosts are (`run/drive/actions.py`). Faults of different lanes may be active together. Slots avoid the campaign's recovery
windows, and are spread over the whole load.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from ...errors import CampaignError
from ...user_files.quantities import format_ns
from ..catalog.knobs import Knobs
from ..catalog.timing import Timing
from ..faults.fault import Intent
from ..specs.draws import SORTS, stream_of
from ..specs.random_mix import SECOND_NS, MixSpec, SwarmSpec
from ..specs.specs import SPECS, FaultSpec
from .schedule import MOST_STARTS, Window, expand, parameters_of, quiet_windows, unquiet

if TYPE_CHECKING:
    from .abilities import Able

SHORTEST_SLOT_NS = 2 * SECOND_NS
"""A shorter slot leaves no time for a fault to have an effect, and for hosts to recover."""

PPM = 1_000_000
_PACES_PPM = (PPM // 2, PPM, 2 * PPM)
_ITEM: TypeAdapter[FaultSpec] = TypeAdapter(FaultSpec)


def planned(
    specs: Sequence[FaultSpec], *, seed: int, load_ns: int, able: Collection[str] | None = None
) -> list[Intent]:
    """Return all intents of a campaign's faults, those written out and those composed. `able` None: everything requested is possible."""
    quiet = quiet_windows(specs, load_ns)
    intents = expand(specs, seed=seed, load_ns=load_ns)
    for label, spec in labelled(specs):
        intents += compose(label, spec, seed=seed, load_ns=load_ns, quiet=quiet, able=able)
    return sorted(intents, key=lambda intent: (intent.at_ns, intent.id))


def labelled(specs: Iterable[FaultSpec]) -> list[tuple[str, MixSpec]]:
    """The composed mixes, each with its own name."""
    mixes = [item.spec for item in specs if isinstance(item.spec, MixSpec)]
    kinds = [spec.kind for spec in mixes]
    return [
        (spec.kind if kinds.index(spec.kind) == place else f"{spec.kind}-{place + 1}", spec)
        for place, spec in enumerate(mixes)
    ]


def compose(
    label: str,
    spec: MixSpec,
    *,
    seed: int,
    load_ns: int,
    quiet: Sequence[Window] = (),
    able: Collection[str] | None = None,
) -> list[Intent]:
    """Return the intents of one mix. Raises `CampaignError` when the load is too short for each sort to occur once, and for too many starts."""
    knobs = Knobs(seed, f"mix/{label}")
    names: Sequence[str] = [name for name in spec.sorts() if able is None or needs(name) <= set(able)]
    lasts_ns, rest_ns = spec.for_ns, spec.rest
    if isinstance(spec, SwarmSpec):
        names = _some(names, knobs)
        lasts_ns = lasts_ns * knobs.choose("for", _PACES_PPM) // PPM
        rest_ns = rest_ns * knobs.choose("rest", _PACES_PPM) // PPM
    free = unquiet(quiet, load_ns)
    intents = []
    lanes = {
        lane: [name for name in names if _lane(name, spec) == lane]
        for lane in dict.fromkeys(_lane(name, spec) for name in names)
    }
    slots_ns = {
        lane: _slot_ns(len(mine), lasts_ns + rest_ns, free, f"`{label}` of {len(mine)} {lane} faults")
        for lane, mine in lanes.items()
    }
    if sum((end - start) // slot_ns for slot_ns in slots_ns.values() for start, end in free) > MOST_STARTS:
        raise CampaignError(
            f"`{label}`: it has more than {MOST_STARTS} starts in {format_ns(load_ns)}",
            hint="lengthen `rest`, or shorten `duration`",
        )
    for lane, mine in lanes.items():
        slot_ns = slots_ns[lane]
        turns: dict[str, int] = dict.fromkeys(mine, 0)
        for name, at_ns in zip(_in_turn(mine, f"{seed}/{label}/{lane}"), _slots(slot_ns, free), strict=False):
            turns[name] += 1
            longest_ns = min(lasts_ns, slot_ns // 2)
            intents.append(_intent(label, name, turns[name], lane, seed, at_ns, slot_ns, longest_ns))
    return intents


def _some(names: Sequence[str], knobs: Knobs) -> Sequence[str]:
    """About half of them, at least one."""
    return [name for name in names if knobs.on(stream_of(name))] or (
        [knobs.choose("the-only-one", names)] if names else []
    )


@cache
def needs(name: str) -> frozenset[str]:
    """The abilities of hosts that a sort needs."""
    return _spec(name, Knobs(0, name), {}).needs()


def skipped(specs: Iterable[FaultSpec], tried: Iterable[Able]) -> list[dict[str, Any]]:
    """Return the sorts that were requested but that these hosts cannot do: `sort`, and why, and what would help."""
    missing: dict[str, Able] = {}
    for able in tried:
        if not able.ok:
            missing.setdefault(able.ability, able)
    names = dict.fromkeys(name for _, spec in labelled(specs) for name in spec.sorts())
    reasons = []
    for name in names:
        for able in [missing[need] for need in sorted(needs(name)) if need in missing][:1]:
            reasons.append({"sort": name, "why": f"{able.ability} on {able.host}: {able.detail}", "hint": able.hint})
    return reasons


def changes_voters(specs: Iterable[FaultSpec]) -> bool:
    """Return whether any of them may change the voters."""
    moving = {word for word, spec in SPECS.items() if issubclass(spec, Timing) and spec.moves_voters}
    return any(
        any(SORTS[name].fault in moving for name in item.spec.sorts())
        if isinstance(item.spec, MixSpec)
        else item.word() in moving
        for item in specs
    )


def possible_needs(specs: Iterable[FaultSpec]) -> frozenset[str]:
    """Return the abilities that the mix would use if hosts had all of them."""
    return frozenset(need for _, spec in labelled(specs) for name in spec.sorts() for need in needs(name))


def composed_needs(specs: Iterable[FaultSpec], intents: Iterable[Intent]) -> frozenset[str]:
    """The abilities that the composed ones among these intents use."""
    sort_of = composed_sorts(specs)
    heads = {head_of(intent) for intent in intents}
    return frozenset(need for head in heads if head in sort_of for need in needs(sort_of[head]))


def composed_sorts(specs: Iterable[FaultSpec]) -> Mapping[str, str]:
    """Return the sorts of composed intents by `head_of` the intent; no intent that was written out has one of these heads."""
    return {f"{label}-{stream_of(name)}": name for label, _ in labelled(specs) for name in SORTS}


def head_of(intent: Intent) -> str:
    """Return the key without the number of the start."""
    return intent.key.rpartition(".")[0]


def _lane(name: str, spec: MixSpec) -> str:
    return SORTS[name].lane if spec.overlap else "any"


def _slot_ns(count: int, wanted_ns: int, free: Sequence[Window], what: str) -> int:
    """Return the length of a slot: about as requested when all rounds are complete, shorter only if not even one round would fit."""
    rounds = max(1, sum((end - start) // max(1, wanted_ns) for start, end in free) // count)
    slot_ns = sum(end - start for start, end in free) // (rounds * count)
    while slot_ns >= SHORTEST_SLOT_NS and sum((end - start) // slot_ns for start, end in free) < rounds * count:
        slot_ns = slot_ns * 99 // 100
    if slot_ns < SHORTEST_SLOT_NS:
        raise CampaignError(
            f"{what}: {format_ns(slot_ns // 1_000_000 * 1_000_000)} each, less than {format_ns(SHORTEST_SLOT_NS)}",
            hint=f"lengthen `duration` to {format_ns(SHORTEST_SLOT_NS * (count + 1))} or more, not counting recovery windows, or leave out some sorts: `without`",
        )
    return slot_ns


def _slots(slot_ns: int, free: Sequence[Window]) -> list[int]:
    return [at_ns for start, end in free for at_ns in range(start, end - slot_ns + 1, slot_ns)]


def _in_turn(names: Sequence[str], key: str) -> Iterable[str]:
    """Yield all of them in a random order, and again in another, without end."""
    turn = 0
    while True:
        yield from Random(f"{key}/{turn}").sample(list(names), len(names))
        turn += 1


def _intent(
    label: str, name: str, turn: int, lane: str, seed: int, at_ns: int, slot_ns: int, longest_ns: int
) -> Intent:
    key = f"{label}-{stream_of(name)}.{turn}"
    knobs = Knobs(seed, f"mix/{key}")
    for_ns = knobs.between("for", longest_ns // 2, longest_ns)
    start_ns = at_ns + knobs.between("start", 0, (slot_ns - for_ns) // 2)
    spec = _spec(name, knobs, {"after": format_ns(start_ns), "for": format_ns(for_ns)})
    return Intent(key, spec.kind, parameters_of(spec, turn), start_ns, for_ns, key, lane)


def _spec(name: str, knobs: Knobs, times: Mapping[str, str]) -> Timing:
    ((fault, fields),) = SORTS[name].item(knobs).items()
    spec = _ITEM.validate_python({fault: {**fields, **(times or {"after": "0s", "for": "1s"})}}).spec
    assert isinstance(spec, Timing)
    return spec
