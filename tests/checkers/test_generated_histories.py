"""The benchmarks' generator: what it makes is valid, what it plants is found, and equal settings give equal histories."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.generators import MODELS, VIOLATIONS, Settings, generate, plant
from tribulation.checkers import Verdict
from tribulation.histories import pair
from tribulation.histories.files.building import columns_of_events
from tribulation.histories.model.columns import FAIL, INFO, OK
from tribulation.histories.model.rows import events, operation

from . import fuzz_generated
from .fuzz_generated import judged, recheck

SMALL = 400
SAMPLE = 8


def settings(model: str, operations: int = SMALL, seed: int = 3) -> Settings:
    return Settings(model, operations, clients=5, keys=3, info_rate=0.02, fail_rate=0.03, seed=seed)


@pytest.mark.parametrize("model", MODELS)
def test_a_generated_history_is_valid(model: str) -> None:
    results = judged(generate(settings(model)), model)
    assert {result.verdict for result in results.values()} == {Verdict.VALID}


@pytest.mark.parametrize("case", fuzz_generated.FUZZ)
def test_a_sample_of_the_fuzz(case: str) -> None:
    """The seeds before those that `make fuzz` takes."""
    assert {fuzz_generated.FUZZ[case](seed) for seed in range(SAMPLE)} & {"valid", "found"}


@pytest.mark.parametrize("model", sorted(set(MODELS) - fuzz_generated.TRANSACTIONS))
def test_fast_paths_give_an_order_that_holds_and_another_does_not(model: str) -> None:
    columns = generate(replace(settings(model), keys=1, pause=0.9))
    result = judged(columns, model)["linearizable"]
    if model == "cas-register":
        assert not result.certificate, "the search gives none"
        return
    assert result.certificate is not None
    recheck(columns, model, result)
    (label, order), *_ = result.certificate.items()
    turned = replace(result, certificate={label: list(reversed(order))})
    with pytest.raises(AssertionError, match=r"but is placed after it|cannot have happened there"):
        recheck(columns, model, turned)


@pytest.mark.parametrize(("model", "violation"), [(model, name) for model in VIOLATIONS for name in VIOLATIONS[model]])
def test_a_planted_violation_is_found(model: str, violation: str) -> None:
    columns = plant(generate(settings(model)), violation, model)
    results = judged(columns, model)
    assert Verdict.INVALID in {result.verdict for result in results.values()}
    for result in results.values():
        for anomaly in result.anomalies:
            assert anomaly.ops and anomaly.explanation


@pytest.mark.parametrize("model", MODELS)
def test_a_generated_history_is_one_that_a_recorder_can_have_written(model: str) -> None:
    columns = generate(settings(model))
    paired = pair(events(columns))
    again = columns_of_events(events(columns))
    assert len(paired) == len(columns) == len(again)
    assert [operation(columns, row) for row in range(SMALL)] == [operation(again, row) for row in range(SMALL)]


def test_equal_settings_give_equal_histories_and_another_seed_another() -> None:
    one, two, other = (generate(settings("kv", seed=seed)) for seed in (1, 1, 2))
    assert (one.invoke == two.invoke).all() and (one.result == two.result).all()
    assert (one.invoke != other.invoke).any()


def test_rates_and_clients_are_as_asked() -> None:
    columns = generate(Settings("register", 20_000, clients=30, info_rate=0.05, fail_rate=0.1))
    shares = [float((columns.type == kind).mean()) for kind in (OK, FAIL, INFO)]
    assert shares == pytest.approx([0.85, 0.1, 0.05], abs=0.01)
    ends = np.sort(columns.complete)
    open_at_once = [int(n - np.searchsorted(ends, at)) for n, at in enumerate(columns.invoke[:500])]
    assert max(open_at_once) <= 30 + int((columns.type[:500] == INFO).sum())


def test_what_cannot_be_made_is_refused() -> None:
    with pytest.raises(ValueError, match="no model 'tree'"):
        generate(Settings("tree"))
    with pytest.raises(ValueError, match="pause is 5"):
        generate(Settings("register", pause=5))
    with pytest.raises(ValueError, match="no violation 'stale-read' of queue"):
        plant(generate(settings("queue")), "stale-read", "queue")
    with pytest.raises(ValueError, match="has no place for a stale-read"):
        plant(generate(settings("register", 3)), "stale-read", "register")
