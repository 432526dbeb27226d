"""Whatever is in the log, every node answers it, and all alike: whatever their Python, and whatever release wrote it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tribulation.node.core.interface.entry import UNREADABLE, Entry, canonical, parse_entry
from tribulation.node.core.storage.recovery import segment_name
from tribulation.node.core.storage.wal import Base, Doubt, Hard, encode_batch, encode_record
from tribulation.node.printable import printable

from .disk import Disk, File
from .hostile import World, texts
from .solo import Solo

ROOT = Path(__file__).parents[3]


def other_pythons() -> list[str]:
    """One interpreter of each version that there is on this machine."""
    found = {}
    for minor in range(10, 15):
        version = f"3.{minor}"
        places = [shutil.which(f"python{version}") or "", f"/usr/bin/python{version}"]
        places += map(str, sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python")))
        there = next((place for place in places if place and runs(place)), None)
        if there is not None and minor != sys.version_info.minor:
            found[version] = there
    return list(found.values())


def runs(python: str) -> bool:
    """A name on the path may be a shim for an interpreter that is not chosen."""
    return Path(python).exists() and subprocess.run([python, "-c", "0"], capture_output=True).returncode == 0


def outcome(python: str) -> list[str]:
    ended = subprocess.run(
        [python, "-P" if python == sys.executable else "-B", "-m", "tests.node.core.hostile"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    return ended.stdout.splitlines()


def test_every_python_makes_the_same_of_hostile_commands() -> None:
    """The unbounded depth, the interpreter's tables of characters and its words are what made nodes part."""
    ours = outcome(sys.executable)
    last = json.loads(ours[-1])
    assert last["failed"] == 0 and last["digest"] == last["again"] and len(ours) > 1500
    for python in other_pythons():
        theirs = outcome(python)
        different = [pair for pair in zip(ours, theirs, strict=True) if pair[0] != pair[1]]
        assert different == [], f"{python}: {different[:3]}"


def test_a_name_that_an_earlier_release_took_is_still_taken() -> None:
    for code in (*range(0x32000), *range(0xE0000, 0xE0200)):
        assert printable(chr(code)) or not chr(code).isprintable(), hex(code)
    assert not printable("a\n") and not printable("\u2066") and not printable("\ud800") and printable("")


def disk_of(*commands: str) -> Disk:
    """As an earlier release has left it: a log of these texts, none of which it judged by depth or size."""
    entries = [Entry(index, 1, text, []) for index, text in enumerate(commands, 1)]
    records = [Base(0, 0), Hard(1, "n1"), Doubt(None), *entries]
    disk, file = Disk(), File()
    file.data += encode_batch([encode_record(record) for record in records])
    file.synced = bytes(file.data)
    disk.names[segment_name(1)] = file
    return disk


def test_a_node_boots_on_a_log_that_holds_such_commands_and_serves() -> None:
    solo = Solo(
        nodes=1,
        disk=disk_of(*map(as_a_log_has_it, [*texts()][::3])),
        incarnation=2,
        membership={},
        agents={},
        memory={},
    )
    solo.pass_time(2000)
    assert solo.halted is None and solo.status()["role"] == "leader"
    (opened,) = solo.ask(open=True)
    assert opened["status"] == "ok" and solo.core.counters()["commands_failed"] == 0
    again = Solo(nodes=1, disk=solo.disk, incarnation=3, membership={}, agents={}, memory={})
    again.pass_time(2000)
    assert again.halted is None and again.core.counters()["commands_failed"] == 0
    assert again.core._composition.application._kv.dump() == solo.core._composition.application._kv.dump()


def as_a_log_has_it(text: str) -> str:
    """What is no list that begins with a name was in no log. Weights are the leader's alone to write."""
    try:
        entry = parse_entry(1, 1, text)
    except ValueError:
        return '["noop"]'
    return '["noop"]' if entry.command[0] == "config" else text


