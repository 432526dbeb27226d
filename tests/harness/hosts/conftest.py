"""Real labs: made of real namespaces, with real sshd. Where the machine forbids them, these tests are skipped and say why."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tribulation.harness.errors import HostError
from tribulation.harness.hosts.local import LocalProvider, launch


def await_true(condition: Callable[[], bool], what: str, timeout_s: float = 20.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f"not within {timeout_s} s: {what}"
        time.sleep(0.02)


@pytest.fixture(scope="session")
def namespaces() -> None:
    try:
        launch.check_programs()
        launch.check_namespaces()
    except HostError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def lab(namespaces: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalProvider]:
    """Three hosts for all tests that do no lasting harm to them."""
    provider = LocalProvider(nodes=3, name="shared", directory=tmp_path_factory.mktemp("labs", numbered=True))
    try:
        provider.up()
        yield provider
    finally:
        provider.down()


@pytest.fixture
def labs(namespaces: None, tmp_path: Path) -> Iterator[Path]:
    """A directory for labs of the test's own; whatever is still up in it afterwards is taken down."""
    from tribulation.harness.hosts.local import list_labs

    base = tmp_path / "labs"
    yield base
    for left in list_labs(base):
        LocalProvider(nodes=1, name=left.name, directory=base).down()
