"""Deployment on all hosts in parallel: every host's result is kept, and one error reports all that failed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.systems.loopback import LoopbackHost, free_port, make_hosts
from tribulation.harness.deploy.deploy import deploy_down, deploy_up, each
from tribulation.harness.errors import DeployError
from tribulation.harness.nemesis.cluster import fault_disk
from tribulation.harness.systems.reference.system import ReferenceService


@pytest.fixture
def service() -> ReferenceService:
    return ReferenceService({"cluster": "test", "port": free_port(), "timing": "fast"})


@pytest.fixture
def hosts(tmp_path: Path, service: ReferenceService) -> Iterator[list[LoopbackHost]]:
    hosts = make_hosts(tmp_path, 3)
    yield hosts
    for host in hosts:
        service.uninstall(host)


def test_up_status_down(service: ReferenceService, hosts: list[LoopbackHost]) -> None:
    assert [service.pid(host) for host in hosts] == [None] * 3
    prepared = []
    first = deploy_up(service, hosts, lambda host: prepared.append(host.name) or {"X": host.name})
    assert [result.host for result in first] == ["n1", "n2", "n3"]
    assert all(result.ok and result.detail.startswith("ready, pid ") for result in first)
    assert sorted(prepared) == ["n1", "n2", "n3"]
    again = deploy_up(service, hosts, lambda host: {"X": host.name})
    assert [result.detail for result in again] == [result.detail for result in first]
    assert None not in [service.pid(host) for host in hosts]
    deploy_down(service, hosts)
    assert all(result.detail == "removed" for result in deploy_down(service, hosts))


class BrokenHost(LoopbackHost):
    def put(self, content: bytes, path: str, *, mode: int = 0o644, timeout_s: float = 60.0) -> None:
        raise OSError(28, "No space left on device")


def test_one_error_names_every_host_that_failed(service: ReferenceService, tmp_path: Path) -> None:
    good, *others = make_hosts(tmp_path, 3)
    broken = [BrokenHost(host.name, host.address, Path(host.directory)) for host in others]
    try:
        with pytest.raises(DeployError) as caught:
            deploy_up(service, [good, *broken])
        assert "2 of 3 hosts" in str(caught.value)
        assert "n2: OSError: [Errno 28] No space left on device" in str(caught.value)
        assert "n3: OSError" in str(caught.value)
        assert [service.pid(host) is not None for host in [good, *broken]] == [True, False, False]
    finally:
        deploy_down(service, [good, *broken])


def test_all_that_could_not_be_removed_is_reported(
    hosts: list[LoopbackHost], service: ReferenceService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise DeployError(f"{hosts[0].name}: the disk is busy")

    monkeypatch.setattr(fault_disk, "remove", fails)
    monkeypatch.setattr(service, "uninstall", lambda host: 1 / 0)
    with pytest.raises(DeployError, match=r"n1: not undone: the disk is busy; ZeroDivisionError: division by zero"):
        deploy_down(service, hosts[:1])
    monkeypatch.undo()


def test_no_host_is_waited_for_where_another_did_not_start(
    service: ReferenceService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that cannot become ready, with the same full disk below it, would hold up the error for minutes."""
    good, other = make_hosts(tmp_path, 2)
    broken = BrokenHost(other.name, other.address, Path(other.directory))
    waited: list[str] = []
    monkeypatch.setattr(service, "wait_ready", lambda host, timeout_s: waited.append(host.name))
    try:
        with pytest.raises(DeployError, match="1 of 2 hosts"):
            deploy_up(service, [good, broken])
        assert waited == []
    finally:
        deploy_down(service, [good, broken])


def test_hosts_are_worked_on_at_the_same_time(hosts: list[LoopbackHost]) -> None:
    """Each host's turn begins before any other's has ended."""
    together = threading.Barrier(3, timeout=10)

    def meet(host: LoopbackHost) -> str:
        together.wait()
        return "met"

    assert [result.detail for result in each(hosts, meet)] == ["met"] * 3  # type: ignore[arg-type]
