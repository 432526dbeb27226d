"""Tiers A and B on recordings: exact where nothing was changed; each way of spoiling a recording is reported, with its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tribulation.harness.cli.main import main
from tribulation.harness.errors import CampaignError
from tribulation.harness.replay.describe import describe_cluster, describe_nodes
from tribulation.harness.replay.nodes.cluster import ClusterReplay, execute, replay_cluster
from tribulation.harness.replay.nodes.nodes import NodeReplay, read_incarnations, replay_nodes
from tribulation.harness.replay.nodes.script import scripts_of
from tribulation.node.core.interface.events import Received, TimerFired
from tribulation.node.core.interface.messages import AppendEntries
from tribulation.node.runtime.telemetry.recording import RecordedStep

from .recorded import KILL_AND_CUT, POWER, Recorded, record


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    return record(tmp_path_factory.mktemp("recorded"), KILL_AND_CUT)


def replays(run_dir: Path, run: Recorded | None = None) -> tuple[list[NodeReplay], ClusterReplay]:
    lives = read_incarnations(run_dir)
    return replay_nodes(lives, run.done.record.traces if run is not None else {}), replay_cluster(lives)


def spoilt(tmp_path: Path, run: Recorded, key: tuple[str, int], change: Callable[[list[RecordedStep]], None]) -> Path:
    run.write(tmp_path)
    steps = list(run.steps[key])
    change(steps)
    run.write_incarnation(tmp_path, key, steps)
    return tmp_path


def test_what_was_recorded_happens_again(recorded: Recorded, tmp_path: Path) -> None:
    nodes, whole = replays(recorded.write(tmp_path), recorded)
    assert [(n.node, n.incarnation) for n in nodes] == [("n1", 1), ("n2", 1), ("n2", 2), ("n3", 1)]
    assert all(n.difference is None and n.steps == n.recorded > 50 for n in nodes)
    assert sum(n.traces for n in nodes) == sum(map(len, recorded.done.record.traces.values())) and not any(
        n.beyond for n in nodes
    )
    assert whole.exact and whole.steps == sum(n.steps for n in nodes)
    messages = whole.messages
    assert messages.received == messages.matched == recorded.done.cluster.peers.delivered
    assert messages.beyond == 0 and messages.lost > 0
    assert whole.boots == {"as written": 1}
    assert whole.timers > 10 and whole.storage > 100
    assert describe_nodes(nodes)[0].endswith("all equal")
    assert "bit-exact" in describe_cluster(whole)[0]


def test_a_power_loss_leaves_less_than_was_written(tmp_path: Path) -> None:
    """No recording says what a disk forgot: the boot is reported as one with another disk, and the replay is exact all the same."""
    run = record(tmp_path, POWER)
    _, whole = replays(run.write(tmp_path))
    assert whole.exact and sum(whole.boots.values()) == 1


def test_the_lost_end_of_a_recording_is_reported(recorded: Recorded, tmp_path: Path) -> None:
    """As after SIGKILL: the last steps were never written. Their messages and traces are known to others."""
    run_dir = spoilt(tmp_path, recorded, ("n2", 1), lambda steps: steps.__delitem__(slice(-20, None)))
    nodes, whole = replays(run_dir, recorded)
    assert all(n.difference is None for n in nodes)
    assert [n.beyond > 0 for n in nodes] == [False, True, False, False]
    assert whole.exact and 0 < whole.messages.beyond <= 60
    assert whole.messages.unexplained == []
    assert whole.boots == {"more": 1}


def test_a_step_that_did_otherwise_is_named(recorded: Recorded, tmp_path: Path) -> None:
    def change(steps: list[RecordedStep]) -> None:
        index = next(i for i, s in enumerate(steps) if i >= 40 and s.effects_crc)
        steps[index] = replace(steps[index], effects_crc=steps[index].effects_crc ^ 1)

    nodes, whole = replays(spoilt(tmp_path, recorded, ("n3", 1), change))
    difference = nodes[3].difference
    assert difference is not None and difference.step > 40 and nodes[3].steps == difference.step - 1
    assert difference.events and difference.effects and "checksum" in difference.why
    assert [n.difference for n in nodes[:3]] == [None] * 3
    assert not whole.exact and whole.difference is not None
    assert whole.difference[:2] == ("n3", 1) and whole.difference[2].step == difference.step
    assert any("n3 incarnation 1 differs" in line for line in describe_cluster(whole))


def test_another_core_parts_from_the_recording(recorded: Recorded, tmp_path: Path) -> None:
    """The recording of a correct cluster, fed to one with a flaw."""
    run_dir = recorded.write(tmp_path, flaws=["ack-before-majority"])
    nodes, whole = replays(run_dir)
    assert any(n.difference is not None for n in nodes)
    assert not whole.exact


def test_a_message_that_nobody_sent_is_reported(recorded: Recorded, tmp_path: Path) -> None:
    """A core takes no notice of a message of an old term: its own steps are equal, but the cluster cannot have sent it."""

    def change(steps: list[RecordedStep]) -> None:
        index = next(i for i, s in enumerate(steps) if i > 100 and isinstance(s.events[0], Received))
        stale = next(event for event in steps[index].events if isinstance(event, Received))
        forged = replace(stale, message=AppendEntries(0, 0, 0, (), 0))
        steps[index] = replace(steps[index], events=(*steps[index].events, forged))

    run_dir = spoilt(tmp_path, recorded, ("n3", 1), change)
    whole = replay_cluster(read_incarnations(run_dir))
    assert not whole.exact
    assert any(text.startswith("n3 incarnation 1 step") for text in whole.messages.unexplained)


def test_a_timer_that_was_not_set_is_reported(recorded: Recorded, tmp_path: Path) -> None:
    """A stale generation does nothing to a core; but none fires that was never set."""

    def change(steps: list[RecordedStep]) -> None:
        steps[60] = replace(steps[60], events=(*steps[60].events, TimerFired("raft/election", 10_000)))

    nodes, whole = replays(spoilt(tmp_path, recorded, ("n1", 1), change))
    assert nodes[0].difference is None
    assert not whole.exact and "timer raft/election fired too early, or was not set" in whole.causeless[0]


def test_recordings_that_contradict_causality_are_stuck(recorded: Recorded, tmp_path: Path) -> None:
    """Two nodes have each received, first of all, the last that the other has sent."""
    scripts, messages = scripts_of(read_incarnations(recorded.write(tmp_path)))
    for node, peer in (("n1", "n3"), ("n3", "n1")):
        last = max(found[1] for step in scripts[node].senders for found in step if found and found[0] == peer)
        first = next(step for step in scripts[node].senders if any(found and found[0] == peer for found in step))
        first[next(i for i, found in enumerate(first) if found and found[0] == peer)] = (peer, last)
    result = ClusterReplay(recorded=sum(len(script.steps) for script in scripts.values()), messages=messages)
    execute(scripts, result)
    assert not result.exact and result.difference is None
    assert [text.split(" ")[0] for text in result.stuck][:1] == ["n1"] and "waits for n3's message" in result.stuck[0]


def test_the_command_says_both_tiers(recorded: Recorded, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files that were collected by hand are enough: no plan, no history."""
    recorded.write(tmp_path)
    assert tri("replay", str(tmp_path)) == 0
    printed = capsys.readouterr().out
    assert "tier A: 3 nodes, 4 incarnations" in printed and "tier B: bit-exact replay of the cluster" in printed
    assert tri("replay", str(tmp_path), "--tier", "a") == 0
    assert "tier B" not in capsys.readouterr().out
    assert tri("replay", str(tmp_path), "--tier", "b", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["tier_b"]["exact"] is True and document["tier_a"] == []


def tri(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def test_damage_is_refused_with_file_and_offset(recorded: Recorded, tmp_path: Path) -> None:
    recorded.write(tmp_path)
    path = tmp_path / "inputs" / "n1" / "events-000001.log"
    content = bytearray(path.read_bytes())
    content[2000] ^= 1
    path.write_bytes(content)
    with pytest.raises(CampaignError, match=r"events-000001\.log: the record at offset \d+"):
        read_incarnations(tmp_path)


def test_a_configuration_of_another_release_is_refused_with_its_place(recorded: Recorded, tmp_path: Path) -> None:
    recorded.write_incarnation(tmp_path, ("n1", 1), [], colour="blue")
    with pytest.raises(CampaignError, match=r"events-000001\.log: this release does not accept .*'colour'"):
        read_incarnations(tmp_path)
