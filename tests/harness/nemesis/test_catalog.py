"""What every kind of the catalogue keeps to, whatever it does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from tests.harness.simulator.real import real_cluster
from tribulation.checkers.base.result import Fault
from tribulation.harness.nemesis.catalog import catalog
from tribulation.harness.nemesis.catalog.kind import FaultKind
from tribulation.harness.nemesis.catalog.knobs import Knobs
from tribulation.harness.nemesis.catalog.timing import Timing
from tribulation.harness.nemesis.faults.fault import Intent, Situation
from tribulation.harness.nemesis.kinds.base import Package
from tribulation.harness.nemesis.registry import PACKAGES
from tribulation.harness.nemesis.schedule import schedule
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
EXAMPLES: dict[str, list[dict[str, object]]] = {
    "cut": [{"shape": "bridge"}, {"shape": "one-way", "target": "leader", "direction": "in"}],
    "link": [{"shape": "halves", "loss": "5%", "delay": "5ms", "rate": "1mbit"}],
    "clog": [{"shape": "every-link"}],
    "kill": [{"target": "leader"}, {"target": "one", "slow_start": "1s"}],
    "pause": [{"target": "one"}, {"target": "one", "whole": "host"}],
    "power": [{"target": "minority"}, {"target": "one", "model": "strict"}],
    "cpu": [{"target": "one", "share": "10%"}],
    "memory": [{"target": "one", "limit": "64MiB"}],
    "descriptors": [{"target": "one", "limit": 20}],
    "wipe": [{"target": "one", "calibration": True}],
    "disk": [{"target": "one", "effect": "slow"}, {"target": "leader", "effect": "lying", "calibration": True}],
    "clock": [{"target": "all", "offset": "60s"}, {"target": "one", "drift_ppm": 500, "monotonic": False}],
    "voters": [{"set": {"n5": 0}}],
    "membership": [{"target": "leader", "action": "replace"}],
    "transfer": [{}, {"to": "former"}],
    "process": [{"target": "one", "of": "sentinel"}, {"target": ["n1"], "of": "redis", "action": "pause"}],
    "client": [{}, {"action": "kill", "clients": 2, "of": "register"}],
    "reject": [{"target": "leader"}],
    "dns": [{"target": "one"}, {"target": ["n1"], "of": ["n2"], "to": "n3"}],
}
EXAMPLES |= {name: [{"shape": "bridge", "period": "100ms"}] for name in ("flap", "reset")}
EXAMPLES["corrupt"] = [{"shape": "halves", "chance": "5%"}, {"shape": "one-way", "target": "leader", "chance": "90%"}]
CASES = [(kind, fields) for kind in KINDS for fields in EXAMPLES[kind.name]]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_kind_is_known_everywhere_by_its_one_line(kind: FaultKind) -> None:
    assert kind.spec.kind == kind.name and kind.key in FAULT_NAMES and kind.spec.__doc__
    package = PACKAGES[kind.name]
    assert isinstance(package, Package) and package.kinds == (kind.name,)
    page = (Path(__file__).parents[3] / "docs/reference/faults.md").read_text(encoding="utf-8")
    assert re.search(rf"^## .*\b{kind.key}\b", page, re.M) and re.search(rf"^\\|.*`{kind.key}`", page, re.M)
    family = SimInjector(real_cluster())._families[kind.name]
    assert all(callable(getattr(family, verb)) for verb in ("inject", "heal", "forget"))


@pytest.mark.parametrize(("kind", "fields"), CASES, ids=lambda value: getattr(value, "name", ""))
def test_what_is_resolved_is_json_and_is_resolved_again_from_what_replay_pins(
    kind: FaultKind, fields: dict[str, object]
) -> None:
    times = {"after": "1s"} if kind.spec.stays else {"after": "1s", "for": "1s"}
    spec = ITEM.validate_python({kind.key: {**fields, **times}}).spec
    assert isinstance(spec, Timing)
    intent = Intent("f", kind.name, schedule.parameters_of(spec, 1), 0, 1, "f")
    what = dict(resolve(intent, SITUATION, 7).what)
    assert json.loads(json.dumps(what)) == what and what == dict(resolve(intent, SITUATION, 7).what)
    recorded = Fault("f", kind.name, what, None, True, 0, 0)
    (pinned,) = parameters_of(recorded)
    other = Situation(NODES, SITUATION.voters, "n5", NODES)
    assert resolve(Intent("g", kind.name, pinned, 0, 1, "g"), other, 8).what == what


def test_a_sort_that_mixes_do_not_list_is_drawn_only_where_it_is_named() -> None:
    """Else campaigns of before would draw other faults from the same seed."""
    later = [name for name, sort in SORTS.items() if sort.coarse and sort.plain]
    assert {"flipped-bits", "dns"} == {*later}
    assert not {*later} & {*AllSpec().sorts()} and AllSpec(kinds=[*later]).sorts() == [*later]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_is_drawn_is_what_a_campaign_may_say(kind: FaultKind) -> None:
    for name, sort in kind.sorts.items():
        assert SORTS[name].fault == sort.fault == kind.key
        for seed in range(20):
            ((fault, fields),) = sort.item(Knobs(seed, "test")).items()
            ITEM.validate_python({fault: {**fields, "after": "0s", "for": "1s"}})
