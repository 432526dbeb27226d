"""A system that runs already as a unit of systemd: kills last, and the unit is as before at the end.

A stand-in with the commands `systemctl` and `journalctl` carries out what the drop-in says, with real processes; the faults are the agent's own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.harness.systems.loopback import LoopbackHost, free_port
from tests.systems.systemd_standin import JOURNALCTL, SYSTEMCTL, SYSTEMD
from tribulation.harness.agent.processes import processes
from tribulation.harness.errors import DeployError
from tribulation.harness.hosts.base import CommandResult, Host
from tribulation.harness.nemesis.cluster.control import process_of
from tribulation.harness.systems.adapter.running import RunningCgroup, RunningUnit

SERVER = (sys.executable, "-m", "http.server")


class Own(RunningUnit):
    unit = "own.service"
    folder = Path()

    def _place(self, host: Host) -> str:
        return f"{self.folder}/etc/own.service.d/90-tribulation.conf"


class WithPrograms(LoopbackHost):
    """A host whose first programs are those of a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__("n1", "127.0.0.1", folder / "100% own")
        self._programs = folder / "bin"

    def run(self, command: str | Sequence[str], **how: Any) -> CommandResult:
        text = command if isinstance(command, str) else subprocess.list2cmdline(command)
        return super().run(f"export PATH='{self._programs}':$PATH; {text}", **how)


def until(true: Callable[[], Any]) -> Any:
    deadline_s = time.monotonic() + 30
    while not (found := true()):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    return found


@pytest.fixture
def host(tmp_path: Path) -> WithPrograms:
    (tmp_path / "bin").mkdir()
    for name, text in (("systemctl", SYSTEMCTL), ("journalctl", JOURNALCTL)):
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "MainPID").write_text("0")
    return WithPrograms(tmp_path)


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Own:
    monkeypatch.setattr(Own, "folder", tmp_path)
    monkeypatch.setattr(Own, "port", free_port(), raising=False)
    return Own()


@pytest.fixture
def manager(tmp_path: Path, host: WithPrograms, service: Own) -> Iterator[None]:
    (tmp_path / "systemd.py").write_text(SYSTEMD)
    started = subprocess.Popen(
        [sys.executable, str(tmp_path / "systemd.py"), str(tmp_path), *SERVER, str(service.port)]
    )
    try:
        until(lambda: service.pid(host) and service.ready(host))
        yield
    finally:
        started.kill()
        started.wait()
        if pid := service.pid(host):
            os.kill(pid, signal.SIGKILL)


def test_a_kill_lasts_until_its_heal_and_the_unit_starts_by_itself(
    host: WithPrograms, service: Own, manager: None
) -> None:
    before = service.pid(host)
    service.install(host, [host])
    service.start(host, {})
    service.wait_ready(host, 5.0)
    assert service.pid(host) == before, "it is not started again"
    how = dict(service.control(host))
    assert processes.find(how) == before

    processes.kill(how)
    until(lambda: service.pid(host) is None)
    time.sleep(0.5)  # Its manager would have started it five times.
    assert service.pid(host) is None and processes.find(how) is None and not service.ready(host)

    assert processes.start(how), "all that a watchdog can do: no harness is asked"
    after = until(lambda: processes.find(how))
    assert after == service.pid(host) != before
    service.wait_ready(host, 10.0)


def test_it_is_as_before_at_the_end(host: WithPrograms, service: Own, manager: None, tmp_path: Path) -> None:
    before = service.pid(host)
    service.install(host, [host])
    assert service.collect(host)["logs/journal.log"].startswith(b"journal of own.service since @")
    for _ in range(2):
        service.stop(host)
        service.uninstall(host)
    assert service.pid(host) == before
    assert not (tmp_path / "etc/own.service.d").exists() and not Path(host.directory, "own").exists()
    assert (tmp_path / "reloads").read_text() == "\n\n"


