"""Entry of one fault, workload, checker or flaw: read from the catalogues that the rest of the code uses, never written down twice.

entry("fault", "partition").fields      # `KeyError` for a name that is not in `NAMES["fault"]()`
"""

from __future__ import annotations

import inspect
import itertools
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

import yaml

from .fields import Field, rows

Facts = dict[str, list[str]]


class ShownEntry(TypedDict):
    """The fields that every entry has. Others are lists of texts, such as `needs` and `judged_by`."""

    kind: str
    name: str
    about: str
    fields: list[Field]
    example: str
    page: str


@dataclass(frozen=True, slots=True)
class Entry:
    """`facts`: lists of texts by a short title, such as `needs`. `shared`: fields that all entries of this kind have. `page`: in docs/."""

    kind: str
    name: str
    about: str
    page: str
    fields: list[Field] = field(default_factory=list)
    shared: list[Field] = field(default_factory=list)
    facts: Facts = field(default_factory=dict)
    example: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "name": self.name,
            "about": self.about,
            "fields": [row.to_json() for row in (*self.fields, *self.shared)],
            **{title.replace(" ", "_"): values for title, values in self.facts.items()},
            "example": self.example,
            "page": self.page,
        }


def _names(kind: str) -> list[str]:
    return list(NAMES[kind]())


def _fault_names() -> Iterable[str]:
    from ...nemesis.specs.specs import FAULT_NAMES

    return FAULT_NAMES


def _workload_names() -> Iterable[str]:
    from ...workloads import WORKLOADS

    return WORKLOADS


def _checker_names() -> Iterable[str]:
    from tribulation.checkers.registry import CHECKERS

    return CHECKERS


def _flaw_names() -> Iterable[str]:
    from tribulation.node.flaws.switch import FLAWS

    return FLAWS


NAMES: Mapping[str, Callable[[], Iterable[str]]] = {
    "fault": _fault_names,
    "workload": _workload_names,
    "checker": _checker_names,
    "flaw": _flaw_names,
}
"""Kind → its names."""


def entry(kind: str, name: str) -> Entry:
    """Return the entry of a name. Raises `KeyError` for a name that is not in `NAMES`."""
    return _OF_KIND[kind](name)


def _fault(name: str) -> Entry:
    from tribulation.node.flaws.switch import FLAWS

    from ...nemesis.catalog.timing import Timing
    from ...nemesis.faults.triggers import EVENTS
    from ...nemesis.specs.draws import SORTS
    from ...nemesis.specs.specs import SPECS

    spec = SPECS[name]
    timed = issubclass(spec, Timing)
    shared = set(Timing.model_fields) if timed else set()
    keys = {each.serialization_alias or key for key, each in spec.model_fields.items() if key in shared}
    every = rows(spec)
    own = [row for row in every if row.name not in keys]
    facts = {
        "needs": _needs_of_fault(spec.kind),
        "drawn as": [sort for sort, drawn in SORTS.items() if drawn.fault == name],
        "events of on": list(EVENTS) if timed else [],
        "shows flaws": [flaw.name for flaw in FLAWS.values() if spec.kind in flaw.needs],
    }
    example = _fault_example(name, spec, own)
    times = [row for row in every if row.name in keys]
    return Entry("fault", name, _about(spec), "reference/faults.md", own, times, _given(facts), example)


def _fault_example(name: str, spec: Any, own: list[Field]) -> str:
    """Return the first form that the model of the fault accepts: as random mixes draw it, or else with a value for each required field."""
    from pydantic import ValidationError

    from ...nemesis.catalog.knobs import Knobs
    from ...nemesis.specs.draws import SORTS

    drawn = [sort.item(Knobs(7, "example"))[name] for sort in SORTS.values() if sort.fault == name][:1]
    bare = [{row.name: yaml.safe_load(_sample(row.type)) for row in own if row.required}]
    switches = [{}, *({row.name: True} for row in own if row.type == "true | false")]
    for fields, switch in itertools.product((*drawn, *bare), switches):
        for times in (_REPEATED, _ONCE, {}):
            try:
                spec.model_validate({**fields, **switch, **times})
            except ValidationError:
                continue
            return f"- {name}: {_flow({**fields, **switch, **times})}"
    return f"- {name}: {{…}}"


_REPEATED, _ONCE = {"every": "10s", "for": "3s"}, {"after": "10s"}


