"""Voters that leave the reference cluster through its log and come back, in the simulator and on a lab."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.nemesis.lab_tools import fault, reference_on, running
from tests.harness.simulator.real import follower, leader, real_cluster
from tribulation.harness.agent.faults import replacement
from tribulation.harness.campaign.model import Campaign
from tribulation.harness.errors import FaultError
from tribulation.harness.hosts.local import LocalProvider
from tribulation.harness.nemesis.faults.fault import Intent, Observation, Situation
from tribulation.harness.nemesis.faults.targets import may_leave
from tribulation.harness.nemesis.kinds.members.membership import MembershipSpec
from tribulation.harness.nemesis.schedule.schedule import expand
from tribulation.harness.nemesis.topology.resolve import resolve
from tribulation.harness.simulator.faults.injector import SimInjector
from tribulation.harness.simulator.options import SECOND
from tribulation.harness.systems.reference.system import ReferenceService
from tribulation.node.core.raft.state.configuration import is_quorum, step_towards

FIVE = ("n1", "n2", "n3", "n4", "n5")


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    voters = draw(st.dictionaries(st.sampled_from(FIVE), st.integers(1, 3), min_size=1))
    up = draw(st.lists(st.sampled_from(FIVE), unique=True))
    return Situation(FIVE, voters, draw(st.sampled_from([None, *voters])), up)


@given(situations(), st.permutations(FIVE))
def test_those_that_are_up_are_a_quorum_at_every_step_of_the_way(situation: Situation, order: list[str]) -> None:
    leaving = may_leave(order, situation)
    voters = dict(situation.voters)
    target = {node: held for node, held in voters.items() if node not in leaving}
    assert not leaving or target
    while leaving and voters != target:
        assert is_quorum(voters, situation.up)
        following = step_towards(voters, target)
        assert following is not None
        voters = following
    assert not leaving or is_quorum(voters, situation.up)


def test_on_slow_hosts_they_follow_one_another() -> None:
    items = [
        {"membership": {"target": "leader", "every": "5s", "for": "2s"}},
        {"membership": {"action": "replace", "target": ["n1"], "after": "8s", "for": "1s", "overlap": True}},
    ]
    campaign = Campaign.model_validate({"name": "c", "workloads": [{"register": {}}], "faults": items})
    lanes = {intent.id.split("-")[1]: intent.lane for intent in expand(campaign.faults, seed=1, load_ns=20 * SECOND)}
    assert lanes == {"remove": "members", "replace": ""}


def intent(target: object) -> Intent:
    spec = MembershipSpec.model_validate({"action": "replace", "target": target, "after": "1s"})
    return Intent("m.1", "membership", spec.parameters(), 0, None, "m.1")


def test_who_leaves_is_recorded_with_the_weights_to_come_back_with() -> None:
    situation = Situation(FIVE, {"n1": 2, "n2": 1, "n3": 1, "n4": 1}, "n1", FIVE)
    assert resolve(intent(["n1", "n5"]), situation, 7).what == {
        "nodes": ["n1"],
        "action": "replace",
        "weights": {"n1": 2},
    }, "n5 votes not"
    for word in ("follower", "one", "random(1)", "minority"):
        assert "n5" not in resolve(intent(word), situation, 7).what["nodes"]


@pytest.mark.parametrize(
    ("voters", "up"), [({"n1": 1}, FIVE), ({"n1": 1, "n2": 1, "n3": 1}, ("n1", "n2")), ({"n2": 1, "n3": 1}, FIVE)]
)
def test_a_voter_that_the_others_cannot_do_without_stays(voters: dict[str, int], up: tuple[str, ...]) -> None:
    with pytest.raises(FaultError, match="none can leave the voters"):
        resolve(intent(["n1"]), Situation(FIVE, voters, None, up), 7)


def test_more_than_half_of_all_stay() -> None:
    """However many changes are on together: of five, two may be away."""
    three = Situation(FIVE, {"n1": 1, "n2": 1, "n3": 1}, "n1", FIVE)
    assert may_leave(["n1", "n2", "n3"], three, {"n4": 1, "n5": 1}) == []
    assert may_leave(["n1", "n2", "n3"], three) == ["n1"], "three nodes vote by design"
    four = replace(three, voters={**three.voters, "n4": 1})
    assert may_leave(["n1", "n2"], four, {"n5": 1}) == ["n1"]


@pytest.mark.parametrize("action", ["remove", "replace"])
@pytest.mark.parametrize("choose", [leader, follower])
def test_in_the_simulator_it_leaves_and_comes_back(action: str, choose: object) -> None:
    cluster = real_cluster()
    injector, target = SimInjector(cluster), choose(cluster)  # type: ignore[operator]
    away = fault("membership", nodes=[target], action=action, weights={target: 1})
    seen = injector.inject(away)
    assert seen.verified and target not in seen.observed["voters"], seen
    starts = [line for line in cluster.traces[target] if line["event"] == "start"]
    if action == "replace":
        assert (starts[-1]["incarnation"], starts[-1]["last_index"], starts[-1]["torn"]) == (2, 0, True)
    else:
        assert len(starts) == 1
    healed = injector.heal(away)
    assert healed.verified and healed.observed["voters"][target] == 1, healed
    cluster.run_until(cluster.now_ns + SECOND)
    digests = {node: cluster.nodes[node].core.status()["commit"] for node in cluster.nodes}  # type: ignore[union-attr]
    assert len(set(digests.values())) == 1, "brought up"


def test_in_the_simulator_who_is_away_comes_back_at_the_final_heal() -> None:
    cluster = real_cluster()
    injector, target = SimInjector(cluster), follower(cluster)
    assert injector.inject(fault("membership", nodes=[target], action="remove", weights={target: 1})).verified
    assert injector.heal_all().verified and injector.situation().voters[target] == 1


SLEEPER = "import sys, time; print('up', flush=True); time.sleep(600)"


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process without a supervisor, and what it remembers."""
    (tmp_path / "data" / "below").mkdir(parents=True)
    (tmp_path / "data" / "votes").write_bytes(b"n1")
    process = subprocess.Popen([sys.executable, "-c", SLEEPER, str(tmp_path)], cwd=tmp_path, stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"up\n"
    yield process
    for pid in started(process.pid, tmp_path):
        os.kill(pid, signal.SIGKILL)
    process.kill()
    process.wait()
    process.stdout.close()


def started(pid: int, folder: Path) -> list[int]:
    """Processes that were started in its place."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        # Strangers come and go.
        with contextlib.suppress(OSError):
            if str(folder).encode() in entry.read_bytes():
                found.append(int(entry.parent.name))
    return [other for other in found if other not in (pid, os.getpid())]


def started_one(pid: int, folder: Path) -> bool:
    """Whether there is one of these, soon: between its fork and its exec it has the name of the process that started it."""
    deadline_s = time.monotonic() + 10
    while len(started(pid, folder)) != 1 and time.monotonic() < deadline_s:
        time.sleep(0.01)
    return len(started(pid, folder)) == 1


def test_a_node_is_replaced_once_and_its_directory_stays(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    config = {"process": {"pid": sleeper.pid, "contains": str(tmp_path), "remember": True}}
    data = tmp_path / "data"
    inode = data.stat().st_ino
    wanted = {"ident": "m.1", "directory": str(data), "files": {"seed": base64.b64encode(b"doubt").decode()}}
    force = replacement.change(replacement.claim({}, wanted, config), wanted, config)
    assert force["done"] and sleeper.wait() == -signal.SIGKILL and started_one(sleeper.pid, tmp_path)
    assert [(path.name, path.read_bytes()) for path in data.iterdir()] == [("seed", b"doubt")]
    assert data.stat().st_ino == inode, "it may be where a file system is mounted"
    (data / "learnt").touch()
    assert replacement.change(replacement.claim(force, wanted, config), wanted, config) == force
    assert replacement.undo(force) == [] and replacement.change(replacement.claim(force, {}, config), {}, config) == {}
    assert (data / "learnt").exists() and started_one(sleeper.pid, tmp_path), "done once, and nothing to undo"


def test_a_node_whose_replacement_died_half_way_runs_again(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    config = {"process": {"pid": sleeper.pid, "contains": str(tmp_path), "remember": True}}
    claimed = replacement.claim({}, {"ident": "m.1", "directory": str(tmp_path / "data"), "files": {}}, config)
    sleeper.kill()
    sleeper.wait()
    assert replacement.undo(claimed) == ["replacement: the process is started again"]
    assert started_one(sleeper.pid, tmp_path)


@pytest.fixture(scope="module")
def reference(lab: LocalProvider) -> Iterator[ReferenceService]:
    with reference_on(lab) as service:
        yield service


def test_on_hosts_voters_are_removed_and_replaced_and_come_back(
    lab: LocalProvider, reference: ReferenceService, tmp_path: Path
) -> None:
    with running(lab, reference, tmp_path / "ledger.jsonl") as injector:  # type: ignore[arg-type]  # any service will do
        for action in ("remove", "replace"):
            target = injector.situation().leader or "n1"
            away = fault("membership", nodes=[target], action=action, weights={target: 1})
            seen = injector.inject(away)
            assert seen.verified and target not in seen.observed["voters"], seen
            healed = injector.heal(away)
            assert healed.verified and healed.observed["voters"] == {"n1": 1, "n2": 1, "n3": 1}, healed
        host = next(host for host in lab.hosts if host.name == target)
        trace = host.get(f"{reference.control_of(host).path('trace.jsonl')}").decode().splitlines()
        starts = [line for line in map(json.loads, trace) if line["event"] == "start"]
        assert [(line["last_index"], line["torn"]) for line in starts] == [(0, False), (0, True)]
        assert sorted(injector.situation().roles().values()) == ["follower", "follower", "leader"]
        away = fault("membership", nodes=["n2"], action="remove", weights={"n2": 1})
        assert injector.inject(away).verified
        assert injector.heal_all().verified and injector.situation().voters == {"n1": 1, "n2": 1, "n3": 1}


def test_changes_of_voters_that_are_on_together_do_not_undo_each_other() -> None:
    """One node comes back while another leaves, and while a third is replaced, all asked for at once."""
    cluster = real_cluster(nodes=FIVE)
    injector = SimInjector(cluster)
    faults = [
        fault("membership", nodes=[node], action=action, weights={node: 1})
        for node, action in (("n1", "remove"), ("n2", "replace"))
    ]
    assert injector.inject(faults[0]).verified
    seen: list[Observation | FaultError] = []
    injector.begin_heal(faults[0], seen.append)
    injector.begin_inject(faults[1], seen.append)
    injector.begin_inject(fault("voters", voters={"n5": 2}), seen.append)
    assert cluster.run_while(lambda: len(seen) < 3, cluster.now_ns + 30 * SECOND)
    assert all(isinstance(one, Observation) and one.verified for one in seen), seen
    assert injector.situation().voters == {"n1": 1, "n3": 1, "n4": 1, "n5": 2}
    assert injector.heal(faults[1]).verified


def test_who_could_go_when_it_was_resolved_and_cannot_now_stays_and_is_reported() -> None:
    cluster = real_cluster()
    injector = SimInjector(cluster)
    first, second = (fault("membership", nodes=[n], action="replace", weights={n: 1}) for n in ("n1", "n2"))
    assert injector.inject(first).verified
    cluster.kill("n3")
    with pytest.raises(FaultError, match="too few would stay and be up"):
        injector.inject(second)
    assert len([line for line in cluster.traces["n2"] if line["event"] == "start"]) == 1, "its disk is left alone"
