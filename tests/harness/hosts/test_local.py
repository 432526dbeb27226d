"""Local hosts as a whole: what they can reach, what they can never touch, and that nothing of them remains."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.integration.running import everybody, namespaces_of
from tribulation.harness.errors import CampaignError, HostError
from tribulation.harness.hosts.local import LocalProvider, launch, list_labs, provider
from tribulation.harness.hosts.local.layout import wire

from .conftest import await_true

ROOT = Path(__file__).parents[3]


def descendants(pid: int) -> dict[int, str]:
    """Process `pid` and all below it: pid → start time, so that a reused number is not taken for it."""
    parents: dict[int, list[int]] = {}
    started: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            number = int(entry.name)
            parents.setdefault(int(fields[1]), []).append(number)
            started[number] = fields[19]
    found, queue = {}, [pid]
    while queue:
        number = queue.pop()
        if number in started:
            found[number] = started[number]
        queue += parents.get(number, [])
    return found


def is_running(pid: int, started: str) -> bool:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return fields[19] == started and fields[0] != "Z"


def supervisor_pid(lab: Path) -> int:
    """The outermost process of the lab, found as its description says: by its arguments."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
            if arguments[0] == b"unshare" and str(lab).encode() in arguments:
                return int(entry.name)
    raise AssertionError(f"no supervisor of {lab}")


def test_up_and_down_leave_no_process_namespace_mount_or_file(labs: Path) -> None:
    mounts = Path("/proc/self/mountinfo").read_text()
    provider = LocalProvider(nodes=2, name="gone", directory=labs)
    hosts = provider.up()
    assert [host.name for host in hosts] == ["n1", "n2"]
    processes = descendants(supervisor_pid(labs / "gone"))
    assert len(processes) >= 2 + 3 * 3, "supervisor, and for each of three machines unshare, init, sshd"
    spaces = namespaces_of(list(processes)) - namespaces_of([os.getpid()])
    assert len(spaces) >= 3 + 3 * 5
    before = everybody()
    provider.down()
    await_true(lambda: not [pid for pid, start in processes.items() if is_running(pid, start)], "all processes gone")
    # The kernel gives the numbers of ended namespaces to new ones: only processes from before can hold an old one.
    assert not spaces & namespaces_of([pid for pid, _ in before & everybody()])
    assert Path("/proc/self/mountinfo").read_text() == mounts
    assert list_labs(labs) == [] and not (labs / "gone").exists()
    with pytest.raises(HostError, match="lab 'gone' is down"):
        hosts[0].run("true")
    with pytest.raises(OSError, match="lab 'gone' is down"):
        provider.dial("10.77.0.1", 22, timeout_s=1)
    provider.down()  # once more is no error


