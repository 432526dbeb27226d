"""The supervisor's changes to the kernel: the shared view of the file system, and hosts that boot and lose power.

Runs as process 1 of the lab's own PID namespace, inside the lab's own network and mount namespaces (as root), and also its own user namespace
(as any other user). Nothing here can touch the machine's, and all of it is gone when that process is. Standard library only.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ....agent.fault_disk.mount import unescaped
from ...programs import end_of
from ..layout import groups
from ..layout.layout import GROUPS, Machine
from .freezing import continue_all, stop_all

DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "net/tun", "fuse")
DROPPED_CAPABILITIES = "-sys_time,-sys_module,-sys_rawio,-mknod"
"""Capabilities that no process in a host has, root included: CLOCK_REALTIME has no namespace, so CAP_SYS_TIME would set the machine's clock."""
_CLONE_NEWNET = 0x40000000
_BOOT_TIMEOUT_S = 50.0


class MachineError(Exception):
    """A namespace, a link or a host could not be made; the text says which and why."""


def command(arguments: Sequence[str], stdin: str = "", timeout_s: float = 50.0) -> None:
    """Run one system tool to its end; its error output becomes a `MachineError`."""
    try:
        done = subprocess.run(arguments, input=stdin, capture_output=True, text=True, timeout=timeout_s)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MachineError(f"{' '.join(arguments)}: {error}") from None
    if done.returncode:
        raise MachineError(f"{' '.join(arguments)}: exit {done.returncode}: {done.stderr.strip()[-500:]}")


def ip_batch(lines: Sequence[str]) -> None:
    command(["ip", "-batch", "-"], "\n".join(lines) + "\n")


def build_view(base: Path, lab: Path) -> None:
    """Build the view of all hosts: the machine's files read-only, a /dev without its disks, the lab's own users and names.

    `base` (which holds the labs) stays writable for the supervisor; hosts unmount it.
    """
    command(["mount", "--bind", str(base), str(base)])
    _build_dev(lab)
    for name in ("passwd", "shadow", "hosts", "resolv.conf"):
        if (lab / "etc" / name).exists() and os.path.exists(f"/etc/{name}"):
            command(["mount", "--bind", str(lab / "etc" / name), os.path.realpath(f"/etc/{name}")])
    for point in _disk_mounts():
        if Path(point) == base or point.split("/")[1] in ("proc", "sys", "dev"):
            continue
        try:
            command(["mount", "-o", "remount,bind,ro", point])
        except MachineError:
            # An ordinary user may not see into every mount, but can see into the root, which is the one that counts.
            if point == "/":
                raise


def _build_dev(lab: Path) -> None:
    dev = lab / "dev"
    dev.mkdir()
    command(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(dev)])
    for name in DEVICES:
        if os.path.exists(f"/dev/{name}"):
            (dev / name).parent.mkdir(exist_ok=True)
            (dev / name).touch()
            command(["mount", "--bind", f"/dev/{name}", str(dev / name)])
    for name, target in {
        "ptmx": "pts/ptmx",
        "fd": "/proc/self/fd",
        "stdin": "fd/0",
        "stdout": "fd/1",
        "stderr": "fd/2",
    }.items():
        (dev / name).symlink_to(target)
    for name in ("pts", "shm"):
        (dev / name).mkdir()
    command(["mount", "--rbind", str(dev), "/dev"])
    command(["umount", "--recursive", "--lazy", str(dev)])


