"""Machines of the Vagrantfile at the top of the project: made if necessary, queried for how to reach them, then used like any inventory.

    provider = VagrantProvider(nodes=3)       # n1, n2, n3
    for host in provider.up(): …

The harness, the other machines and the clients reach a machine at its address in the private network, at port 22, with the login and the key from `vagrant
ssh-config`. The machine itself reports its host keys, through Vagrant's own login. The result is kept as an inventory, `.vagrant/tribulation/vagrant.yaml`,
for every command that takes one. `down` only closes connections: machines take minutes to create, and stay.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import paramiko
import yaml

import tribulation
from tribulation.histories.files.opening import write_whole

from ...errors import HostError
from ..programs import Ended, run_program
from .provider import CLIENTS, SshProvider
from .remote import RemoteHost

UP_S = 3600.0
ASK_S = 180.0
ADDRESS_FILE = "/etc/tribulation/address"
"""A file on each machine, written by the Vagrantfile's provisioning."""
RUNNING = "running"
_INSTALL = "apt install vagrant vagrant-libvirt libvirt-daemon-system (or VirtualBox)"


@dataclass(frozen=True, slots=True)
class Login:
    """The login to a machine according to `vagrant ssh-config`. Its address there may be one that only this machine can reach."""

    name: str
    user: str
    key: str


@dataclass(frozen=True, slots=True)
class Described:
    """A machine's own report: the address at which others reach it, and its public host keys, `"ssh-ed25519 AAAA…"`."""

    address: str
    host_keys: Sequence[str]