def test_a_supervisor_that_lacked_descriptors_answers_again(labs: Path) -> None:
    """As when very many clients connect at once: each of their sockets is made by the supervisor."""
    provider = LocalProvider(nodes=1, name="crowded", directory=labs)
    provider.up()
    lab = labs / "crowded"
    with contextlib.closing(wire.connect(lab, 10.0)) as first:
        supervisor = wire.peer_pid(first)
    held = len(list(Path(f"/proc/{supervisor}/fd").iterdir()))
    hard = resource.prlimit(supervisor, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(supervisor, resource.RLIMIT_NOFILE, (held + 8, hard))
    crowd = [wire.connect(lab, 10.0) for _ in range(100)]
    await_true(lambda: b"not accepted" in (lab / "supervisor.log").read_bytes(), "the supervisor without descriptors")
    with pytest.raises(TimeoutError):
        while len(crowd) < 500:
            crowd.append(wire.connect(lab, 0.5))
    for connection in crowd:
        connection.close()
    assert provider.status()["name"] == "crowded"
    provider.down()
    assert not lab.exists()


def test_a_second_up_finds_the_same_lab_and_another_size_is_refused(labs: Path) -> None:
    first = LocalProvider(nodes=1, name="same", directory=labs)
    first.up()
    hosts = first.hosts
    hosts[0].put(b"here", "/srv/tribulation/mark")
    assert list(first.up()) == list(hosts), "the same handles, with the connections they have"
    again = LocalProvider(nodes=1, name="same", directory=labs)
    assert again.up()[0].get("/srv/tribulation/mark") == b"here"
    assert [(lab.name, lab.nodes, lab.alive) for lab in list_labs(labs)] == [("same", 1, True)]
    with pytest.raises(HostError, match="up with 1 hosts, not 2"):
        LocalProvider(nodes=2, name="same", directory=labs).up()
    again.close()
    first.down()


def test_a_killed_harness_leaves_the_lab_and_another_process_adopts_it_by_name(labs: Path) -> None:
    script = f"""
import sys, time
from tribulation.harness.hosts.local import LocalProvider
lab = LocalProvider(nodes=1, name="orphan", directory={str(labs)!r})
lab.up()[0].put(b"made before", "/srv/tribulation/mark")
print("up", flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=ROOT) as harness:
        assert harness.stdout is not None and harness.stdout.readline() == "up\n"
        harness.kill()
    adopted = LocalProvider.find("orphan", labs)
    assert adopted.up()[0].get("/srv/tribulation/mark") == b"made before"
    adopted.down()
    assert not (labs / "orphan").exists()


def test_an_unrenewed_lab_is_taken_down_by_its_supervisor(labs: Path) -> None:
    provider = LocalProvider(nodes=1, name="short", directory=labs, lease_s=2.0)
    provider.up()
    up_s = time.monotonic()
    processes = descendants(supervisor_pid(labs / "short"))
    # Renewed in the background while it is in use: well past its lease, it is still there.
    await_true(lambda: 0 < provider.status()["lease_left_s"] <= 2.0 and time.monotonic() > up_s + 3.0, "still there")
    provider.close()
    await_true(lambda: not (labs / "short").exists(), "the lab's directory gone")
    await_true(lambda: not [pid for pid, start in processes.items() if is_running(pid, start)], "all processes gone")
    with pytest.raises(HostError, match="does not answer"):
        provider.status()
    provider.down()


def test_a_killed_supervisor_takes_every_process_along_and_its_files_are_removed_later(labs: Path) -> None:
    provider = LocalProvider(nodes=1, name="stale", directory=labs)
    provider.up()
    outer = supervisor_pid(labs / "stale")
    processes = descendants(outer)
    (inner,) = (int(pid) for pid in Path(f"/proc/{outer}/task/{outer}/children").read_text().split())
    os.kill(inner, signal.SIGKILL)
    await_true(lambda: not [pid for pid, start in processes.items() if is_running(pid, start)], "all processes gone")
    assert [(lab.name, lab.alive) for lab in list_labs(labs)] == [("stale", False)]
    with pytest.raises(HostError, match=r"hint: .*tri hosts up"):
        provider.status()
    again = LocalProvider(nodes=1, name="stale", directory=labs)
    assert again.up()[0].run("hostname").stdout == "n1\n"
    again.down()
    provider.down()
    assert list_labs(labs) == []


def test_a_supervisor_that_hangs_is_killed_by_down(labs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = LocalProvider(nodes=1, name="hung", directory=labs)
    lab.up()
    outer = supervisor_pid(labs / "hung")
    processes = descendants(outer)
    (inner,) = (int(pid) for pid in Path(f"/proc/{outer}/task/{outer}/children").read_text().split())
    os.kill(inner, signal.SIGSTOP)
    monkeypatch.setattr(provider, "ANSWER_TIMEOUT_S", 0.5)
    with pytest.raises(HostError, match="does not answer"):
        lab.status()
    monkeypatch.setattr(provider, "ANSWER_TIMEOUT_S", 3.0)
    lab.down()
    await_true(lambda: not [pid for pid, start in processes.items() if is_running(pid, start)], "all processes gone")
    assert list_labs(labs) == []


def test_a_supervisor_whose_directory_was_removed_ends(labs: Path) -> None:
    lab = LocalProvider(nodes=1, name="lost", directory=labs)
    lab.up()
    processes = descendants(supervisor_pid(labs / "lost"))
    lab.close()
    shutil.rmtree(labs / "lost")
    new = LocalProvider(nodes=1, name="lost", directory=labs)
    (host,) = new.up()
    await_true(lambda: not [pid for pid, start in processes.items() if is_running(pid, start)], "all processes gone")
    assert host.run("hostname").stdout == "n1\n"
    new.down()
    lab.down()
    assert list_labs(labs) == []


def test_a_lab_interrupted_when_its_supervisor_has_just_answered_leaves_nothing(
    labs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes: dict[int, str] = {}

    def interrupted(lab: Path, timeout_s: float) -> None:
        start_supervisor(lab, timeout_s)
        processes.update(descendants(supervisor_pid(lab)))
        raise KeyboardInterrupt

    start_supervisor = launch.start_supervisor
    monkeypatch.setattr(launch, "start_supervisor", interrupted)
    lab = LocalProvider(nodes=1, name="short", directory=labs)
    with pytest.raises(KeyboardInterrupt):
        lab.up()
    assert processes and not (labs / "short").exists()
    await_true(lambda: not [pid for pid, start in processes.items() if is_running(pid, start)], "all processes gone")


def test_labs_may_lie_where_hosts_have_places_of_their_own(namespaces: None) -> None:
    with tempfile.TemporaryDirectory(prefix="tribulation-", dir="/var/tmp") as base:
        lab = LocalProvider(nodes=1, name="covered", directory=base)
        try:
            (host,) = lab.up()
            host.put(b"x", "/var/tmp/x")
            assert host.run(["ls", "/var/tmp", "/dev/shm"]).stdout == "/dev/shm:\n\n/var/tmp:\nx\n"
            assert host.run(["ls", base], check=False).exit_code != 0
        finally:
            lab.down()


def test_two_labs_use_equal_addresses_and_do_not_meet(labs: Path) -> None:
    one, two = (LocalProvider(nodes=1, name=name, directory=labs) for name in ("one", "two"))
    (first,), (second,) = one.up(), two.up()
    assert first.address == second.address
    first.put(b"one", "/srv/tribulation/lab")
    second.put(b"two", "/srv/tribulation/lab")
    assert (first.get("/srv/tribulation/lab"), second.get("/srv/tribulation/lab")) == (b"one", b"two")
    one.down()
    assert second.run("hostname").stdout == "n1\n"
    two.down()


def test_a_host_cannot_set_the_machines_clock(lab: LocalProvider) -> None:
    host = lab.hosts[0]
    # First that it may not, then that it cannot: the attempt would be harmless, it sets the time that it is.
    for process in ("1", "self"):
        bounding = int(host.run(f"grep CapBnd /proc/{process}/status").stdout.split()[1], 16)
        assert not bounding & (1 << 25)
    refused = host.run('date -s "@$(date +%s.%N)"', check=False)
    assert refused.exit_code != 0 and "not permitted" in refused.stderr
    script = "import time; time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_REALTIME))"
    assert "PermissionError" in host.run([host.python, "-c", script], check=False).stderr


@pytest.mark.parametrize("path", ["/etc/x", "/usr/x", "/root/x", str(ROOT / "x"), "/proc/sys/kernel/pid_max", "/sys/x"])
def test_the_machines_own_files_and_settings_are_read_only(lab: LocalProvider, path: str) -> None:
    assert lab.hosts[0].run(f"echo 4194304 > {path}", check=False).exit_code != 0


@pytest.mark.parametrize("path", ["/run", "/tmp", "/var/tmp", "/var/lib", "/var/log", "/srv", "/srv/tribulation", "~"])
def test_each_host_has_its_own_writable_places(lab: LocalProvider, path: str) -> None:
    first, second = lab.hosts[:2]
    first.run(f"echo mine > {path}/mark-of-n1")
    assert second.run(f"test -e {path}/mark-of-n1", check=False).exit_code == 1
    assert not Path(path, "mark-of-n1").expanduser().exists()


def test_hosts_see_neither_the_machines_processes_nor_its_disks_nor_the_labs_keys(lab: LocalProvider) -> None:
    host = lab.hosts[0]
    assert host.run("hostname; cat /proc/1/comm").stdout == "n1\ntini\n"
    assert len(host.run("ls -d /proc/[0-9]*").stdout.split()) < 12
    assert host.run("ls /dev/vda /dev/sda /dev/mem /dev/rtc0", check=False).stdout == ""
    assert host.run(["ls", str(lab.hosts[0].target.key)], check=False).exit_code != 0


def test_hosts_reach_each_other_by_both_families_and_may_filter_packets(lab: LocalProvider) -> None:
    host = lab.hosts[0]
    script = "import socket, sys; print(socket.create_connection((sys.argv[1], 22), 5).recv(7).decode())"
    for name in ("n2", "n3", "10.77.0.3", "n2-ipv6", "fd77::3"):
        assert host.run([host.python, "-c", script, name]).stdout == "SSH-2.0\n"
    host.run("nft -f -", stdin=b"table inet t { set s { type ipv4_addr; }; }")
    assert host.run("nft list tables").stdout == "table inet t\n"
    assert lab.hosts[1].run("nft list tables").stdout == ""
    host.run("nft delete table inet t")


def test_clients_dial_from_a_place_of_their_own(lab: LocalProvider) -> None:
    assert lab.client_addresses == {"clients": ("10.77.0.200", "fd77::200")}
    for address in ("10.77.0.1", "fd77::1"):
        with lab.dial(address, 22, timeout_s=5) as sock:
            assert sock.getsockname()[0] in lab.client_addresses["clients"]
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert sock.recv(7) == b"SSH-2.0"
    with lab.dial("10.77.0.1", 9, timeout_s=5, kind=socket.SOCK_DGRAM) as sock:
        sock.send(b"x")
        with pytest.raises(ConnectionRefusedError):
            sock.recv(1)
    with pytest.raises(ConnectionRefusedError):
        lab.dial("10.77.0.1", 23, timeout_s=5)
    clients = lab.client_host()
    assert clients is not None and clients.run("hostname").stdout == "clients\n"


def test_clients_can_be_cut_off_while_control_goes_on(lab: LocalProvider) -> None:
    host = lab.hosts[2]
    assert host.control == ("10.77.0.254", 22)
    rules = "table inet t { chain in { type filter hook input priority -300; ip saddr 10.77.0.200 drop; }; }"
    host.run("nft -f -", stdin=rules.encode())
    with pytest.raises(TimeoutError):
        lab.dial(host.address, 22, timeout_s=0.5)
    host.close()
    assert host.run("nft delete table inet t && echo healed").stdout == "healed\n"
    with lab.dial(host.address, 22, timeout_s=5) as sock:
        assert sock.recv(7) == b"SSH-2.0"


def test_power_off_is_silent_and_boot_brings_back_the_disk_alone(lab: LocalProvider) -> None:
    host = lab.hosts[1]
    host.run("echo kept > /srv/kept; echo lost > /tmp/lost; nft add table inet lost")
    with lab.dial(host.address, 22, timeout_s=5) as open_before:
        open_before.recv(100)
        lab.power_off(host.name)
        assert {known["name"]: known["on"] for known in lab.status()["hosts"]} == {
            "n1": True,
            "n2": False,
            "n3": True,
            "clients": True,
        }
        open_before.settimeout(0.5)
        with pytest.raises(TimeoutError):
            open_before.recv(1)  # no FIN, no RST: as if its plug were pulled
        with pytest.raises(HostError):
            host.run("true", timeout_s=1.0)
        lab.boot(host.name)
        assert host.run("cat /srv/kept; ls /tmp; nft list tables").stdout == "kept\n"
        open_before.settimeout(10)
        open_before.send(b"x")
        with pytest.raises(ConnectionResetError):
            open_before.recv(1)
    assert next(known["boots"] for known in lab.status()["hosts"] if known["name"] == host.name) == 2
    with pytest.raises(HostError, match="no host"):
        lab.power_off("n9")


def test_up_boots_what_is_powered_off(lab: LocalProvider) -> None:
    lab.power_off("n3")
    assert [host.run("hostname").stdout for host in lab.up()] == ["n1\n", "n2\n", "n3\n"]


@pytest.mark.parametrize(("nodes", "name"), [(0, "x"), (100, "x"), (3, ""), (3, "../x"), (3, "a b"), (3, "x" * 65)])
def test_impossible_labs_are_refused_before_anything_is_made(tmp_path: Path, nodes: int, name: str) -> None:
    with pytest.raises(CampaignError, match=r"not (usable|possible)"):
        LocalProvider(nodes=nodes, name=name, directory=tmp_path / "labs")
    assert not (tmp_path / "labs").exists()


def test_a_directory_that_others_may_look_into_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with pytest.raises(HostError, match=r"must be a directory of yours alone.*\n\nhint: .*chmod 700"):
        LocalProvider(nodes=1, directory=tmp_path).up()


def test_missing_programs_are_named_with_their_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "SEARCH_PATH", str(tmp_path))
    with pytest.raises(HostError, match=r"need sshd, .*tini.*not found.*\n\nhint: apt install .*openssh-server.*tini"):
        LocalProvider(nodes=1, directory=tmp_path / "labs").up()