def test_a_unit_that_a_kill_keeps_down_at_the_end_runs_again(host: WithPrograms, service: Own, manager: None) -> None:
    before = service.pid(host)
    service.install(host, [host])
    processes.kill(dict(service.control(host)))
    service.uninstall(host)
    assert until(lambda: service.pid(host)) != before


def test_what_cannot_be_undone_keeps_nothing_else_from_being_undone(
    host: WithPrograms, service: Own, manager: None, tmp_path: Path
) -> None:
    before = service.pid(host)
    service.install(host, [host])
    processes.kill(dict(service.control(host)))
    broken = SYSTEMCTL.replace("daemon-reload) ", "daemon-reload) echo no bus >&2; exit 1; ")
    broken = broken.replace('MainPID --value -- own.service") ', 'MainPID --value -- own.service") echo none; exit 0;')
    (tmp_path / "bin/systemctl").write_text(broken)
    with pytest.raises(
        DeployError, match=r"(?s)^n1: not undone: .*daemon-reload.*no bus.*; .*a process's number"
    ) as raised:
        service.uninstall(host)
    assert "systemctl daemon-reload" in str(raised.value.hint)
    assert not (tmp_path / "etc/own.service.d").exists() and not Path(host.directory, "own").exists()
    (tmp_path / "bin/systemctl").write_text(SYSTEMCTL)
    assert until(lambda: service.pid(host)) != before, "it runs again"
    service.uninstall(host)


def test_a_unit_that_does_not_run_is_refused(host: WithPrograms, service: Own, tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=r"n1: unit own.service does not run"):
        service.install(host, [host])
    assert not (tmp_path / "etc").exists()


def test_a_unit_that_refuses_the_drop_in_is_refused(
    host: WithPrograms, service: Own, manager: None, tmp_path: Path
) -> None:
    (tmp_path / "bin/systemctl").write_text(
        SYSTEMCTL.replace("sed -n 's/^Restart=//p' etc/own.service.d/*.conf", "echo no")
    )
    with pytest.raises(DeployError, match=r"own.service has Restart=no with our drop-in"):
        service.install(host, [host])
    service.uninstall(host)
    assert not (tmp_path / "etc/own.service.d").exists()


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group of this machine's own."""
    name = f"tribulation-test-{os.getpid()}"
    for place in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/pids"):
        made = Path(place, name)
        with suppress(OSError):
            made.mkdir()
            if (made / "cgroup.procs").exists():
                break
            made.rmdir()
    else:
        pytest.skip("no control group can be made here")
    yield made
    until(lambda: not (made / "cgroup.procs").read_text())
    made.rmdir()


def test_a_control_group_is_killed_and_started_again(group: Path, tmp_path: Path, service: Own) -> None:
    host = LoopbackHost("n1", "127.0.0.1", tmp_path)
    began = tmp_path / "begin.sh"
    serve = f"exec setsid {sys.executable} -m http.server {service.port} --directory {tmp_path}"
    began.write_text(f"(echo 0 > {group}/cgroup.procs && {serve}) </dev/null >/dev/null 2>&1 &\n")

    class Contained(RunningCgroup):
        cgroup, port = group.name, service.port
        restart = ("sh", str(began))

    contained = Contained()
    with pytest.raises(DeployError, match=f"n1: control group {group.name} has no process"):
        contained.install(host, [host])
    contained.start(host, {})
    contained.wait_ready(host, 20.0)
    before = contained.pid(host)
    contained.install(host, [host])
    processes.kill(process_of(contained, host))
    assert contained.pid(host) is None and not contained.ready(host)
    contained.start(host, {})
    contained.wait_ready(host, 20.0)
    after = contained.pid(host)
    assert before != after is not None
    contained.stop(host)
    contained.uninstall(host)
    assert contained.pid(host) == after
    os.kill(after, signal.SIGKILL)


def test_what_it_cannot_start_again_is_said() -> None:
    class Bare(RunningCgroup):
        cgroup, port = "no/such-group", 1

    with pytest.raises(DeployError, match="bare does not run, and its class has no `restart`"):
        Bare().start(LoopbackHost("n1", "127.0.0.1", Path("/nowhere")), {})
