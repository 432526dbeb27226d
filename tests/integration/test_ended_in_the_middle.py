"""A run that is ended in the middle of a partition, by every means: the hosts are whole again, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.running import Lab, RunningTri, await_that, everybody, namespaces_of, processes_of

HEALED_WITHIN_S = 15.0

NOTHING = {"undone": [], "faults": [], "failed": []}


def test_after_kill_9_hosts_heal_themselves_and_tri_takes_down_what_is_left(
    started: Callable[..., RunningTri], tri, labs: Path
) -> None:
    mounts = Path("/proc/self/mountinfo").read_text()
    run = started("long-cut.yaml")
    run.await_fault()
    lab = Lab(run.lab, labs)
    # With one of three on a side of its own, two links are cut, in both directions.
    assert len(cut := lab.cut_links()) == 4, cut
    whole = lab.watch()
    run.kill()
    killed_s = time.monotonic()
    took_s = whole(60.0) - killed_s
    assert 0 < took_s < HEALED_WITHIN_S, took_s
    print(f"whole again {took_s:.2f} s after the kill")
    judged = tri("check", str(run.folder), "--json")
    assert (judged.exit_code, judged.document["verdict"]) == (3, "unknown"), judged.stderr
    assert "evidence is missing: run.json: the run did not reach its end" in str(judged.document["doubts"])
    assert {gap["part"] for gap in judged.document["gaps"]} == {"run", "history", "trace"}
    assert judged.document["checkers"]["raft-safety"]["verdict"] == "unknown", "its traces were not collected"
    neighbours = lab.places[0].run("ip neigh show dev eth0").stdout.splitlines()
    assert len(neighbours) == 2 * (3 + 1) and all("PERMANENT" in line for line in neighbours), neighbours

    (listed,) = tri("hosts", "list", "--json").document
    assert (listed["name"], listed["nodes"], listed["alive"]) == (run.lab, 3, True)
    assert tri("heal", "--all", "--json").document == NOTHING

    processes = processes_of(labs)
    spaces = namespaces_of(list(processes)) - namespaces_of([os.getpid()])
    assert len(processes) > 3 * 3 and spaces
    lab.provider.close()
    before = everybody()
    down = tri("hosts", "down")
    assert down.exit_code == 0 and run.lab in down.stdout
    assert tri("hosts", "list", "--json").document == []
    await_that(lambda: processes_of(labs) == {}, "the lab's killed processes have ended")
    # The kernel gives the numbers of ended namespaces to new ones: only processes from before can hold an old one.
    assert not spaces & namespaces_of([pid for pid, _ in before & everybody()])
    assert Path("/proc/self/mountinfo").read_text() == mounts
    assert list(labs.iterdir()) == []


@pytest.mark.full
def test_heal_undoes_what_a_dead_harness_left_in_force_at_the_clients_too(
    started: Callable[..., RunningTri], tri, labs: Path
) -> None:
    run = started("long-clients-cut.yaml")
    run.await_fault()
    lab = Lab(run.lab, labs)
    assert ("clients", "n1") in lab.cut_links()
    run.kill()
    undone = tri("heal", "--all", "--json").document["undone"]
    assert {entry.split(":")[0] for entry in undone} == {"clients", "n1"}, undone
    assert lab.cut_links() == []
    assert tri("heal", "--all", "--json").document == NOTHING
    lab.provider.close()


def test_ctrl_c_heals_collects_takes_the_lab_down_and_exits_with_130(
    started: Callable[..., RunningTri], tri, labs: Path
) -> None:
    run = started("long-cut.yaml")
    run.await_fault()
    run.process.send_signal(signal.SIGINT)
    run.await_text("interrupted")
    # An impatient second and third change nothing.
    run.process.send_signal(signal.SIGINT)
    run.await_text("still healing")
    run.process.send_signal(signal.SIGTERM)
    assert run.wait() == 130
    assert "error: interrupted: no fault is active; hosts are down" in run.stderr and "hint: tri check" in run.stderr
    assert "Traceback" not in run.stderr
    assert processes_of(labs) == {} and list(labs.iterdir()) == []

    ledger = (run.folder / "ledger.jsonl").read_text()
    assert '"healed"' in ledger
    assert {path.name for path in (run.folder / "trace").iterdir()} == {"n1.jsonl", "n2.jsonl", "n3.jsonl"}
    judged = tri("check", str(run.folder), "--json")
    assert judged.document["checkers"]["linearizable"]["verdict"] == "valid"
    assert judged.document["verdict"] == "unknown", "a run that was cut short is never found valid as a whole"


@pytest.mark.full
def test_ctrl_c_while_hosts_come_up_or_nodes_are_deployed_leaves_nothing(
    started: Callable[..., RunningTri], labs: Path
) -> None:
    for phase in ("  hosts ", "  deploy "):
        run = started("long-cut.yaml")
        run.await_text(phase)
        run.process.send_signal(signal.SIGINT)
        assert run.wait() == 130
        assert "error: interrupted" in run.stderr and "Traceback" not in run.stderr
        assert processes_of(labs) == {}
        assert not labs.exists() or list(labs.iterdir()) == []
