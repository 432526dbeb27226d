"""A lab for a module, and a supervised process on each of its hosts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.nemesis.lab_tools import LAB, deploy
from tests.harness.nemesis.plain_service import Supervised
from tribulation.harness.hosts.local import LocalProvider


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalProvider]:
    directory = tmp_path_factory.mktemp("lab")
    provider = LocalProvider(nodes=3, name=LAB, directory=directory)
    try:
        provider.up()
        yield provider
    finally:
        provider.down()


@pytest.fixture(scope="module")
def service(lab: LocalProvider) -> Iterator[Supervised]:
    supervised = Supervised()
    deploy(supervised, list(lab.hosts), clocks=True)
    yield supervised
    for host in lab.hosts:
        supervised.stop(host)
