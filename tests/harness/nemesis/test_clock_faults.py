"""Wall clocks of real processes on a lab: set, drifting, strobing, and true again no matter what ends it. The machine's own clock cannot be moved."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness.nemesis.lab_tools import await_that, fault, running
from tests.harness.nemesis.plain_service import Supervised
from tribulation.harness.hosts.base import Host
from tribulation.harness.hosts.local import LocalProvider
from tribulation.harness.nemesis.agent_client.heal import heal
from tribulation.harness.nemesis.cluster.clock_library import installed
from tribulation.harness.nemesis.faults.ledger import read_ledger
from tribulation.harness.nemesis.inject.injector import HostInjector
from tribulation.harness.nemesis.schedule.abilities import try_abilities

SECOND = 10**9
MEANS = "preloaded clock library, and the vDSO of Go and static programs"


@pytest.fixture(scope="module")
def injector(
    lab: LocalProvider, service: Supervised, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HostInjector]:
    with running(lab, service, tmp_path_factory.mktemp("ledger") / "ledger.jsonl") as made:
        yield made


def in_force(host: Host) -> bytes:
    """The word of the clock's file that says whether the clock is true."""
    library = installed(host)
    assert library is not None
    return host.get(library.file)[:8]


def shown_ns(injector: HostInjector, node: str) -> int:
    """By the newest sample; a busy machine may have failed to take it, and takes another."""
    taken: list[dict[str, Any]] = []

    def is_taken() -> bool:
        sample = injector.sample()
        taken.append(dict(sample.get("clock-offsets", {})))
        return "clock-offsets" in sample

    await_that("a sample of the clocks", is_taken)
    return int(taken[-1].get(node, {}).get("shown_offset_ns", 0))


def test_hosts_can_do_all_of_it(lab: LocalProvider) -> None:
    tried = try_abilities(lab.hosts, ["clock", "clock-drift", "clock-strobe"])
    assert [(able.ok, able.detail) for able in tried] == [(True, MEANS)] * 9


def test_a_clock_drifts_and_comes_back(lab: LocalProvider, injector: HostInjector) -> None:
    drift = fault("clock", drift_ppm={"n1": 500, "n2": -20_000}, monotonic=False)
    seen = injector.inject(drift)
    assert seen.verified, seen
    assert seen.observed["drift_ppm"]["n1"] == pytest.approx(500, abs=10)
    assert seen.observed["drift_ppm"]["n2"] == pytest.approx(-20_000, abs=10)
    await_that("the offset that n2's service sees is sampled", lambda: shown_ns(injector, "n2") < -20_000_000)
    assert abs(shown_ns(injector, "n3")) < 1_000_000
    before_ns = shown_ns(injector, "n2")
    # Another change on the host, with which the drift must not begin again; how that one is seen is no matter of clocks.
    injector.inject(cut := fault("cut", edges=[["n3", "n2"]]))
    injector.heal(cut)
    await_that("a sample after it", lambda: shown_ns(injector, "n2") != before_ns)
    assert shown_ns(injector, "n2") < before_ns
    healed = injector.heal(drift)
    assert healed.verified and abs(healed.observed["offsets_ns"]["n2"]) < 10**6, healed


def test_a_clock_strobes_and_comes_back(lab: LocalProvider, injector: HostInjector) -> None:
    strobe = fault("clock", strobe_ns={"n1": -5 * SECOND, "n3": SECOND}, period_ns=SECOND // 5)
    seen = injector.inject(strobe)
    assert seen.verified and seen.observed["spans_ns"]["n3"] == pytest.approx(SECOND, abs=10**6), seen
    healed = injector.heal(strobe)
    assert healed.verified and healed.observed["spans_ns"]["n1"] < 10**6, healed


def test_of_two_the_last_holds_and_the_first_is_back_when_it_goes(injector: HostInjector) -> None:
    jump, drift = fault("clock", offsets_ns={"n1": 60 * SECOND}), fault("clock", drift_ppm={"n1": 900}, monotonic=False)
    assert injector.inject(jump).verified and injector.inject(drift).verified
    healed = injector.heal(jump)
    assert healed.verified and healed.observed["held_by"] == {"n1": drift.intent.id}, healed
    assert injector.inject(jump).verified, "the last again"
    assert injector.heal(drift).verified and injector.heal(jump).verified


def test_it_is_undone_when_nobody_renews_the_lease(lab: LocalProvider, injector: HostInjector) -> None:
    n1 = lab.hosts[0]

    def is_true_once_the_lease_is_over() -> bool:
        # Again and again, since the harness of this test is alive and renews it.
        n1.run(f"echo 0 > {n1.directory}/nemesis/lease")
        return in_force(n1) == bytes(8)

    strobe = fault("clock", strobe_ns={"n1": SECOND}, period_ns=SECOND // 5)
    assert in_force(n1) == bytes(8)
    assert injector.inject(strobe).verified and in_force(n1) != bytes(8)
    await_that("the watchdog has ended it", is_true_once_the_lease_is_over)
    healed = injector.heal(strobe)
    assert healed.verified and healed.observed["lapsed"], healed


def test_it_is_undone_by_hand(lab: LocalProvider, injector: HostInjector) -> None:
    n1 = lab.hosts[0]
    drift = fault("clock", drift_ppm={"n1": 900}, monotonic=False)
    assert injector.inject(drift).verified and in_force(n1) != bytes(8)
    assert "drift_ppm 900" in "".join(heal([n1])) and in_force(n1) == bytes(8)
    assert heal([n1]) == []
    assert injector.heal(drift).observed["lapsed"]


def test_at_the_final_heal_the_clock_is_looked_at_too(lab: LocalProvider, injector: HostInjector) -> None:
    assert injector.inject(fault("clock", offsets_ns={"n1": SECOND})).verified
    assert injector.heal_all().verified and in_force(lab.hosts[0]) == bytes(8)


def test_a_host_that_is_off_at_the_heal_is_looked_at_again_when_it_is_back(
    lab: LocalProvider, injector: HostInjector, tmp_path_factory: pytest.TempPathFactory
) -> None:
    clocks = fault("clock", offsets_ns={"n1": SECOND, "n2": SECOND})
    power = fault("power", nodes=["n1"])
    assert injector.inject(clocks).verified and injector.inject(power).verified
    healed = injector.heal(clocks)
    assert not healed.verified and healed.observed["hidden_by"] == [power.intent.id], "of n1 nothing is known yet"
    ledger = tmp_path_factory.getbasetemp() / "ledger0" / "ledger.jsonl"
    assert {one.id: one.undone for one in read_ledger(ledger)}[clocks.intent.id] is False
    assert injector.heal_all().verified
    assert {one.id: one.undone for one in read_ledger(ledger)}[clocks.intent.id] is True
    assert in_force(lab.hosts[0]) == in_force(lab.hosts[1]) == bytes(8)


SET_CLOCK = """
import json, time
try: time.clock_settime(time.CLOCK_REALTIME, time.time() + 3600)
except OSError as error: print(json.dumps(type(error).__name__))
"""


def test_nobody_on_a_local_host_can_set_the_machines_clock(lab: LocalProvider) -> None:
    """Root there included; if this fails, the machine's clock is an hour ahead."""
    n1 = lab.hosts[0]
    assert int(n1.run("grep CapBnd /proc/1/status").stdout.split()[1], 16) & (1 << 25) == 0, "before it is tried"
    assert json.loads(n1.run([*n1.sudo, n1.python, "-c", SET_CLOCK]).stdout) == "PermissionError"
