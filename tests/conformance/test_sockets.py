"""The socket runtime passes the drivers' conformance suite."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tribulation.node.core.interface.events import Connected

from .scripting import script
from .socket_driver import SocketDriver
from .suite import Scenario, ScriptedCore, scenarios_for


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[SocketDriver]:
    driver = SocketDriver(tmp_path)
    yield driver
    driver.close()


@pytest.mark.parametrize("scenario", scenarios_for(SocketDriver.capabilities), ids=lambda scenario: scenario.__name__)
def test_conformance(driver: SocketDriver, scenario: Scenario) -> None:
    scenario(driver)


def test_a_hello_has_time_of_its_own_so_that_a_far_peer_is_not_taken_for_a_silent_one(
    driver: SocketDriver, tmp_path: Path
) -> None:
    """The peer accepts and says nothing: the node waits a second from then, however long connecting may have taken, and dials again."""
    driver.peer("n2").stall()
    core = ScriptedCore(script())
    driver.boot(core)
    log = tmp_path / "node.log"
    driver.wait(lambda: '"peer":"n2"' in log.read_text(), "the first attempt's end")
    (line,) = [line for line in log.read_text().splitlines() if '"peer":"n2"' in line]
    assert json.loads(line)["reason"] == "connected, but silent for 1000 ms"
    driver.peer("n2").unstall()
    driver.wait(lambda: [event.peer for event in core.of(Connected)] == ["n2"], "the connection")
