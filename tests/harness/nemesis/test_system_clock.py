"""A machine's own clock, set by the agent: the arithmetic and the order of things, on a machine of our own making."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.nemesis.lab_tools import fault, running
from tests.harness.nemesis.plain_service import Supervised
from tribulation.harness.agent.clocks import system_clock
from tribulation.harness.agent.faults import clock
from tribulation.harness.errors import FaultError
from tribulation.harness.hosts.local import LocalProvider
from tribulation.harness.nemesis.faults.ledger import read_ledger
from tribulation.harness.nemesis.kinds.clocks.abilities import CAP_SYS_TIME
from tribulation.harness.nemesis.schedule.abilities import try_abilities

SECOND = 10**9
SYSTEM = {"clock": "system"}


@dataclass
class Machine:
    """Its monotonic clock goes on by a microsecond whenever it is read. `active` units put the clock right when `pass_time` lets them."""

    wall: int = 1_700_000_000 * SECOND
    mono: int = 5 * SECOND
    booted: str = "boot 1"
    active: list[str] = field(default_factory=lambda: ["chrony"])
    others: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)

    @property
    def true(self) -> int:
        return 1_700_000_000 * SECOND + self.mono - 5 * SECOND

    def pass_time(self, ns: int) -> None:
        self.wall, self.mono = self.wall + ns, self.mono + ns
        if self.active:
            self.wall = self.true

    def wall_ns(self) -> int:
        return self.wall

    def mono_ns(self) -> int:
        self.wall, self.mono = self.wall + 1000, self.mono + 1000
        return self.mono

    def set_wall(self, wall_ns: int) -> None:
        self.done.append("set")
        self.wall = wall_ns

    def boot(self) -> str:
        return self.booted

    def running(self) -> list[str]:
        return list(self.active)

    def stop(self, unit: str) -> None:
        self.done.append(f"stop {unit}")
        self.active = [other for other in self.active if other != unit]

    def start(self, unit: str) -> None:
        self.done.append(f"start {unit}")
        self.active = sorted({*self.active, unit})

    def synchronisers(self) -> list[str]:
        return [*self.active, *self.others]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(clock, "MACHINE", made)
    return made


@given(st.integers(-(10**15), 10**15), st.integers(0, 10**13), st.integers(0, 10**13))
def test_it_is_off_by_what_was_asked_and_then_true(by_ns: int, first_ns: int, second_ns: int) -> None:
    made = Machine()
    recorded = system_clock.record(made)
    made.pass_time(first_ns)
    system_clock.move(made, recorded, by_ns)
    made.pass_time(second_ns)
    assert abs(made.wall - made.true - by_ns) < 10_000, "nothing has set it right meanwhile"
    assert abs(system_clock.restore(made, recorded) - by_ns) < 10_000
    assert abs(made.wall - made.true) <= system_clock.AS_GOOD_AS_TRUE_NS + 10_000 and made.active == ["chrony"]


def test_the_claim_stands_before_anything_is_done_and_what_ran_runs_again(machine: Machine) -> None:
    machine.active = ["ntpsec", "systemd-timesyncd"]
    claimed = clock.claim({}, {"offset_ns": 60 * SECOND}, SYSTEM)
    assert machine.done == [] and claimed["system"]["units"] == ["ntpsec", "systemd-timesyncd"]
    force = clock.change(claimed, {"offset_ns": 60 * SECOND}, SYSTEM)
    assert machine.done == ["stop ntpsec", "stop systemd-timesyncd", "set"]
    machine.pass_time(SECOND)
    again = clock.claim(force, {"offset_ns": -SECOND}, SYSTEM)
    assert again == claimed, "what was before is what was before the first"
    clock.change(again, {"offset_ns": -SECOND}, SYSTEM)
    assert abs(machine.wall - machine.true + SECOND) < 10_000
    assert clock.change(clock.claim(again, {}, SYSTEM), {}, SYSTEM) == {}
    assert abs(machine.wall - machine.true) < 10_000 and machine.active == ["ntpsec", "systemd-timesyncd"]
    assert clock.claim({}, {}, SYSTEM) == {}


def test_the_watchdog_undoes_it_from_the_claim_alone_and_twice(machine: Machine) -> None:
    claimed = clock.claim({}, {"offset_ns": 60 * SECOND}, SYSTEM)
    clock.change(claimed, {"offset_ns": 60 * SECOND}, SYSTEM)
    (reported,) = clock.undo(claimed)
    assert "was off by 6000000" in reported or "was off by 5999999" in reported
    clock.undo(claimed)
    assert abs(machine.wall - machine.true) < 10_000 and machine.active == ["chrony"]


def test_after_a_boot_the_clock_is_left_alone(machine: Machine) -> None:
    claimed = clock.claim({}, {"offset_ns": 60 * SECOND}, SYSTEM)
    clock.change(claimed, {"offset_ns": 60 * SECOND}, SYSTEM)
    machine.booted, machine.mono, machine.done = "boot 2", 0, []
    clock.undo(claimed)
    assert machine.done == ["start chrony"], "monotonic time began again: what was recorded shows nothing"


def test_what_would_set_it_right_and_cannot_be_stopped_is_reported_and_nothing_is_moved(machine: Machine) -> None:
    machine.others = ["ntpd"]
    claimed = clock.claim({}, {"offset_ns": 60 * SECOND}, SYSTEM)
    with pytest.raises(RuntimeError, match="ntpd would correct the clock"):
        clock.change(claimed, {"offset_ns": 60 * SECOND}, SYSTEM)
    assert abs(machine.wall - machine.true) < 10_000 and machine.active == ["chrony"]


def test_it_neither_drifts_nor_strobes(machine: Machine) -> None:
    with pytest.raises(RuntimeError, match="can only be set ahead or back"):
        clock.change(clock.claim({}, {"drift_ppm": 5}, SYSTEM), {"drift_ppm": 5}, SYSTEM)
    assert machine.done == []


def test_a_local_host_is_never_asked_to(lab: LocalProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even one that says of itself that its clock may be set: the capability is looked for first, and it is not there."""
    host = lab.hosts[0]
    monkeypatch.setattr(host, "clock", "system")
    tried = try_abilities([host], ["clock", "clock-drift"])
    assert [able.ok for able in tried] == [False, False]
    assert "CAP_SYS_TIME is missing" in tried[0].detail and "clock library" in (tried[0].hint or "")


