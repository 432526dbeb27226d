"""The reference service on loopback hosts: install, start, kill and restart by the marker, collect, uninstall."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import pytest

from tests.harness.systems.loopback import LoopbackHost, dial_to, free_port, make_hosts, wait_for
from tribulation.harness.errors import CampaignError, DeployError
from tribulation.harness.nemesis.agent_client.shipping import agent_directory, remove
from tribulation.harness.nemesis.cluster import clock_library
from tribulation.harness.run.plan.attached import AttachedService
from tribulation.harness.systems.reference.system import ReferenceService


@pytest.fixture
def host(tmp_path: Path) -> LoopbackHost:
    return make_hosts(tmp_path, 1)[0]


@pytest.fixture
def service(host: LoopbackHost) -> Iterator[ReferenceService]:
    service = ReferenceService({"cluster": "test", "port": free_port(), "timing": "fast"})
    yield service
    service.uninstall(host)


def up(service: ReferenceService, host: LoopbackHost) -> int:
    service.install(host, [host])
    service.start(host, {})
    service.wait_ready(host, 10)
    pid = service.pid(host)
    assert pid is not None
    return pid


def test_up_and_down_and_nothing_left(service: ReferenceService, host: LoopbackHost) -> None:
    pid = up(service, host)
    assert up(service, host) == pid, "a second deployment of the same service leaves the running node alone"
    collected = service.collect(host)
    assert {"logs/node.log", "trace.jsonl", "inputs/events-000001.log"} <= set(collected)
    assert json.loads(collected["logs/node.log"].splitlines()[0])["message"] == "started"
    service.stop(host)
    service.stop(host)
    assert service.pid(host) is None
    assert not Path(f"/proc/{pid}").exists()
    assert b'"stopped"' in service.collect(host)["logs/node.log"]
    service.uninstall(host)
    service.uninstall(host)
    assert list(Path(host.directory).iterdir()) == []
    assert service.collect(host) == {}


def test_killed_stays_down_until_the_marker_goes(service: ReferenceService, host: LoopbackHost) -> None:
    first = up(service, host)
    files = service.control_of(host)
    host.run(files.kill_command())
    host.run(files.kill_command())
    wait_for(lambda: service.pid(host) is None, "the kill")
    wait_for(lambda: "ended with signal 9" in Path(files.path("supervisor.log")).read_text(), "the supervisor's notice")
    # Longer than the back-off after a crash.
    with pytest.raises(DeployError, match="not ready within"):
        service.wait_ready(host, 0.5)
    host.run(files.restart_command())
    service.wait_ready(host, 10)
    second = service.pid(host)
    assert second not in (None, first)
    assert json.loads(Path(files.path("ready")).read_text())["incarnation"] == 2


def test_the_marker_alone_kills(service: ReferenceService, host: LoopbackHost) -> None:
    """Whatever raced with the kill, no node runs while the marker is there."""
    up(service, host)
    Path(service.control(host)["marker"]).touch()
    wait_for(lambda: service.pid(host) is None, "the supervisor to obey the marker")
    service.start(host, {})
    service.wait_ready(host, 10)


def test_an_exit_that_nobody_asked_for_is_followed_by_a_restart(service: ReferenceService, host: LoopbackHost) -> None:
    first = up(service, host)
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: service.pid(host) not in (None, first), "a new node")
    service.wait_ready(host, 10)


def test_a_new_supervisor_takes_over_from_a_dead_one(service: ReferenceService, host: LoopbackHost) -> None:
    first = up(service, host)
    supervisor = int(Path(service.control_of(host).path("supervisor.pid")).read_text())
    os.kill(supervisor, signal.SIGKILL)
    wait_for(lambda: not Path(f"/proc/{supervisor}").exists() or is_zombie(supervisor), "the supervisor's end")
    assert service.pid(host) == first
    service.start(host, {})
    wait_for(lambda: service.pid(host) not in (None, first), "the orphan replaced")
    service.wait_ready(host, 10)
    service.stop(host)
    assert service.pid(host) is None


def is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_supervisor_that_was_stopped_goes_on_as_if_nothing_had_been(
    service: ReferenceService, host: LoopbackHost
) -> None:
    """As on a host that was frozen whole: no signal was sent to it, so it must not end."""
    pid = up(service, host)
    files = service.control_of(host)
    supervisor = int(Path(files.path("supervisor.pid")).read_text())
    for _ in range(5):
        os.kill(supervisor, signal.SIGSTOP)
        wait_for(lambda: Path(f"/proc/{supervisor}/stat").read_text().rpartition(")")[2].split()[0] == "T", "the stop")
        time.sleep(0.12)
        os.kill(supervisor, signal.SIGCONT)
        time.sleep(0.05)
    assert service.pid(host) == pid
    assert "ends on signal" not in Path(files.path("supervisor.log")).read_text()


def test_a_paused_node_can_be_stopped(service: ReferenceService, host: LoopbackHost) -> None:
    up(service, host)
    host.run(service.control_of(host).signal_command("STOP"))
    service.stop(host)
    assert service.pid(host) is None


def test_in_the_foreground_the_supervisor_reports_its_manager_when_the_node_is_ready(
    service: ReferenceService, host: LoopbackHost, tmp_path: Path
) -> None:
    """As systemd starts it: one process that says READY=1 when the node serves, keeps the contract of the marker, and ends the node with itself."""
    service.install(host, [host])
    words = [*service.supervise_words(host), "--foreground"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")}
        with subprocess.Popen(words, env=environment) as supervisor:
            said = manager.recv(1000).decode()
            pid = service.pid(host)
            assert said == f"READY=1\nSTATUS=node runs, pid {pid}\n"
            assert json.loads(Path(service.control_of(host).path("ready")).read_text())["pid"] == pid
            assert b"NOTIFY_SOCKET" not in Path(f"/proc/{pid}/environ").read_bytes()
            host.run(service.control_of(host).kill_command())
            wait_for(lambda: service.pid(host) is None, "the kill")
            second = subprocess.run(words, env=environment, timeout=20)
            assert second.returncode == 1, "one supervisor to a folder"
            folder = os.open(service.control_of(host).directory, os.O_RDONLY)
            with pytest.raises(BlockingIOError):
                # So that what tidies up old files on a host passes it over.
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.close(folder)
            host.run(service.control_of(host).restart_command())
            service.wait_ready(host, 10)
            pid = service.pid(host)
            supervisor.terminate()
            assert supervisor.wait(20) == 0
        assert not Path(f"/proc/{pid}").exists()


def test_a_node_that_is_kept_down_does_not_keep_its_machine_waiting(
    service: ReferenceService, host: LoopbackHost, tmp_path: Path
) -> None:
    service.install(host, [host])
    Path(service.control(host)["marker"]).touch()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        name = f"tribulation-test-{os.getpid()}"
        manager.bind(f"\0{name}")
        manager.settimeout(20)
        words = [*service.supervise_words(host), "--foreground"]
        with subprocess.Popen(words, env={**os.environ, "NOTIFY_SOCKET": f"@{name}"}) as supervisor:
            assert manager.recv(1000).decode() == "READY=1\nSTATUS=kept stopped by the marker\n"
            supervisor.terminate()
            assert supervisor.wait(20) == 0


def test_the_environment_is_the_nodes_alone(service: ReferenceService, host: LoopbackHost) -> None:
    service.install(host, [host])
    service.start(host, {"TRIBULATION_TEST": "äöü 1"})
    service.wait_ready(host, 10)
    supervisor = int(Path(service.control_of(host).path("supervisor.pid")).read_text())
    wanted = "TRIBULATION_TEST=äöü 1".encode()
    assert wanted in Path(f"/proc/{service.pid(host)}/environ").read_bytes().split(b"\0")
    assert wanted not in Path(f"/proc/{supervisor}/environ").read_bytes().split(b"\0")


def test_a_wrong_configuration_is_refused_at_the_start(service: ReferenceService, host: LoopbackHost) -> None:
    service.install(host, [host])
    Path(service.control_of(host).path("config.json")).write_text('{"node": "n1"}')
    with pytest.raises(DeployError, match="cluster: None is not a name"):
        service.start(host, {})


def test_a_node_that_cannot_start_says_why(service: ReferenceService, host: LoopbackHost) -> None:
    service.install(host, [host])
    with socket.create_server((host.address, service.port)):
        service.start(host, {})
        with pytest.raises(DeployError) as caught:
            service.wait_ready(host, 1.5)
    assert "cannot listen" in str(caught.value)
    assert "node ended with exit code 4" in str(caught.value)
    service.wait_ready(host, 15)


def test_another_deployments_data_is_wiped_or_kept_as_asked(service: ReferenceService, host: LoopbackHost) -> None:
    up(service, host)
    incarnation = Path(service.control_of(host).path("incarnation"))

    def boots() -> int:
        checksum, count = incarnation.read_text().split()
        assert checksum == f"crc32:{crc32(count.encode()):08x}"
        return int(count)

    up(ReferenceService({"cluster": "test", "port": service.port, "timing": "fast"}), host)
    assert boots() == 1, "a run begins without another run's data"
    keeper = ReferenceService({"cluster": "test", "port": service.port, "keep_data": True})
    up(keeper, host)
    assert boots() == 2
    passing = ReferenceService({"cluster": "test", "port": service.port})
    with pytest.raises(DeployError, match="cluster 'test' was deployed to stay"):
        passing.install(host, [host])
    passing.uninstall(host)
    assert service.pid(host) is not None and boots() == 2
    with pytest.raises(DeployError, match="holds data of cluster 'test'"):
        ReferenceService({"cluster": "other", "keep_data": True}).install(host, [host])
    keeper.uninstall(host)


def test_wrong_options_are_refused_before_anything_is_touched(host: LoopbackHost) -> None:
    with pytest.raises(CampaignError, match="no option 'tining'"):
        ReferenceService({"tining": "fast"})
    with pytest.raises(DeployError, match="timing"):
        ReferenceService({"timing": "warp"}).install(host, [host])
    assert not Path(host.directory).exists()


def test_nobody_leads_where_nobody_answers(service: ReferenceService, host: LoopbackHost) -> None:
    dial = dial_to([host], service.port)
    assert service.leader([host], dial) is None
    assert service.status(host, dial) is None


def test_a_directory_of_any_name_is_one_word_to_every_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spaces, quotes, a comment and substitutions: nothing of it is run, and all that works elsewhere works there."""
    monkeypatch.chdir(tmp_path)
    hostile = "it's \"x\" # $(touch a) `touch b`; touch c & '; touch d; '* \" ; touch e"
    host = LoopbackHost("n1", "127.0.0.1", tmp_path / hostile)
    bystander = tmp_path / "it's"
    bystander.write_text("mine")
    service = AttachedService({"cluster": "test", "port": free_port(), "timing": "fast"})
    reference = ReferenceService({"cluster": "test", "port": service.port, "timing": "fast"})
    try:
        pid = up(reference, host)
        assert up(reference, host) == pid
        assert service.kept_files(host).keys() >= {"logs/node.log", "trace.jsonl"}
        host.run(reference.control_of(host).signal_command("CONT"))
        host.run(reference.control_of(host).kill_command())
        wait_for(lambda: reference.pid(host) is None, "the kill")
        agent = Path(agent_directory(host.directory))
        agent.mkdir()
        (agent / "agent.pyz").write_text("")
        remove(host)
        assert not agent.exists()
        assert clock_library.installed(host) is None
    finally:
        reference.uninstall(host)
    assert list(Path(host.directory).iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([hostile, "it's"])


def test_the_wait_for_a_slow_node_leaves_the_processor_to_it(service: ReferenceService, host: LoopbackHost) -> None:
    service.install(host, [host])
    calls = Path(host.directory) / "looks"
    # `sleep` counts the looks, and takes as long as on a machine where the first ones were in vain.
    counting = f'sleep() {{ echo "$1" >>{calls}; command sleep "$1"; }}\n'
    run = host.run
    host.run = lambda script, **options: run(counting + script if "sleep" in script else script, **options)  # type: ignore[method-assign]
    with pytest.raises(DeployError, match="not ready within"):
        service.wait_ready(host, 6)
    steps = calls.read_text().split()
    assert len(steps) < 50 and steps[-1] == "1.0"
    calls.unlink()