def test_what_an_older_release_took_is_applied_as_it_was() -> None:
    deep = "[" * 500 + "]" * 500
    world = World()
    session = world.apply(1, '["sessions.open"]')["session"]
    result = world.apply(2, f'["kv.tx",{session},1,[["w","k",{deep}],["w","n",{10**400}]]]')
    assert result["status"] == "ok" and canonical(result["results"]) == f"[{deep},{10**400}]"


@pytest.mark.parametrize("odd", ["[" * 513 + "]" * 513, "[" * 100_000 + "]" * 100_000, "9" * 4301, "1e999", "NaN"])
def test_what_some_interpreter_could_not_read_is_refused_by_all(odd: str) -> None:
    text = f'["kv.tx",1,1,[["w","k",{odd}]]]'
    entry = parse_entry(1, 1, text)
    assert (entry.text, entry.command) == (text, [UNREADABLE])
    result = World().apply(1, text)
    assert (result["status"], result["error"]) == ("fail", "bad-request")


def test_an_application_that_raises_stops_no_node_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The words of the exception are not in the result: they may differ between interpreters, and results become state."""

    def raising(*_: Any) -> Any:
        raise OverflowError("words of this interpreter")

    solo = Solo(nodes=1)
    solo.pass_time(2000)
    (opened,) = solo.ask(open=True)
    monkeypatch.setattr(solo.core._composition.application._kv, "transact", raising)
    (answer,) = solo.ask(session=opened["session"], seq=1, ops=[["w", "k", 1]])
    assert (answer["status"], answer["error"]) == ("fail", "command-failed") and "words" not in str(answer)
    assert solo.traced("command-failed") == [{"index": answer["index"], "kind": "OverflowError"}]
    assert solo.halted is None and solo.core.counters()["commands_failed"] == 1
    monkeypatch.undo()
    (answer,) = solo.ask(session=opened["session"], seq=2, ops=[["w", "k", 2]])
    assert answer["status"] == "ok"


@pytest.mark.parametrize(
    "command",
    [
        ["kv.tx", [1], 1, []],
        ["kv.tx", 1, 1, [["w"]]],
        ["kv.tx", 1, 1, [["w", ["k"], 1]]],
        ["kv.tx", 1, 1, [[{}, "k"]]],
        [["kv.tx"], 1, 1, []],
        [{}, {}],
        ["kv.tx", 1, 1, [["w", "k", 10**400]]],
        ["sessions.open", 1],
        ["config", {"n1": "much"}],
        ["noop"],
        [],
        None,
    ],
)
def test_a_forwarded_command_of_the_wrong_shape_gets_into_no_log(command: Any) -> None:
    """A sender that may speak as a node could have stopped the whole cluster for good with one of these."""
    from tribulation.node.core.interface.messages import Forward

    solo = Solo()
    term = solo.lead()
    replies = solo.receive("n2", Forward(term, 1, 7, 1000, {"command": command}))
    bodies = [message.body for _, message in replies if hasattr(message, "body")]
    assert [body["error"] for body in bodies] == ["bad-request"]
    assert not [name for name, _ in solo.traces if name == "append"][1:], "only its own noop is in the log"


def test_a_snapshot_that_this_python_cannot_read_is_refused_before_it_is_on_disk() -> None:
    """An old leader on another Python may hold a value of any depth; a follower that has installed it could not start again."""
    from tribulation.node.core.interface.messages import InstallSnapshot
    from tribulation.node.core.storage.snapshot_file import make_snapshot

    solo = Solo()
    for depth, refused in ((100, False), (200_000, True)):
        state = '{"kv":{"k":' + "[" * depth + "]" * depth + '},"sessions":[]}'
        snapshot = make_snapshot(90 + depth, 1, {"n1": 1, "n2": 1, "n3": 1}, state, "d")
        text = snapshot.text
        for offset in range(0, len(text), 100_000):
            piece = text[offset : offset + 100_000]
            solo.receive("n2", InstallSnapshot(9, snapshot.index, 1, offset, len(text), piece))
        assert bool(solo.traced("snapshot-refused")) == refused
        assert solo.halted is None
    assert [fields["index"] for fields in solo.traced("snapshot-installed")] == [190]
