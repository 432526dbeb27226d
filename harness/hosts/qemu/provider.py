"""Emulated machines on this machine: real kernels, systemd, clocks and disks of their own, without a cloud.

    with contextlib.closing(QemuProvider(nodes=3)) as lab:
        for host in lab.up():
            print(host.run("uname -r").stdout)
        lab.down()

A detached supervisor with a lease holds the lab, as for local hosts (`..local`); it is found by its name. It also writes an inventory,
`<lab>/<lab's name>.yaml`, with which every other command uses the machines like any remote ones: this machine has an address in the lab's subnet,
by a cable that is removed with the lab. Needs root. Building the image takes minutes, once.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import yaml

from tribulation.histories.files.opening import write_whole

from ...errors import HostError
from ..errors import CommandError, ConnectError
from ..local import launch
from ..local.layout import state
from ..local.layout.layout import check_names
from ..local.provider import LEASE_S, LocalProvider
from ..parallel import on_all
from ..programs import end_of, run_program
from ..ssh.provider import CLIENTS, SshProvider
from ..ssh.remote import RemoteHost
from . import image
from .plan import DIRECTORY, SUBNETS, cable_lines, link_of, machines
from .seed import seed

BOOT_S = 300.0
"""An emulated boot takes 15 to 30 s on an idle machine, and longer when many boot at once."""
BOOT_HOOKS_S = 240
PYTHON = "/usr/bin/python3"
"""The full path. Where `tri` runs by the same interpreter, archives are sent to the machines compiled: emulated machines take long to compile them
(`bytecode`).
"""
_BOOTING = ("refused", "banner", "lost", "timeout", "unreachable")
_TRY_AGAIN_S = 0.5
LOGINS = 4
COPY_S = 300.0


def lab_directory() -> Path:
    """Return where labs of emulated machines are kept, below those of local hosts; no local lab's name begins with a dot."""
    return state.default_directory() / ".qemu"


def list_machine_labs() -> list[state.Lab]:
    """List this user's labs of emulated machines, by name."""
    return state.list_labs(lab_directory())