def _disk_mounts() -> list[str]:
    """Mount points of this mount namespace, unescaped, each once."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()]
    return list(dict.fromkeys(map(unescaped, points)))


class Host:
    """One local host: powered on while its init runs. Its namespaces live as long: a power-off drops all connections."""

    def __init__(self, machine: Machine, lab: Path, environment: Mapping[str, str], network: Sequence[str]) -> None:
        """`network`: lines for its `ip` after a boot."""
        self.machine = machine
        self.boots = 0
        self._lab = lab
        self._directory = lab / "hosts" / machine.name
        self._environment = {
            **os.environ,
            **environment,
            "MACHINE": machine.name,
            "ADDRESS": machine.address,
            "ADDRESS6": machine.address6,
            "GATEWAY": machine.subnet.gateway,
            "NETWORK": "\n".join(network),
        }
        self._outer: subprocess.Popen[bytes] | None = None
        self._init_pid = 0
        self._stopped: dict[int, int] = {}
        self._groups = ""

    @property
    def on(self) -> bool:
        return self._outer is not None and self._outer.poll() is None

    @property
    def addresses(self) -> Mapping[str, str]:
        return {"address": self.machine.address, "address6": self.machine.address6}

    @property
    def init_pid(self) -> int:
        """Its process 1, as the lab's PID namespace numbers it; 0 when the power is off."""
        return self._init_pid if self.on else 0

    @property
    def network(self) -> str:
        """The path of its network namespace. No process may keep it open: it would outlive the host."""
        if self._outer is None or not self.on:
            raise MachineError(f"{self.machine.name} is powered off")
        return f"/proc/{self._outer.pid}/ns/net"

    def spawn(self, unattended: bool = False) -> None:
        """Start its namespaces and its first process, which then waits for `go`. Boot hooks see `UNATTENDED` when no caller waits for the boot."""
        flags = ["--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child=SIGKILL"]
        script = str(Path(__file__).with_name("hostinit.sh"))
        with open(self._directory / "console.log", "ab") as console:
            self._outer = subprocess.Popen(
                ["unshare", *flags, "sh", script],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=console,
                env={**self._environment, "UNATTENDED": "yes" if unattended else ""},
                cwd="/",
                start_new_session=True,
            )

    def await_namespaces(self, deadline_s: float) -> None:
        self._await_line(b"ready\n", deadline_s)
        assert self._outer is not None
        children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children").read_text().split()
        self._init_pid = int(children[0])
        self._groups = groups.name_of(self._init_pid)
        with open(self._lab / GROUPS, "a") as record:
            record.writelines(f"{line}\n" for line in groups.record(self._init_pid))

    def await_configured(self, deadline_s: float) -> None:
        """Wait until its address is set: before that, a connection attempt is lost and repeated only a second later."""
        self._await_line(b"configured\n", deadline_s)
        assert self._outer is not None and self._outer.stdout is not None
        self._outer.stdout.close()
        self.boots += 1

    def _await_line(self, expected: bytes, deadline_s: float) -> None:
        assert self._outer is not None and self._outer.stdout is not None
        ready, _, _ = select.select([self._outer.stdout], [], [], max(0.0, deadline_s - time.monotonic()))
        if not ready or self._outer.stdout.readline() != expected:
            raise MachineError(f"{self.machine.name} did not boot: {self.console_end()}")

    def cable(self) -> list[str]:
        """The `ip` commands, to be run at the switch, that plug in its cable."""
        assert self._outer is not None
        machine = self.machine
        return [
            f"link add {machine.link} type veth peer name eth0 address {machine.mac} netns {self._outer.pid}",
            f"link set {machine.link} master {machine.subnet.bridge} up",
        ]

    def go(self) -> None:
        assert self._outer is not None and self._outer.stdin is not None
        self._outer.stdin.write(b"go\n")
        self._outer.stdin.close()

    @property
    def frozen(self) -> bool:
        return self.on and bool(self._stopped)

    def freeze(self) -> None:
        """Stop its processes until `thaw`; its network goes on accepting connections that no process will serve."""
        if not self.on:
            raise MachineError(f"{self.machine.name} is powered off, so it cannot be frozen")
        if not self._stopped:
            try:
                self._stopped = stop_all(self._init_pid)
            except TimeoutError as error:
                raise MachineError(f"{self.machine.name} could not be frozen: {error}") from None

    def thaw(self) -> None:
        if self.on:
            continue_all(self._stopped)
        self._stopped = {}

    def plugged(self) -> bool:
        try:
            return socket.if_nametoindex(self.machine.link) > 0
        except OSError:
            return False

    def kill(self) -> None:
        """Kill every process, by killing its process 1; then its outer parent ends by itself."""
        if self._outer is None:
            return
        if self._outer.poll() is None:
            if self._init_pid:
                os.kill(self._init_pid, signal.SIGKILL)
            else:
                self._outer.kill()
        self._outer.wait(timeout=_BOOT_TIMEOUT_S)
        if self._groups:
            groups.remove(self._groups)
        for pipe in (self._outer.stdin, self._outer.stdout):
            if pipe is not None:
                pipe.close()
        self._outer, self._init_pid, self._stopped = None, 0, {}

    def console_end(self) -> str:
        return end_of(self._directory / "console.log", 500) or "its console shows nothing"


def power_off(hosts: Sequence[Host]) -> None:
    """Cut the power. All cables first, so that peers see silence and no FIN or RST; then every process at once."""
    if lines := [f"link set {host.machine.link} down" for host in hosts if host.plugged()]:
        ip_batch(lines)
    for host in hosts:
        host.kill()
    for host in hosts:
        try:
            if host.plugged():
                ip_batch([f"link del {host.machine.link}"])
        except MachineError:
            # The kernel removes a cable itself, some time after the namespace of its other end.
            if host.plugged():
                raise


def boot(hosts: Sequence[Host], unattended: bool = False) -> None:
    """Power on all of `hosts` together; those that already run are left alone."""
    starting = [host for host in hosts if not host.on]
    if not starting:
        return
    deadline_s = time.monotonic() + _BOOT_TIMEOUT_S
    power_off(starting)
    for host in starting:
        host.spawn(unattended)
    for host in starting:
        host.await_namespaces(deadline_s)
    ip_batch([line for host in starting for line in host.cable()])
    for host in starting:
        host.go()
    for host in starting:
        host.await_configured(deadline_s)


def socket_in(network: str | None, family: int, kind: int) -> socket.socket:
    """A socket in the network namespace at path `network`, or in the switch's. It stays there wherever it is passed to."""
    if network is None:
        return socket.socket(family, kind)
    return _in_network(network, lambda: socket.socket(family, kind))


def _in_network(network: str, make: Callable[[], socket.socket]) -> socket.socket:
    """Call `make` in a thread of its own that has entered `network`; the thread ends with it, so nothing has to be left again."""
    made: list[socket.socket] = []
    failures: list[OSError] = []

    def enter() -> None:
        try:
            descriptor = os.open(network, os.O_RDONLY | os.O_CLOEXEC)
            try:
                if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET):
                    number = ctypes.get_errno()
                    raise OSError(number, os.strerror(number), network)
            finally:
                os.close(descriptor)
            made.append(make())
        except OSError as error:
            failures.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if failures:
        raise MachineError(f"no socket in {network}: {failures[0]}")
    return made[0]
