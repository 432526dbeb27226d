"""Whatever lies on its disk: a node boots and serves, or halts and says why. It never ends in any other way."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.node.core.disk import Disk, File
from tests.node.core.hostile import World
from tests.node.core.solo import Solo
from tribulation.node.config.node import NodeConfig
from tribulation.node.core.interface.signals import Restore
from tribulation.node.core.memory.disk import files as memory_files
from tribulation.node.core.storage.recovery import recover
from tribulation.node.errors import ConfigError, CorruptionError
from tribulation.node.runtime.disk.home import Home, HomeError
from tribulation.node.runtime.process.boot import load

from . import files, values
from .frames import ODD, _encoded

FUZZ = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "60")), deadline=None, suppress_health_check=list(HealthCheck)
)
WRITTEN = files.written()


def boots_or_says_why(found: files.Files) -> Solo:
    disk = Disk()
    for name, data in found.items():
        disk.names[name] = File()
        disk.names[name].data += data
    solo = Solo(nodes=1, disk=disk, incarnation=2, **files.PARTS)
    solo.pass_time(3000)
    if solo.halted is not None:
        assert "\nhint: " in solo.halted and len(solo.halted) < 2000, solo.halted
    else:
        (answer,) = solo.ask(admin="digest")
        assert answer["status"] == "ok"
    return solo


def test_the_files_as_they_were_written_boot() -> None:
    solo = boots_or_says_why(WRITTEN)
    assert solo.halted is None and solo.status()["role"] == "leader"


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    """What a node says of itself that boots from the files as they were written."""
    return state_of(boots_or_says_why(WRITTEN))


def state_of(solo: Solo) -> dict[str, Any]:
    return {"digest": solo.ask(admin="digest")[0]["digest"], "memory": solo.status()["memory_digest"]}


@FUZZ
@given(files.damaged(WRITTEN))
def test_damage_is_made_good_or_reported(whole: dict[str, Any], found: files.Files) -> None:
    """A node that boots has the state that was written. Or it knows what it lacks: of its log, so that it does not vote, and of its memory, by the place."""
    solo = boots_or_says_why(found)
    if solo.halted is None:
        state, status = state_of(solo), solo.status()
        assert state["digest"] == whole["digest"] or (status["torn"] and status["role"] == "follower"), status
        reported = [fields["place"] for name, fields in solo.traces if name == "memory-damage"]
        assert state["memory"] == whole["memory"] or reported, status


@FUZZ
@given(files.SEGMENTS)
def test_logs_of_right_checksums_and_odd_contents(found: files.Files) -> None:
    boots_or_says_why(found)


@FUZZ
@given(files.forged_snapshots(WRITTEN))
def test_snapshots_of_right_checksums_and_odd_contents(found: files.Files) -> None:
    boots_or_says_why(found)


@FUZZ
@given(files.forged_states(WRITTEN))
def test_states_of_right_checksums_and_odd_contents(state: str) -> None:
    """They are restored, or refused: nothing else is raised. An author of a right checksum may still make a state that fails later."""
    with suppress(CorruptionError):
        World().application.signals[Restore](0, Restore(20, state))


@FUZZ
@given(files.forged_memory(WRITTEN))
def test_memory_of_right_checksums_and_odd_contents(found: files.Files) -> None:
    boots_or_says_why(found)


@FUZZ
@given(files.ANY)
def test_any_bytes(found: files.Files) -> None:
    memory_files.recover(found)
    try:
        recover(found)
    except CorruptionError as error:
        assert error.hint


COUNTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["", "1", " 1\n", "-1", "²", "١", "1_0", "0x1", "9" * 18, "9" * 19, "9" * 5000]),
)


@FUZZ
@given(COUNTS, st.sampled_from(["utf-8", "utf-16", "latin-1"]))
def test_the_counter_of_boots(text: str, encoding: str) -> None:
    with TemporaryDirectory() as directory:
        home = Home(Path(directory))
        home.incarnation.write_bytes(_encoded(text, encoding))
        try:
            assert 0 < home.next_incarnation() < 1 << 63
        except HomeError as error:
            assert "\nhint: " in str(error) and len(str(error)) < 1000


@FUZZ
@given(st.sampled_from([1, 9, 10, 12, 99, 100, 123_456]), st.lists(files.DAMAGES, min_size=1, max_size=2))
def test_a_damaged_counter_of_boots_never_goes_back(count: int, damages: list[Callable[[bytes], bytes]]) -> None:
    """A count that was used before would make two lives of a member one."""
    with TemporaryDirectory() as directory:
        home = Home(Path(directory))
        home.incarnation.write_text(f"{count - 1}\n")  # As an earlier release, or an operator, writes it.
        assert home.next_incarnation() == count
        data = home.incarnation.read_bytes()
        for damage in damages:
            data = damage(data)
        assume(not data.strip().isdigit())
        home.incarnation.write_bytes(data)
        with suppress(HomeError):
            assert home.next_incarnation() == count + 1


CONFIG = NodeConfig.from_json(
    {"node": "n1", "cluster": "c", "peers": {"n1": ["127.0.0.1", 1]}, **files.PARTS}
).to_json()
RUNTIME = {"directory": "/d", "listen": "127.0.0.1:0", "seed": 1, "record_inputs": True, "metrics": "127.0.0.1:0"}


def numeric(host: str, port: object, *rest: Any, _ask: Any = socket.getaddrinfo, **more: Any) -> Any:
    """No name server is asked."""
    return _ask(host, port, *rest, **{**more, "flags": more.get("flags", 0) | socket.AI_NUMERICHOST})


@FUZZ
@given(st.one_of(files.odd_somewhere({**CONFIG, **RUNTIME}).map(json.dumps), ODD, values.TEXTS))
def test_configurations(text: str) -> None:
    """Of every field that a configuration has."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "config.json"
        path.write_bytes(_encoded(text, "utf-8"))
        try:
            with patch.object(socket, "getaddrinfo", numeric):
                load(path)
        except ConfigError as error:
            assert error.hint and len(str(error)) < 10_000


@pytest.mark.parametrize("depth", [1000, 100_000])
def test_a_configuration_nested_too_deeply_is_refused(tmp_path: Path, depth: int) -> None:
    (tmp_path / "config.json").write_text('{"peers":' + "[" * depth + "]" * depth + "}")
    with pytest.raises(ConfigError):
        load(tmp_path / "config.json")
