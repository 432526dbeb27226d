"""Clock faults on systems that do not ask the preloaded library, and on systems that can be asked for their time."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.nemesis.clock_readers import compiled
from tests.harness.nemesis.clock_services import Answering, Compiled
from tests.harness.nemesis.lab_tools import await_that, deploy, fault, other_harness, running
from tests.harness.nemesis.plain_service import Plain
from tribulation.harness.hosts.base import Host
from tribulation.harness.hosts.local import LocalProvider
from tribulation.harness.nemesis.cluster.clock_library import BLOCK_MACHINE

MINUTE_NS = 60 * 10**9
TRACES = "import ctypes, sys, time; print(ctypes.CDLL(None).ptrace(0x4206, int(sys.argv[1]), None, None), flush=True); time.sleep(60)"
"""Holds a process, so that no other can."""


def taken_off(service: Plain, lab: LocalProvider) -> None:
    for host in lab.hosts:
        service.stop(host)
        service.uninstall(host)


@pytest.mark.parametrize("lie_ns", [0, MINUTE_NS])
def test_the_word_of_the_system_itself_decides(lab: LocalProvider, tmp_path: Path, lie_ns: int) -> None:
    service = Answering()
    service.lie_ns = lie_ns
    deploy(service, list(lab.hosts), clocks=True)
    try:
        with running(lab, service, tmp_path / "ledger.jsonl") as injector:
            jump = fault("clock", offsets_ns={"n1": MINUTE_NS})
            seen = injector.inject(jump)
            assert seen.verified == (lie_ns == 0), seen
            assert seen.observed["said_ns"]["n1"] == pytest.approx(MINUTE_NS - lie_ns, abs=10**9)
            if lie_ns:
                assert "the system itself says" in seen.observed["unaffected"]["n1"][0]
            assert injector.heal(jump).verified
    finally:
        taken_off(service, lab)


@pytest.fixture(scope="module")
def go(lab: LocalProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compiled]:
    """A program that maps the library and never asks it, on every host."""
    if platform.machine() != BLOCK_MACHINE:
        pytest.skip(f"the vDSO of {BLOCK_MACHINE} alone is known")
    folder = tmp_path_factory.mktemp("go")
    service = Compiled(Path(compiled(folder, "-DGO")).read_bytes())
    deploy(service, list(lab.hosts), clocks=True)
    yield service
    taken_off(service, lab)


def shown_s(service: Compiled, host: Host) -> float:
    """How far the service's newest reading of its vDSO is from this machine's clock."""
    wall_ns = int(host.run(f"tail -n 1 {host.directory}/plain/log").stdout.split()[1])
    return (wall_ns - time.time_ns()) / 1e9


def test_a_program_that_reads_the_vdso_is_moved_there(lab: LocalProvider, go: Compiled, tmp_path: Path) -> None:
    n1, n2 = lab.hosts[:2]
    with running(lab, go, tmp_path / "ledger.jsonl") as injector:
        jump = fault("clock", offsets_ns={"n1": MINUTE_NS})
        seen = injector.inject(jump)
        assert seen.verified and seen.observed["means"] == {"n1": ["vdso"]}, seen
        assert seen.observed["offsets_ns"]["n1"] == pytest.approx(MINUTE_NS, abs=10**6)
        assert shown_s(go, n1) == pytest.approx(60, abs=20)
        assert shown_s(go, n2) == pytest.approx(0, abs=20)
        assert injector.heal(jump).verified and shown_s(go, n1) == pytest.approx(0, abs=20)
        drift = fault("clock", drift_ppm={"n1": -20_000}, monotonic=False)
        seen = injector.inject(drift)
        assert seen.verified and seen.observed["drift_ppm"]["n1"] == pytest.approx(-20_000, abs=10), seen
        strobe = fault("clock", strobe_ns={"n1": MINUTE_NS}, period_ns=10**9)
        assert injector.inject(strobe).verified
        assert injector.heal(strobe).verified and injector.heal(drift).verified


def test_a_program_that_begins_while_a_fault_is_on_is_moved(lab: LocalProvider, go: Compiled, tmp_path: Path) -> None:
    n1 = lab.hosts[0]
    with running(lab, go, tmp_path / "ledger.jsonl") as injector:
        jump = fault("clock", offsets_ns={"n1": MINUTE_NS})
        kill = fault("kill", nodes=["n1"])
        assert injector.inject(jump).verified
        assert injector.inject(kill).verified and injector.heal(kill).verified
        await_that("the new process is moved, too", lambda: shown_s(go, n1) == pytest.approx(60, abs=20))
        assert injector.heal(jump).verified
        assert shown_s(go, n1) == pytest.approx(0, abs=20)


def test_what_the_vdso_says_is_undone_when_the_harness_is_gone(
    lab: LocalProvider, go: Compiled, tmp_path: Path
) -> None:
    n1 = lab.hosts[0]
    with running(lab, go, tmp_path / "ledger.jsonl") as injector:
        jump = fault("clock", offsets_ns={"n1": MINUTE_NS})
        assert injector.inject(jump).verified and shown_s(go, n1) == pytest.approx(60, abs=20)

        def is_true_once_the_lease_is_over() -> bool:
            # Again and again, since the harness of this test is alive and renews it.
            n1.run(f"echo 0 > {n1.directory}/nemesis/lease")
            return abs(shown_s(go, n1)) < 20

        await_that("the watchdog has undone it", is_true_once_the_lease_is_over)
        healed = injector.heal(jump)
        assert healed.verified and healed.observed["lapsed"], healed


def test_a_program_that_cannot_be_moved_is_not_verified(lab: LocalProvider, go: Compiled, tmp_path: Path) -> None:
    n1 = lab.hosts[0]
    tracer = n1.start([n1.python, "-c", TRACES, str(go.pid(n1))])
    assert tracer.read_line(10) == "0"
    try:
        with running(lab, go, tmp_path / "ledger.jsonl") as injector:
            jump = fault("clock", offsets_ns={"n1": MINUTE_NS})
            seen = injector.inject(jump)
            assert not seen.verified and seen.observed["affected"] == {"n1": False}
            why = "; ".join(seen.observed["unaffected"]["n1"])
            assert "is a Go program: its runtime reads the vDSO" in why and "cannot be traced" in why
            assert "clock: system" in seen.observed["hint"]
            assert injector.heal(jump).verified
    finally:
        tracer.close()


def test_a_process_that_was_down_is_looked_at_before_the_end(lab: LocalProvider, go: Compiled, tmp_path: Path) -> None:
    n1 = lab.hosts[0]
    block = f"{n1.directory}/nemesis/clock_vdso.bin"
    content = n1.get(block)
    n1.run(["rm", block])
    try:
        with running(lab, go, tmp_path / "ledger.jsonl") as injector:
            kill, jump = fault("kill", nodes=["n1"]), fault("clock", offsets_ns={"n1": MINUTE_NS})
            assert injector.inject(kill).verified and injector.inject(jump).verified
            assert injector.heal(kill).verified
            healed = injector.heal(jump)
            assert not healed.verified and "is a Go program" in healed.observed["unaffected"]["n1"][0], healed
    finally:
        n1.put(content, block)


def test_what_the_vdso_says_is_undone_when_the_harness_is_killed(
    lab: LocalProvider, go: Compiled, tmp_path: Path
) -> None:
    n1 = lab.hosts[0]
    with other_harness(lab, tmp_path / "ledger.jsonl", 4, program="clock_harness.py") as harness:
        assert shown_s(go, n1) == pytest.approx(60, abs=20)
        harness.kill()
        harness.wait()
        await_that("the watchdog has undone it", lambda: abs(shown_s(go, n1)) < 20)
    assert go.pid(n1) is not None