class VagrantProvider:
    """`Provider` over machines of a Vagrantfile in `directory`; default: the nearest one above the working directory, else the project's own.

    `nodes` None: all running ones; else missing or halted machines are brought up. `clock: system` lets clock faults set their own clocks.
    """

    name = "vagrant"
    capabilities = SshProvider.capabilities

    def __init__(
        self,
        nodes: int | None = None,
        directory: str | Path | None = None,
        clock: Literal["library", "system"] = "library",
    ) -> None:
        self.nodes = nodes
        self.directory = Path(directory) if directory else find_vagrantfile()
        self.clock = clock
        self.client_addresses: Mapping[str, Sequence[str]] = {}
        self._ssh: SshProvider | None = None

    @property
    def inventory(self) -> Path:
        """File that `up` writes."""
        return self.directory / ".vagrant" / "tribulation" / "vagrant.yaml"

    @property
    def hosts(self) -> Sequence[RemoteHost]:
        return self._ssh.hosts if self._ssh is not None else ()

    def up(self) -> Sequence[RemoteHost]:
        if not self.hosts:
            names = self._running()
            logins = {login.name: login for login in parse_ssh_config(self._vagrant("ssh-config", *names), names)}
            described = {name: parse_described(name, self._vagrant("ssh", name, "-c", ASK)) for name in names}
            self._write([logins[name] for name in names], described)
            self._ssh = SshProvider.from_file(self.inventory)
            self._ssh.up()
            self.client_addresses = self._ssh.client_addresses
        return self.hosts

    def down(self) -> None:
        """Close connections. Machines stay: `tri hosts down --hosts vagrant` halts them, `vagrant destroy` removes them."""
        self.close()

    def close(self) -> None:
        if self._ssh is not None:
            self._ssh.close()
        self._ssh, self.client_addresses = None, {}

    def halt(self) -> None:
        """Halt them cleanly; the data on their disks stays."""
        self._vagrant("halt", timeout_s=UP_S)

    def dial(
        self, address: str, port: int, *, timeout_s: float, client: str = CLIENTS, kind: int = socket.SOCK_STREAM
    ) -> socket.socket:
        if self._ssh is None:
            raise ConnectionAbortedError("Vagrant's machines are not connected")
        return self._ssh.dial(address, port, timeout_s=timeout_s, client=client, kind=kind)

    def client_host(self) -> None:
        """Clients run where the harness runs."""
        return None

    def _running(self) -> list[str]:
        """The names of the requested machines, all of them running now."""
        states = parse_status(self._vagrant("status", "--machine-readable"))
        wanted = list(states) if self.nodes is None else [f"n{i + 1}" for i in range(self.nodes)]
        if self.nodes is None:
            wanted = [name for name in wanted if states[name] == RUNNING]
            if not wanted:
                raise HostError(f"no machine of {self.directory}/Vagrantfile is running", hint="vagrant up")
        if any(states.get(name) != RUNNING for name in wanted):
            self._bring_up(wanted)
        return wanted

    def _bring_up(self, names: Sequence[str]) -> None:
        """Bring machines up, which takes minutes; Vagrant's output goes to the terminal."""
        self._vagrant("up", *names, timeout_s=UP_S, show=True)

    def _vagrant(self, *words: str, timeout_s: float = ASK_S, show: bool = False) -> str:
        if shutil.which("vagrant") is None:
            raise HostError("vagrant is not installed on this machine", hint=_INSTALL)
        nodes = {} if self.nodes is None else {"TRI_NODES": str(self.nodes)}
        env = {"TRI_NODES": str(self._made()), **os.environ, **nodes}
        by_hand = f"try it by hand in {self.directory}"
        if show:
            done = self._shown(words, env, timeout_s, by_hand)
        else:
            done = run_program(["vagrant", *words], cwd=self.directory, env=env, timeout_s=timeout_s, hint=by_hand)
        if done.exit_code:
            said = "" if show else f": {(done.stderr or done.stdout).strip()[-500:]}"
            what = f"`vagrant {' '.join(words[:2])}` exited with {done.exit_code}{said}"
            raise HostError(what, hint=f"in {self.directory}: `vagrant status` shows each machine; {_INSTALL}")
        return done.stdout

    def _shown(self, words: Sequence[str], env: Mapping[str, str], timeout_s: float, hint: str) -> Ended:
        """Run it in the terminal, where Ctrl-C reaches it."""
        try:
            command, stdin = ["vagrant", *words], subprocess.DEVNULL
            done = subprocess.run(command, cwd=self.directory, env=env, stdin=stdin, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            what = f"`vagrant {' '.join(words[:2])}` did not end within {timeout_s:g} s"
            raise HostError(what, hint=hint) from None
        return Ended(done.returncode, "", "")

    def _made(self) -> int:
        """The number of machines that Vagrant has made here, at least one: a Vagrantfile that defines fewer would hide the others."""
        made = [path.name for path in (self.directory / ".vagrant" / "machines").glob("n*")]
        return max([1, *(int(name[1:]) for name in made if name[1:].isdecimal())])

    def _write(self, logins: Sequence[Login], described: Mapping[str, Described]) -> None:
        folder = self.inventory.parent
        folder.mkdir(parents=True, exist_ok=True)
        known = [
            f"{described[login.name].address} {key}" for login in logins for key in described[login.name].host_keys
        ]
        write_whole(folder / "known_hosts", "\n".join(known) + "\n")
        write_whole(self.inventory, yaml.safe_dump(inventory_of(logins, described, self.clock), sort_keys=False))


ASK = f"cat {ADDRESS_FILE} && cat /etc/ssh/ssh_host_*_key.pub"


def find_vagrantfile(start: Path | None = None) -> Path:
    """The directory that `vagrant` would use from here, or the project's own."""
    here = start or Path.cwd()
    for directory in (here, *here.parents, Path(tribulation.__file__).parents[1]):
        if (directory / "Vagrantfile").is_file():
            return directory
    raise HostError(
        f"there is no Vagrantfile in {here} or above it", hint="run from the project's folder, which has one"
    )


def parse_ssh_config(text: str, names: Sequence[str]) -> list[Login]:
    """Parse `vagrant ssh-config`: OpenSSH's own format, so paramiko reads it."""
    config = paramiko.SSHConfig.from_file(io.StringIO(text))
    logins = []
    for name in names:
        found = config.lookup(name)
        keys = [key.strip('"') for key in found.get("identityfile", [])]
        if name not in config.get_hostnames() or "user" not in found or not keys:
            raise HostError(f"vagrant ssh-config shows no user and key for {name}", hint=f"vagrant up {name}")
        logins.append(Login(name, found["user"], keys[0]))
    return logins


def parse_status(text: str) -> dict[str, str]:
    """State by machine, from `vagrant status --machine-readable`: lines of `time,machine,kind,data`."""
    fields = [line.split(",") for line in text.splitlines()]
    return {field[1]: field[3] for field in fields if len(field) > 3 and field[2] == "state" and field[1]}


def parse_described(name: str, text: str) -> Described:
    """Parse a machine's answer to `ASK`."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    keys = [" ".join(line.split()[:2]) for line in lines if re.match(r"(ssh|ecdsa|sk)-\S+ \S", line)]
    address = next((line for line in lines if re.fullmatch(r"[0-9a-fA-F.:]+", line)), None)
    if address is None or not keys:
        hint = f"was it made by the project's Vagrantfile? `vagrant provision {name}` writes {ADDRESS_FILE}"
        raise HostError(f"{name} does not report its address and its host keys: {text.strip()[-200:]!r}", hint)
    return Described(address, keys)


def inventory_of(logins: Sequence[Login], described: Mapping[str, Described], clock: str) -> dict[str, Any]:
    """The inventory of these machines; they were made for faults, so consent is given."""
    hosts = [
        {
            "name": login.name,
            "address": described[login.name].address,
            "user": login.user,
            "key": login.key,
            "sudo": login.user != "root",
            "python": "/usr/bin/python3",
            "clock": clock,
        }
        for login in logins
    ]
    return {"consent": True, "known_hosts": "known_hosts", "hosts": hosts}
