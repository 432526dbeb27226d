"""Parts of the agent without a host: its table's text, its account of what is in force, processes of our own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.harness.nemesis.lab_tools import await_that
from tribulation.harness.agent.faults import process
from tribulation.harness.agent.network.firewall import rules
from tribulation.harness.agent.processes import cgroups, descriptors, proc, processes
from tribulation.harness.agent.state import account
from tribulation.harness.agent.state.store import Store
from tribulation.harness.nemesis.agent_client.shipping import bundle


def test_the_table_lets_control_through_before_anything_is_dropped() -> None:
    text = rules(["10.0.0.2", "fd00::2", "fe80::2%eth0"], [], ["10.0.0.254", 22])
    assert text.startswith("add table inet tribulation\ndelete table inet tribulation\ntable inet tribulation {"), (
        "one transaction"
    )
    assert "set from4 { type ipv4_addr; elements = { 10.0.0.2 }; }" in text
    assert "set from6 { type ipv6_addr; elements = { fd00::2, fe80::2 }; }" in text
    assert (
        text.index("ip saddr 10.0.0.254 tcp dport 22 accept") < text.index("nd-neighbor-solicit") < text.index("drop")
    )
    assert "leaving" not in text
    out = rules([], ["10.0.0.9"], ["fd00::254", 2222])
    assert out.index("ip6 daddr fd00::254 tcp sport 2222 accept") < out.index("ip daddr @to4 counter drop")


def test_what_is_in_force_survives_and_a_lease_runs_out(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "nemesis"))
    assert store.force() == {} and store.lease_left_s() == 0.0 and store.read_journal() == []
    store.set_force({"cut": {"from": ["10.0.0.2"]}})
    store.renew(100.0)
    again = Store(str(tmp_path / "nemesis"))
    assert again.force() == {"cut": {"from": ["10.0.0.2"]}} and 90 < again.lease_left_s() <= 100
    store.renew(0.0)
    assert again.lease_left_s() <= 0
    store.write_journal({"who": "heal", "undone": ["cut"]})
    with open(store.path("journal.jsonl"), "a") as file:
        file.write('{"torn')
    assert [entry["who"] for entry in again.read_journal()] == ["heal"]


def test_a_host_knows_whose_faults_are_on_also_after_a_torn_line(tmp_path: Path) -> None:
    store, run = Store(str(tmp_path / "nemesis")), {"run": "quickstart, seed 7", "by": "ada@laptop"}
    cut, delay = {"id": "cut.1", "kind": "cut"}, {"id": "link.1", "kind": "link"}
    assert account.still_on(store) == []
    account.begin(store, [cut], run, 5)
    account.begin(store, [cut, delay], run, 6)
    account.end_others(store, [cut, delay], "harness", 6)
    assert account.still_on(store) == [
        {"at_ns": 5, "phase": "on", **cut, **run},
        {"at_ns": 6, "phase": "on", **delay, **run},
    ]
    with open(store.path(account.FILE), "ab") as file:
        file.write(b'\xff[1]\n{"at_ns": 7, "phase": "off", "id": "cu')
    account.end_others(store, [delay], "harness", 8)
    assert [fault["id"] for fault in account.still_on(store)] == ["link.1"]
    account.end_others(store, [], "watchdog")
    assert account.still_on(store) == []


def test_a_process_is_paused_resumed_remembered_killed_and_started_again(tmp_path: Path) -> None:
    program = "import time; print('up', flush=True); time.sleep(600)"
    sleeper = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], cwd=tmp_path, stdout=subprocess.PIPE)
    # Right after its exec a process may not have its command line yet.
    assert sleeper.stdout is not None and sleeper.stdout.readline() == b"up\n"
    how = {"pid": sleeper.pid, "contains": str(tmp_path)}
    assert processes.find(how) == sleeper.pid
    assert processes.find({**how, "contains": "another program"}) is None, "a number that was used again is not it"
    paused = processes.pause(how)
    seen = proc.read(sleeper.pid)
    assert paused[0][0] == sleeper.pid and seen is not None and seen.state == "T"
    assert processes.resume([[sleeper.pid, paused[0][1] + 1]]) == [], "another process of that number is left alone"
    assert processes.resume(paused) == [sleeper.pid] and processes.resume(paused) == []
    again = processes.remember(sleeper.pid)
    assert again is not None and again["cwd"] == str(tmp_path) and again["argv"][-1] == str(tmp_path)
    processes.kill(how)
    processes.kill(how)
    assert sleeper.wait() == -signal.SIGKILL
    (tmp_path / "started").unlink(missing_ok=True)
    writer = [sys.executable, "-c", "import os; open('started', 'w').write(os.environ['WORD'])"]
    assert processes.start({"pid": sleeper.pid, "again": {**again, "argv": writer, "environment": {"WORD": "hello"}}})
    os.waitpid(-1, 0)
    assert (tmp_path / "started").read_text() == "hello"


FAMILY = """
import os, sys, time
if os.fork() == 0 and os.fork() == 0: os.setsid()
sys.stdin.readline()
if os.getsid(0) != os.getpid(): os.fork()
time.sleep(600)
"""


@pytest.mark.parametrize("wanted", ["paused", "killed"])
def test_an_agent_that_dies_in_the_midst_leaves_no_process_stopped(wanted: str) -> None:
    with subprocess.Popen([sys.executable, "-c", FAMILY], stdin=subprocess.PIPE) as parent:
        how = {"pid": parent.pid}
        try:
            await_that("a family", lambda: len(processes.tree(how).processes) == 3)
            claimed = process.claim({}, {wanted: True}, {"process": how})
            assert parent.stdin is not None
            # A process that is born after the claim is in no list.
            parent.stdin.write(b"\n\n")
            parent.stdin.flush()
            await_that("one more", lambda: len(processes.tree(how).processes) == 4)
            processes.pause(how)
            assert processes.tree(how).moving == []
            processes._seen.clear()
            (reported,) = process.undo(json.loads(json.dumps(claimed)))
            assert reported.startswith("pause: process ") and len(processes.tree(how).moving) == 4
            assert process.undo(claimed) == []
        finally:
            processes.kill(how)
    assert processes.tree(how).processes == ()


DAEMON = """
import os, sys, time
sys.stdin.readline()
if os.fork() == 0:
    os.setsid()
    if os.fork(): os._exit(0)
    sys.stdout.write(f"{os.getpid()}\\n"); sys.stdout.flush()
