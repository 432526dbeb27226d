"""A service whose `start` returns before it can say which process it started, as where a server writes its pid file when it is ready."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.harness.nemesis.lab_tools import await_that, deploy, fault, running, state
from tests.harness.nemesis.plain_service import Plain
from tribulation.harness.hosts.base import Host
from tribulation.harness.hosts.local import LocalProvider
from tribulation.harness.nemesis.faults.ledger import read_ledger

LATE = "{python} program.py >log 2>&1 & started=$!; rm -f pid; (sleep 1; echo $started >pid) >/dev/null 2>&1 &"


class Late(Plain):
    def start(self, host: Host, environment: Mapping[str, str]) -> None:
        if self.pid(host) is None:
            self._launch(host, environment, f"sh -c '{LATE.format(python=host.python)}'")


def test_its_kill_is_seen_to_be_undone_and_what_follows_meets_the_new_process(
    lab: LocalProvider, tmp_path: Path
) -> None:
    late, n1 = Late(), lab.hosts[0]
    deploy(late, list(lab.hosts), clocks=False)
    try:
        with running(lab, late, tmp_path / "ledger.jsonl") as injector:
            kill, pause = fault("kill", nodes=["n1"]), fault("pause", nodes=["n1"])
            assert injector.inject(kill).verified
            healed = injector.heal(kill)
            assert healed.verified and late.pid(n1) is not None, healed
            assert injector.inject(pause).verified and state(n1, late) == "T"
            assert injector.heal(pause).verified
            again = fault("kill", nodes=["n1"])
            assert injector.inject(again).verified
            # As a service manager does that no one informed.
            late.start(n1, {})
            await_that("it runs", lambda: late.pid(n1) is not None)
            healed = injector.heal(again)
            assert healed.verified and healed.observed["lapsed"], healed
            assert [fault.verified for fault in read_ledger(tmp_path / "ledger.jsonl")] == [True, True, False]
            slow = fault("kill", nodes=["n1"], slow_start_ns=500_000_000)
            assert injector.inject(slow).verified
            healed = injector.heal(slow)
            assert healed.verified, healed
    finally:
        for host in lab.hosts:
            late.stop(host)