def test_what_is_only_read_of_this_machine() -> None:
    here = system_clock.Here()
    assert len(here.boot()) == 36 and set(here.running()) <= set(system_clock.SYNC_UNITS)
    assert set(here.synchronisers()) <= system_clock.SYNC_PROGRAMS
    recorded = system_clock.record(here)
    assert abs(system_clock.offset_ns(here, recorded)) < SECOND


def test_an_agent_on_a_local_host_that_is_reported_to_cannot(
    lab: LocalProvider, service: Supervised, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The last line of defence is the kernel: by a millisecond, in case it fails. Nothing is left in force."""
    host = lab.hosts[0]
    assert int(host.run("grep CapBnd /proc/1/status").stdout.split()[1], 16) & (1 << CAP_SYS_TIME) == 0, "before"
    monkeypatch.setattr(host, "clock", "system")
    with running(lab, service, tmp_path / "ledger.jsonl") as injector:
        with pytest.raises(FaultError, match="PermissionError"):
            injector.inject(fault("clock", offsets_ns={"n1": 1_000_000}))
        (reported,) = read_ledger(tmp_path / "ledger.jsonl")
        assert not reported.verified and reported.injected_ns is None
        assert injector.inject(fault("clock", offsets_ns={"n2": SECOND})).verified, "others have their library"