else: os.wait()
time.sleep(600)
"""


@pytest.mark.skipif(cgroups.usable(cgroups.CPU)[0] is None, reason="no control groups can be made here: run as root")
def test_a_daemon_that_left_everything_else_is_found_in_the_control_group() -> None:
    controller = cgroups.usable(cgroups.CPU)[0]
    assert controller is not None
    prior = cgroups.path_of(os.getpid(), controller)
    group = f"{cgroups.below(controller, prior)}-daemon"
    with subprocess.Popen(
        [sys.executable, "-c", DAEMON], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        how = {"pid": parent.pid}
        try:
            cgroups.enter(controller, group, [parent.pid], 900_000)
            assert parent.stdin is not None and parent.stdout is not None
            parent.stdin.write("\n")
            parent.stdin.flush()
            daemon = int(parent.stdout.readline())
            seen = proc.read(daemon)
            assert seen is not None and seen.parent != parent.pid and seen.session != os.getsid(parent.pid)
            # A daemon that was just forked may be in the topmost group for an instant.
            await_that(
                "both", lambda: {process.pid for process in processes.tree(how).processes} == {parent.pid, daemon}
            )
            assert len(processes.pause(how)) == 2 and processes.tree(how).moving == []
        finally:
            processes.kill(how)
            cgroups.leave(controller, group, prior)
    assert not processes.alive(daemon)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user: run as root")
def test_descriptors_of_another_user_are_limited_without_the_right_to_set_anybodys() -> None:
    with subprocess.Popen(["sleep", "600"], user=65534, group=65534, extra_groups=[], cwd="/") as sleeper:
        try:
            before = descriptors.read(sleeper.pid)
            assert before is not None and before > 20
            descriptors.put({sleeper.pid: 20, 1 << 22: 20})
            assert descriptors.read(sleeper.pid) == 20
            descriptors.put({sleeper.pid: before})
            assert descriptors.read(sleeper.pid) == before
            descriptors._put_as((65534, 65534), [(sleeper.pid, 30, before)])
            assert descriptors.read(sleeper.pid) == 30
            with pytest.raises(RuntimeError, match="of user 65534's processes cannot be limited"):
                descriptors._put_as((65534, 65534), [(os.getpid(), 30, 40)])
        finally:
            sleeper.kill()
    assert descriptors.read(sleeper.pid) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user: run as root")
def test_a_process_of_another_user_is_started_again_as_that_user() -> None:
    sleep = ["sleep", "600"]
    with subprocess.Popen(
        sleep, user=65534, group=65534, extra_groups=[65533], cwd="/", stdout=subprocess.DEVNULL
    ) as first:
        how = process.killable({"pid": first.pid, "remember": True})
        processes.kill(how)
    before = {child.pid for child in proc.table().values()}
    assert processes.start(json.loads(json.dumps(how)))
    (again,) = (one for one in proc.table().values() if one.pid not in before and one.parent == os.getpid())
    try:
        assert proc.identity(again.pid) == [65534, 65534, [65533]]
    finally:
        os.kill(again.pid, signal.SIGKILL)
        os.waitpid(again.pid, 0)


def test_what_would_end_the_agent_is_refused() -> None:
    for pid in (os.getpid(), os.getppid(), 1):
        with pytest.raises(RuntimeError, match="is the agent or a parent of it"):
            processes.kill({"pid": pid})


def test_the_marker_is_there_before_the_kill_and_gone_after_the_start(tmp_path: Path) -> None:
    how = {"pid_file": str(tmp_path / "pid"), "marker": str(tmp_path / "stopped")}
    processes.kill(how)
    assert (tmp_path / "stopped").exists(), "no process yet: the supervisor must not start one"
    assert processes.start(how) and not processes.start(how)
    assert not (tmp_path / "stopped").exists()


def test_the_agent_ships_as_one_file_that_is_always_the_same(tmp_path: Path) -> None:
    program = tmp_path / "agent.pyz"
    program.write_bytes(bundle())
    bundle.cache_clear()
    assert bundle() == program.read_bytes()
    assert zipfile.ZipFile(program).testzip() is None
    done = subprocess.run(
        [sys.executable, "-I", str(program), "serve", str(tmp_path)],
        input='{"do": "odd"}\n{"do": "time"}\n',
        capture_output=True,
        text=True,
        timeout=30,
    )
    refused, answered = (json.loads(line) for line in done.stdout.splitlines())
    assert refused == {"ok": False, "error": "ValueError: unknown verb 'odd'"}
    assert answered["ok"] and answered["mono_ns"] > 0