def _flow(value: Any) -> str:
    """Write a value as YAML does in one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return value if isinstance(value, str) else json.dumps(value)


def _needs_of_fault(kind: str) -> list[str]:
    """Return the requirements of a fault on hosts, their provider and the system under test, in words."""
    from ...nemesis.registry import PACKAGES
    from ...nemesis.schedule.abilities import OF_THE_PROVIDER, OF_THE_SYSTEM

    package = PACKAGES.get(kind)
    if package is None:
        return []
    abilities = sorted(package.abilities) or [kind]
    found = [f"hosts with {' or '.join(abilities)} (`tri doctor` tests it)"]
    found += [f"a provider of hosts that offers {kind}"] if kind in OF_THE_PROVIDER else []
    found += [f"a system with the capability {OF_THE_SYSTEM[kind]}"] if kind in OF_THE_SYSTEM else []
    return found


def _workload(name: str) -> Entry:
    from ...workloads import WORKLOADS
    from ...workloads.base import WorkloadSpec

    spec, make = WORKLOADS[name]
    every, common = rows(spec), set(WorkloadSpec.model_fields)
    own = [row for row in every if row.name not in common]
    shared = [row for row in every if row.name in common]
    made = make(name, spec())
    facts = {
        "operations": [f"{f} ({effect.value})" for f, effect in made.operations.items()],
        "needs": [made.needs],
        "judged by": list(spec.judged_by),
        "levels of reads": list(spec.known_levels),
    }
    page = "reference/workloads.md" if made.judged_apart else "reference/campaign.md"
    return Entry("workload", name, _about(spec), page, own, shared, _given(facts), f"- {name}: {_example(own)}")


def _checker(name: str) -> Entry:
    from tribulation.checkers.base.options import declared
    from tribulation.checkers.model_names import MODELS
    from tribulation.checkers.registry import about as about_checker
    from tribulation.checkers.registry import checker
    from tribulation.checkers.soundness.gating import reads_of
    from tribulation.node.flaws.switch import FLAWS

    from ...workloads import WORKLOADS

    made = checker(name)
    options = [Field(one.name, _option_type(one), one.default, False, one.description) for one in declared(made)]
    facts = {
        "reads": sorted(reads_of(made)),
        "models": [model for model, known in MODELS.items() if name in known.checkers],
        "workloads": [each for each, (spec, _) in WORKLOADS.items() if name in spec.judged_by],
        "catches flaws": [flaw.name for flaw in FLAWS.values() if flaw.checker == name],
    }
    about = about_checker(name).split("\n\n")[0]
    example = f"tri check RUN --checker {name}"
    return Entry("checker", name, about, f"reference/checkers/{name}.md", options, [], _given(facts), example)


def _option_type(option: Any) -> str:
    """Return the type of the values that the option accepts, found by trials: a declaration holds a function, not a type."""
    tries = {"true | false": True, "integer": 3, "number": 0.5, "list of names": ["a"]}
    kinds = [kind for kind, value in tries.items() if option.accepts(value) is None]
    kind = "number" if "number" in kinds and "integer" in kinds else kinds[0] if kinds else "text"
    return kind + (" (a limit)" if option.bound else "")


def _flaw(name: str) -> Entry:
    from tribulation.node.flaws.switch import FLAWS

    from ...nemesis.specs.specs import SPECS

    flaw = FLAWS[name]
    facts = {
        "caught by": [flaw.checker],
        "needs faults": [fault for kind in flaw.needs for fault, spec in SPECS.items() if spec.kind == kind],
        "needs settings": [f"{key}: {json.dumps(value)}" for key, value in flaw.settings.items()],
        "seen in": [flaw.source],
    }
    return Entry(
        "flaw", name, f"{flaw.title}. {flaw.broken}", "reference/flaws.md", facts=_given(facts), example=_try_flaw(name)
    )


def _try_flaw(name: str) -> str:
    """Return a command that shows the flaw: a run of its campaign if that has a seed, otherwise a search."""
    from ...campaign.load import load_campaign
    from ...campaign.packaged import path_of

    path = path_of(f"flaws/{name}")
    if path is None:
        return f"tri search --all-flaws --flaw {name} --until-found"
    if load_campaign(path).seed is not None:
        return f"tri run flaws/{name} --hosts sim"
    return f"tri search flaws/{name} --until-found"


_OF_KIND: Mapping[str, Callable[[str], Entry]] = {
    "fault": _fault,
    "workload": _workload,
    "checker": _checker,
    "flaw": _flaw,
}


def _about(spec: type) -> str:
    return " ".join(inspect.cleandoc(spec.__doc__ or "").split())


def _given(facts: Mapping[str, list[str]]) -> Facts:
    return {title: values for title, values in facts.items() if values}


def _example(own: list[Field]) -> str:
    """Return the required fields, each with a value of its type."""
    return f"{{{', '.join(f'{row.name}: {_sample(row.type)}' for row in own if row.required)}}}"


def _sample(kind: str) -> str:
    if "e.g. " in kind:
        return kind.partition("e.g. ")[2]
    if kind.startswith("{"):
        return "{n1: 1}"
    first = kind.removeprefix("list of ").partition(" | ")[0]
    return f"[{first}]" if kind.startswith("list of ") else first
