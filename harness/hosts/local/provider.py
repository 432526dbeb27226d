"""Hosts made of namespaces on this machine: brings up a lab, or finds the one that is up, and returns its hosts.

    with contextlib.closing(LocalProvider(nodes=5)) as lab:
        for host in lab.up():
            print(host.run("hostname").stdout)
        lab.down()

The lab belongs to its supervisor, not to this object. When this process has ended, the lab continues until its lease ends, and another
`LocalProvider` of the same name finds it. While this object is in use it renews the lease.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import HostError
from ...wan import Regions
from ..errors import ConnectError
from ..parallel import on_all
from ..programs import end_of
from ..ssh.connection import Target
from ..ssh.remote import RemoteHost
from . import launch, leftovers, measure
from .layout import state, wire
from .layout.layout import CLIENTS, DIRECTORY, SSH_PORT, Machine, check_names, machines

LEASE_S = 600.0
ANSWER_TIMEOUT_S = 60.0
BOOT_HOOKS_S = 60
"""Time limit for all hooks of a boot together."""


class LocalProvider:
    """`Provider` over namespaces. `directory` holds the labs' files, disks included; None means `layout.state.default_directory()`.

    `regions`: a routed subnet each, with the distances between them, which are measured when the lab is made (`measured`). `kept`: the lab stays up
    when no process uses it.
    """

    name = "local"
    capabilities = frozenset({"cut", "kill", "pause", "clock", "power", "freeze"})
    boot_hooks_s = BOOT_HOOKS_S

    def __init__(
        self,
        nodes: int = 5,
        name: str = "default",
        directory: str | Path | None = None,
        lease_s: float = LEASE_S,
        regions: Regions | None = None,
        kept: bool = False,
    ) -> None:
        check_names(name, nodes, regions)
        self.lab_name = name
        self.nodes = nodes
        self.regions = regions
        self.measured: Sequence[measure.Measured] = ()
        self.lease_s = lease_s
        self.kept = kept
        self.hosts: Sequence[RemoteHost] = ()
        self.client_addresses: Mapping[str, Sequence[str]] = {}
        self._base = Path(directory) if directory else state.default_directory()
        self._lab = self._base / name
        self._clients: RemoteHost | None = None
        self._python = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = threading.Event()
        self._held: int | None = None

    @classmethod
    def find(cls, name: str = "default", directory: str | Path | None = None) -> LocalProvider:
        """The provider of a lab that is up, however many hosts it has. Raises `HostError` when there is none."""
        check_names(name, nodes=1)
        lab = state.find_lab(Path(directory) if directory else state.default_directory(), name)
        if not lab.alive or not lab.nodes:
            raise HostError(f"no lab {name!r} is up in {lab.directory.parent}", hint="tri hosts up")
        return cls(lab.nodes, name, directory, regions=lab.regions)

    def up(self) -> Sequence[RemoteHost]:
        self._base = state.private_directory(self._base)
        self._lab = self._base / self.lab_name
        created = False
        # An interrupt may come between the making of a lab and whatever follows.
        try:
            with state.exclusive(self._base, self.lab_name, timeout_s=120.0):
                lab = state.find_lab(self._base, self.lab_name)
                created = not lab.alive
                if created:
                    self._create()
                elif lab.nodes != self.nodes:
                    message = f"lab {self.lab_name!r} is up with {lab.nodes} hosts, not {self.nodes}"
                    raise HostError(
                        message, hint=f"tri hosts down --name {self.lab_name}, then up again; or use another lab name"
                    )
                elif lab.regions != self.regions:
                    message = f"lab {self.lab_name!r} is up with other regions, or with something else between them"
                    raise HostError(
                        message, hint=f"tri hosts down --name {self.lab_name}, then up again; or use another lab name"
                    )
                else:
                    self._hold()
            self._make_ready()
            if created and self.regions is not None:
                self.measured = measure.require(self.regions, self.hosts, self.socket_at)
        except BaseException:
            if created:
                self.down()
            raise
        return self.hosts

    def down(self) -> None:
        """Remove everything: processes, namespaces, files. Works also for a lab whose supervisor was killed, or that never existed."""
        self.close()
        if self._lab.exists() or self._process is not None:
            with state.exclusive(self._base, self.lab_name, timeout_s=120.0):
                self._remove()
        self.hosts, self._clients = (), None

    def close(self) -> None:
        """Drop connections and stop renewing; the lab goes on until its lease ends."""
        self._closed.set()
        for host in (*self.hosts, *([self._clients] if self._clients else [])):
            host.close()
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def status(self) -> dict[str, Any]:
        """Return the supervisor's status: `name`, `lease_s`, `lease_left_s`, `between`, `hosts` with `name address address6 on frozen boots`."""
        return self._ask({"do": "status"})

    def renew(self) -> None:
        self._ask({"do": "renew"})

    def power_off(self, *hosts: str, lease_s: float | None = None) -> None:
        """Cut the power, as if their plugs were pulled: peers see silence, and everything but the disks is lost. With a lease they boot when it ends."""
        self._ask({"do": "power_off", "hosts": hosts, "lease_s": lease_s})
        for host in self._known(hosts):
            host.close()

    def boot(self, *hosts: str) -> None:
        """Power on again, and wait until one can log in and the boot hooks have ended."""
        self._ask({"do": "boot", "hosts": hosts})
        on_all(self._known(hosts), self._await_boot).require("booting local hosts")

    def freeze(self, *hosts: str, lease_s: float | None = None) -> None:
        """Stop every process on them. With a lease they go on when it ends."""
        self._ask({"do": "freeze", "hosts": hosts, "lease_s": lease_s})

    def thaw(self, *hosts: str) -> None:
        self._ask({"do": "thaw", "hosts": hosts})
        on_all(self._known(hosts), self._await_login).require("going on with frozen hosts")

    def renew_outages(self, lease_s: float) -> Sequence[str]:
        held: list[str] = self._ask({"do": "renew_outages", "lease_s": lease_s})["held"]
        return held

    def _known(self, names: Sequence[str]) -> list[RemoteHost]:
        return [host for host in self.hosts if host.name in names]

    def _await_boot(self, host: RemoteHost) -> None:
        host.close()
        self._await_login(host)
        until = "until [ -e /run/booted ]; do sleep 0.02; done"
        waiting = f"timeout {self.boot_hooks_s} sh -c {shlex.quote(until)}; cat /run/booted"
        said = host.run(waiting, timeout_s=self.boot_hooks_s + 20, check=False)
        if said.exit_code or said.stdout:
            what = said.stdout.strip() if said.stdout else f"they did not end within {self.boot_hooks_s} s"
            hint = f"they are in {DIRECTORY}/boot.d; what they printed is in {self._lab}/hosts/{host.name}/console.log"
            raise HostError(f"{host.name}: boot hooks failed: {what}", hint=hint)

    def dial(
        self, address: str, port: int, *, timeout_s: float, client: str = CLIENTS, kind: int = socket.SOCK_STREAM
    ) -> socket.socket:
        if client != CLIENTS:
            raise OSError(f"no client place {client!r} in lab {self.lab_name!r}, only {CLIENTS!r}")
        return self._dial_from(CLIENTS, address, port, timeout_s, kind)

    @property
    def late_ns(self) -> int:
        return self.regions.late_ns if self.regions else 0

    def distances(self) -> Mapping[str, str]:
        return {"-".join(one.pair): one.described() for one in self.measured}

    def client_host(self) -> RemoteHost | None:
        return self._clients

    def _create(self) -> None:
        launch.check_programs()
        launch.check_namespaces()
        self._make_directory()
        try:
            launch.write_lab(self._lab, self.lab_name, self.nodes, self.lease_s, self.regions)
            self._process = launch.start_supervisor(self._lab, timeout_s=90.0)
        except BaseException:
            # Ctrl-C may come when the supervisor has answered and is not yet in `_process`.
            self._remove()
            raise

    def _remove(self) -> None:
        """Remove the lab: its supervisor if it runs, then its files. A supervisor that does not listen yet ends when its directory is gone."""
        if state.is_alive(self._lab):
            with contextlib.suppress(FileNotFoundError):
                self._take_down()
        if self._lab.exists():
            leftovers.remove(self._lab)
        if self._process is not None:
            self._process.wait(timeout=ANSWER_TIMEOUT_S)
            self._process = None

    def _make_directory(self) -> None:
        """Make the directory of the new lab, in use from the start; what killed processes left is removed first."""
        if self._lab.exists():
            leftovers.remove(self._lab)
        leftovers.sweep(self._base, but=self.lab_name)
        self._lab.mkdir(mode=0o700)
        self._hold()

    def _hold(self) -> None:
        if self._held is None:
            self._held = leftovers.hold(self._lab, self.kept)

    def _make_ready(self) -> None:
        self.renew()
        found = self.status()["hosts"]
        for verb, names in (
            ("boot", [host["name"] for host in found if not host["on"]]),
            ("thaw", [host["name"] for host in found if host["frozen"]]),
        ):
            if names:
                self._ask({"do": verb, "hosts": names})
        self._connect()
        self._start_renewing()

    def _connect(self) -> None:
        """Make host objects, and log in to each; existing ones are kept."""
        host_key = (self._lab / "ssh" / "host_key.pub").read_text()
        # Another key means another lab of the same name: the lab of these hosts is gone.
        if self._clients is None or self._clients.target.host_key != host_key:
            self._python = launch.find_python()
            user = state.read_settings(self._lab)["user"]
            every = machines(self.nodes, self.regions)
            *self.hosts, self._clients = (self._host(machine, user, host_key) for machine in every)
            clients = every[-1]
            self.client_addresses = {CLIENTS: (clients.address, clients.address6)}
        on_all([*self.hosts, self._clients], self._await_login).require("logging in to local hosts")

    def _host(self, machine: Machine, user: str, host_key: str) -> RemoteHost:
        def open_socket(timeout_s: float) -> socket.socket:
            return self._dial_from(None, machine.address, SSH_PORT, timeout_s, socket.SOCK_STREAM)

        target = Target(
            name=machine.name,
            address=machine.address,
            port=SSH_PORT,
            user=user,
            key=self._lab / "key",
            host_key=host_key,
            open_socket=open_socket,
            max_channels=64,
        )
        control = (machine.subnet.gateway, SSH_PORT)
        return RemoteHost(target, directory=DIRECTORY, python=self._python, control=control, wrap=False)

    def _await_login(self, host: RemoteHost, timeout_s: float = 60.0) -> None:
        """Log in: sshd needs a moment to listen, and a host that lost its power in the meantime never answers."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            try:
                host.run("true", timeout_s=timeout_s)
                return
            except HostError as error:
                on = {known["name"]: known["on"] for known in self.status()["hosts"]}[host.name]
                if not on:
                    console = end_of(self._lab / "hosts" / host.name / "console.log", 500)
                    raise HostError(
                        f"{host.name} did not boot: {console}", hint="`tri doctor --hosts local` tries each part"
                    ) from None
                booting = isinstance(error, ConnectError) and error.reason in ("refused", "banner", "lost", "timeout")
                if not booting or time.monotonic() > deadline_s:
                    raise
            time.sleep(0.01)

    def _start_renewing(self) -> None:
        self._closed.set()
        self._closed = threading.Event()
        threading.Thread(target=self._renew_until, args=(self._closed,), name="lab-lease", daemon=True).start()

    def _renew_until(self, closed: threading.Event) -> None:
        while not closed.wait(self.lease_s / 4):
            try:
                self.renew()
            except HostError:
                # A supervisor that is slow to answer is asked again. When the lab is gone, its next use reports it.
                if not state.is_alive(self._lab):
                    return

    def _dial_from(self, place: str | None, address: str, port: int, timeout_s: float, kind: int) -> socket.socket:
        """Return a socket made in the lab and connected here."""
        made = self.socket_at(place, socket.AF_INET6 if ":" in address else socket.AF_INET, kind, timeout_s)
        try:
            if kind == socket.SOCK_STREAM:
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made.connect((address, port))
        except BaseException:
            made.close()
            raise
        return made

    def socket_at(self, place: str | None, family: int, kind: int, timeout_s: float) -> socket.socket:
        """A new socket in the network of that host, or of the controller (None)."""
        return wire.socket_at(self._lab, place, family, kind, timeout_s)

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            with contextlib.closing(wire.connect(self._lab, ANSWER_TIMEOUT_S)) as supervisor:
                wire.send(supervisor, request)
                answer, _ = wire.receive(supervisor)
        except (OSError, wire.WireError) as error:
            message = f"lab {self.lab_name!r} in {self._lab}: its supervisor does not answer ({error})"
            raise HostError(message, hint="it is down, or was killed, or its lease ended: tri hosts up") from None
        if not answer.get("ok"):
            raise HostError(
                f"lab {self.lab_name!r}: {request['do']}: {answer.get('error')}",
                hint=f"tri hosts down --name {self.lab_name}, then up again",
            )
        return answer

    def _take_down(self) -> None:
        """Send `down` to the supervisor, and wait for the end of the connection: it comes when the lab is gone. If the supervisor hangs, kill it."""
        try:
            connection = wire.connect(self._lab, ANSWER_TIMEOUT_S)
        except TimeoutError as error:
            hint = f"look at {self._lab}/supervisor.log; without commands, it ends with its lease"
            raise HostError(f"lab {self.lab_name!r}: its supervisor does not answer ({error})", hint) from None
        with contextlib.closing(connection) as supervisor:
            pid = wire.peer_pid(supervisor)
            try:
                wire.send(supervisor, {"do": "down"})
                wire.receive(supervisor)
                supervisor.recv(1)
            except (OSError, wire.WireError):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        deadline_s = time.monotonic() + ANSWER_TIMEOUT_S
        while state.is_alive(self._lab):
            if time.monotonic() > deadline_s:
                hint = f"look at {self._lab}/supervisor.log, and at process {pid}"
                raise HostError(f"lab {self.lab_name!r}: its supervisor {pid} does not end", hint=hint)
            time.sleep(0.01)
