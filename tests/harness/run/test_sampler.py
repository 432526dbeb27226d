"""What the sampler writes into a history: each sample once, at the time at which it was taken."""

from __future__ import annotations

import time

from tribulation.harness.run.drive.journal import Journal
from tribulation.harness.run.drive.sampler import Sampler
from tribulation.harness.run.drive.worker import RunClock
from tribulation.harness.run.outcome.run_folder import reachability_samples
from tribulation.harness.trouble import Trouble
from tribulation.histories import History, MemoryRecorder

SECOND = 1_000_000_000


class Injector:
    """Gives these samples, and raises what is an exception."""

    def __init__(self, samples: list) -> None:
        self.samples = samples

    def sample(self):
        found = self.samples.pop(0)
        if isinstance(found, Exception):
            raise found
        return found


def sampled(samples: list, monkeypatch) -> tuple[History, Trouble]:
    monkeypatch.setattr("tribulation.harness.run.drive.sampler.SAMPLE_EVERY_S", 0.001)
    recorder, trouble, injector = MemoryRecorder(), Trouble(), Injector(samples)
    with Sampler(injector, Journal(recorder), RunClock(), trouble):  # type: ignore[arg-type]
        deadline_s = time.monotonic() + 10
        while injector.samples and time.monotonic() < deadline_s:
            time.sleep(0.001)
        time.sleep(0.01)
    return History(recorder.events), trouble


def links(sampled_ns: int, up: bool) -> dict:
    return {"reachability": {"links": [["n1", "n2", up]], "sampled_ns": sampled_ns}, "clock-offsets": {}}


def test_a_sample_is_recorded_once_with_its_own_time_and_none_from_before_the_run(monkeypatch):
    given = [links(-5, True), links(7 * SECOND, False), links(7 * SECOND + 900, False), links(8 * SECOND, True)]
    history, _ = sampled(given, monkeypatch)
    assert reachability_samples(history) == [(7 * SECOND, {("n1", "n2"): False}), (8 * SECOND, {("n1", "n2"): True})]


def test_a_sample_that_failed_is_reported_and_an_exception_ends_no_thread(monkeypatch):
    given = [{"sample-failed": {"error": "old"}}, KeyError("links"), links(SECOND, True)]
    history, trouble = sampled(given, monkeypatch)
    assert [event.f for event in history.events][:2] == ["sample-failed", "reachability"]
    assert len(trouble.errors) + len(trouble.bugs) >= 1
