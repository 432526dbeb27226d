"""What every kind of the catalogue keeps to, whatever it does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random

import pytest
from pydantic import TypeAdapter

from tests.harness.simulator.real import real_cluster
from tribulation.checkers.base.result import Fault
from tribulation.harness.nemesis.catalog import catalog
from tribulation.harness.nemesis.catalog.kind import FaultKind
from tribulation.harness.nemesis.catalog.knobs import Knobs
from tribulation.harness.nemesis.faults.fault import Intent, Situation
from tribulation.harness.nemesis.kinds.base import Package
from tribulation.harness.nemesis.registry import PACKAGES
from tribulation.harness.nemesis.specs.draws import SORTS
from tribulation.harness.nemesis.specs.random_mix import AllSpec
from tribulation.harness.nemesis.specs.specs import FAULT_NAMES, FaultSpec
from tribulation.harness.nemesis.topology.resolve import resolve
from tribulation.harness.replay.runs.pinning import parameters_of
from tribulation.harness.simulator.faults.injector import SimInjector

KINDS = catalog.kinds()
ITEM: TypeAdapter[FaultSpec] = TypeAdapter(FaultSpec)
NODES = ["n1", "n2", "n3", "n4", "n5"]
SITUATION = Situation(NODES, dict.fromkeys(NODES, 1), "n2", NODES)
EXAMPLES = {
    "transfer": [{}, {"to": "former"}],
    "process": [{"target": "one", "of": "sentinel"}, {"target": ["n1"], "of": "redis", "action": "pause"}],
    "client": [{}, {"action": "kill", "clients": 2, "of": "register"}],
    "dns": [{"target": "one"}, {"target": ["n1"], "of": ["n2"], "to": "n3"}],
}
EXAMPLES |= {name: [{"shape": "bridge", "period": "100ms"}] for name in ("flap", "reset")}
EXAMPLES["corrupt"] = [{"shape": "halves", "chance": "5%"}, {"shape": "one-way", "target": "leader", "chance": "90%"}]
CASES = [(kind, fields) for kind in KINDS for fields in EXAMPLES[kind.name]]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_kind_is_known_everywhere_by_its_one_line(kind: FaultKind) -> None:
    assert kind.spec.kind == kind.name in FAULT_NAMES and kind.spec.__doc__
    package = PACKAGES[kind.name]
    assert isinstance(package, Package) and package.kinds == (kind.name,)
    page = (Path(__file__).parents[3] / "docs/reference/faults.md").read_text(encoding="utf-8")
    assert re.search(rf"^## .*\b{kind.name}\b", page, re.M) and re.search(rf"^\\|.*`{kind.name}`", page, re.M)
    family = SimInjector(real_cluster())._families[kind.name]
    assert all(callable(getattr(family, verb)) for verb in ("inject", "heal", "forget"))


@pytest.mark.parametrize(("kind", "fields"), CASES, ids=lambda value: getattr(value, "name", ""))
def test_what_is_resolved_is_json_and_is_resolved_again_from_what_replay_pins(
    kind: FaultKind, fields: dict[str, object]
) -> None:
    spec = ITEM.validate_python({kind.name: {**fields, "after": "1s", "for": "1s"}}).spec
    intent = Intent(
        "f", kind.name, spec.parameters() | ({"shape": fields["shape"]} if "shape" in fields else {}), 0, 1, "f"
    )
    what = dict(resolve(intent, SITUATION, 7).what)
    assert json.loads(json.dumps(what)) == what and what == dict(resolve(intent, SITUATION, 7).what)
    recorded = Fault("f", kind.name, what, None, True, 0, 0)
    (pinned,) = parameters_of(recorded)
    other = Situation(NODES, SITUATION.voters, "n5", ["n5"])
    assert kind.resolve(Intent("g", kind.name, pinned, 0, 1, "g"), other, Random(1)) == what


def test_a_kind_that_came_later_is_drawn_only_where_it_is_named() -> None:
    """Else campaigns of before would draw other faults from the same seed."""
    later = {name: sort for kind in KINDS for name, sort in kind.sorts.items()}
    assert later and all(SORTS[name].coarse and SORTS[name].plain for name in later)
    assert not {*later} & {*AllSpec().sorts()} and AllSpec(kinds=[*later]).sorts() == [*later]
    for name in later:
        for seed in range(20):
            ((fault, fields),) = SORTS[name].item(Knobs(seed, "test")).items()
            ITEM.validate_python({fault: {**fields, "after": "0s", "for": "1s"}})
