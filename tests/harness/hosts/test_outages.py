"""Leases of hosts that are off or frozen, without hosts: which hold them, and when they are over; and a tree of processes that is frozen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tribulation.harness.hosts.local.supervisor.freezing import continue_all, stop_all
from tribulation.harness.hosts.local.supervisor.outages import Outages

from .conftest import await_true

HOSTS = ("n1", "n2", "n3")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("lease"), st.sampled_from(HOSTS), st.integers(1, 5)),
        st.tuples(st.just("for ever"), st.sampled_from(HOSTS), st.just(0)),
        st.tuples(st.just("end"), st.sampled_from(HOSTS), st.just(0)),
        st.tuples(st.just("renew"), st.just(""), st.integers(1, 5)),
        st.tuples(st.just("wait"), st.just(""), st.integers(1, 5)),
    )
)


@given(STEPS)
def test_a_host_is_over_exactly_when_nobody_renewed_it_in_time(steps: list[tuple[str, str, int]]) -> None:
    now_s = 0.0
    outages, ends_s = Outages(lambda: now_s), dict[str, float]()
    for step, host, amount in steps:
        if step == "lease":
            outages.lease([host], amount)
            ends_s[host] = now_s + amount
        elif step == "for ever":
            outages.lease([host], None)
            ends_s.pop(host, None)
        elif step == "end":
            outages.end([host])
            ends_s.pop(host, None)
        elif step == "renew":
            held = sorted(host for host, end_s in ends_s.items() if end_s > now_s)
            assert outages.renew(amount) == held, "what ran out is not renewed, and is not said to be"
            ends_s.update(dict.fromkeys(held, now_s + amount))
        else:
            now_s += amount
        assert outages.over() == sorted(host for host, end_s in ends_s.items() if end_s <= now_s)


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def frozen(pid: int) -> bool:
    """Stopped, or a shell that waits for its child to exec (vfork) where that child is stopped: it runs nothing until the child goes on."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return state(pid) == "T" or (state(pid) == "D" and any(state(int(child)) == "T" for child in children))


def test_a_tree_is_frozen_with_all_that_it_forks_and_what_was_stopped_stays_so() -> None:
    script = "sleep 600 & kill -STOP $!; echo $!; while true; do sleep 0.001; done & echo $!; echo up; wait"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True) as tree:
        try:
            assert tree.stdout is not None
            stopped_before, forking = int(tree.stdout.readline()), int(tree.stdout.readline())
            assert tree.stdout.readline() == "up\n"
            await_true(lambda: state(stopped_before) == "T", "stopped by itself")
            stopped = stop_all(tree.pid)
            assert {tree.pid, forking} <= set(stopped) and stopped_before not in stopped
            await_true(lambda: frozen(tree.pid) and frozen(forking), "all stopped")
            continue_all(stopped)
            await_true(lambda: state(forking) in "RSD" and state(tree.pid) in "RSD", "goes on")
            assert state(stopped_before) == "T"
        finally:
            os.killpg(tree.pid, signal.SIGKILL)


def test_a_process_that_took_the_number_is_left_alone() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as sleeper:
        stopped = stop_all(sleeper.pid)
        continue_all({pid: started + 1 for pid, started in stopped.items()})
        assert state(sleeper.pid) == "T"
        continue_all(stopped)
        await_true(lambda: state(sleeper.pid) != "T", "goes on")
        sleeper.kill()