class QemuProvider(LocalProvider):
    """`Provider` and `Powered`. `clock: system` lets clock faults set the machines' own clocks, which are theirs alone."""

    name = "qemu"
    boot_hooks_s = BOOT_HOOKS_S

    def __init__(
        self,
        nodes: int = 3,
        name: str = "default",
        directory: str | Path | None = None,
        lease_s: float = LEASE_S,
        clock: Literal["library", "system"] = "library",
        kept: bool = False,
    ) -> None:
        super().__init__(nodes, name, directory or lab_directory(), lease_s, kept=kept)
        self.clock = clock
        self._ssh: SshProvider | None = None
        self._borrowed = False

    @classmethod
    def find(cls, name: str = "default", directory: str | Path | None = None) -> QemuProvider:
        check_names(name, nodes=1)
        lab = state.find_lab(Path(directory) if directory else lab_directory(), name)
        if not lab.alive or not lab.nodes:
            raise HostError(f"no lab {name!r} is up in {lab.directory.parent}", hint="tri hosts up --hosts qemu")
        settings = state.read_settings(lab.directory)
        return cls(lab.nodes, name, directory, settings["lease_s"], settings["clock"])

    def up(self) -> Sequence[RemoteHost]:
        if self._base == lab_directory():
            # Local hosts require it to be private, whichever provider made it.
            state.private_directory(self._base.parent)
        return super().up()

    @property
    def inventory(self) -> Path:
        """File for every command that takes an inventory; it exists as long as the lab."""
        return self._lab / f"{self.lab_name}.yaml"

    @property
    def accelerator(self) -> str:
        return str(state.read_settings(self._lab)["accelerator"])

    def dial(
        self, address: str, port: int, *, timeout_s: float, client: str = CLIENTS, kind: int = socket.SOCK_STREAM
    ) -> socket.socket:
        return self._reached().dial(address, port, timeout_s=timeout_s, client=client, kind=kind)

    def client_host(self) -> None:
        """Clients run where the harness runs."""
        return None

    def close(self) -> None:
        super().close()
        if self._ssh is not None:
            self._ssh.close()

    def borrowed(self) -> QemuProvider:
        """Return this provider as one whose `down` only closes connections: the lab belongs to another process."""
        self._borrowed = True
        return self

    def down(self) -> None:
        if self._borrowed:
            self.close()
            return
        with contextlib.suppress(OSError, ValueError, KeyError, HostError):
            link = link_of(int(state.read_settings(self._lab)["subnet"]))
            # It would be removed with the lab's namespace, some time later.
            run_program(["ip", "link", "del", link], env=launch.environment(), timeout_s=20)
        super().down()
        self._ssh = None

    def _reached(self) -> SshProvider:
        if self._ssh is None:
            self._ssh = SshProvider.from_file(self.inventory)
        return self._ssh

    def _create(self) -> None:
        image.check_machine()
        made = image.image(self._base)
        self._make_directory()
        try:
            # Two labs that begin at once must not take the same addresses.
            with state.exclusive(self._base, ".subnets", timeout_s=image.TRIAL_S + 60):
                subnet = free_subnet(run_program(["ip", "-j", "addr"], env=launch.environment(), timeout_s=20).stdout)
                self._write(made, subnet)
                self._process = launch.start_supervisor(
                    self._lab, timeout_s=90.0, module=f"{__package__}.supervisor", kind="qemu"
                )
                self._plug(subnet, self._process.pid)
        except BaseException:
            self._remove()
            raise

    def _write(self, made: Path, subnet: int) -> None:
        """Write all files of a new lab: keys, disks, inventory; the description last."""
        boot = image.boot_of(made)
        launch.generate_key(self._lab / "key")
        authorized = (self._lab / "key.pub").read_text()
        known_hosts = []
        all_machines = machines(self.nodes, subnet)
        for machine in all_machines:
            own = self._lab / "hosts" / machine.name
            own.mkdir(parents=True)
            launch.generate_key(own / "host_key")
            private = (own / "host_key").read_text()
            (own / "seed.tar").write_bytes(seed(machine, all_machines, subnet, authorized, private))
            known_hosts.append(f"{machine.address} {(own / 'host_key.pub').read_text().strip()}")
            _copy(made / "root.raw", own / "disk.raw")
        write_whole(self._lab / "known_hosts", "\n".join(known_hosts) + "\n")
        hosts = [
            {
                "name": machine.name,
                "address": machine.address,
                "user": "root",
                "key": str(self._lab / "key"),
                "directory": DIRECTORY,
                "python": PYTHON,
                "clock": self.clock,
            }
            for machine in all_machines
        ]
        document = {"consent": True, "known_hosts": str(self._lab / "known_hosts"), "hosts": hosts}
        write_whole(
            self.inventory,
            "# Emulated machines of this lab, made to be harmed.\n" + yaml.safe_dump(document, sort_keys=False),
        )
        settings = {
            "name": self.lab_name,
            "nodes": self.nodes,
            "lease_s": self.lease_s,
            "subnet": subnet,
            "clock": self.clock,
            "kernel": str(boot.kernel),
            "accelerator": boot.accelerator,
        }
        (self._lab / "lab.json.new").write_text(json.dumps(settings))
        (self._lab / "lab.json.new").rename(self._lab / "lab.json")

    def _plug(self, subnet: int, supervisor_pid: int) -> None:
        lines = "\n".join(cable_lines(subnet, supervisor_pid)) + "\n"
        done = run_program(["ip", "-batch", "-"], stdin=lines, env=launch.environment(), timeout_s=20)
        if done.exit_code:
            what = f"no network link into lab {self.lab_name!r}: {done.stderr.strip()[-300:]}"
            raise HostError(what, hint=f"is a link {link_of(subnet)} left over? `ip link del` removes it")
        self._ask({"do": "plug"})

    def _connect(self) -> None:
        reached = self._reached()
        waiting = reached.make_hosts()
        try:
            on_all(waiting, self._await_login).require("waiting for emulated machines to boot")
        finally:
            for host in waiting:
                host.close()
        self.hosts = tuple(_log_in(reached))
        self.client_addresses: Mapping[str, Sequence[str]] = dict(reached.client_addresses)

    def _await_login(self, host: RemoteHost, timeout_s: float = BOOT_S) -> None:
        deadline_s = time.monotonic() + timeout_s
        while True:
            try:
                host.run("true", timeout_s=20.0)
                return
            except HostError as error:
                on = {known["name"]: known["on"] for known in self.status()["hosts"]}[host.name]
                late = isinstance(error, CommandError) and error.command_exit_code is None
                booting = late or (isinstance(error, ConnectError) and error.reason in _BOOTING)
                if not (on and booting) or time.monotonic() > deadline_s:
                    hint = f"its console is {self._lab}/hosts/{host.name}/console.log, and ends: {self._console(host.name)}"
                    raise HostError(f"{host.name} did not boot: {error.message}", hint) from None
            time.sleep(_TRY_AGAIN_S)

    def _console(self, name: str) -> str:
        with contextlib.suppress(OSError):
            return end_of(self._lab / "hosts" / name / "console.log", 300)
        return "(nothing)"


def _log_in(reached: SshProvider) -> Sequence[RemoteHost]:
    """Log in, with further tries: a busy emulated machine takes longer than a login may."""
    for _ in range(LOGINS - 1):
        with contextlib.suppress(HostError):
            return reached.up()
        time.sleep(_TRY_AGAIN_S)
    return reached.up()


def free_subnet(addresses: str | bytes) -> int:
    """Return the first of our subnets on which this machine has no address yet. `addresses` is the output of `ip -j addr`."""
    taken = {info.get("local", "") for link in json.loads(addresses) for info in link.get("addr_info", [])}
    for subnet in SUBNETS:
        if not any(address.startswith(f"10.79.{subnet}.") for address in taken):
            return subnet
    raise HostError("every subnet of 10.79.0.0/16 is in use on this machine", hint="tri hosts down")


def _copy(base: Path, disk: Path) -> None:
    """Copy sparsely, and share data with the image where the file system can."""
    command = ["cp", "--reflink=auto", "--sparse=always", str(base), str(disk)]
    done = run_program(command, env=launch.environment(), timeout_s=COPY_S)
    if done.exit_code:
        raise HostError(f"no disk at {disk}: {done.stderr.strip()[-300:]}", hint="is there free space on that disk?")
