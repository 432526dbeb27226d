"""An inventory: real machines that faults may be injected into, in a YAML file in which their owner consents.

    consent: true
    hosts:
      - {name: n1, address: 203.0.113.11, user: root, key: ~/.ssh/id_ed25519}
      - {name: n2, address: 203.0.113.12, port: 2222, user: debian, sudo: true}

Reads and checks it, and reports all mistakes at once; opens no connection. docs/reference/hosts.md describes each field.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator

from ...errors import CampaignError, shown
from ...user_files.bounded_model import BoundedModel
from ...user_files.measured import PositiveDuration
from ...user_files.yaml_loader import Problem, load_yaml, validate
from .places import Jump, at_peers, normal, place

MOST_BYTES = 1 << 20
"""Size limit of a key, and of the known hosts."""
DEFAULT_DIRECTORY = "/var/tmp/tribulation"
DEFAULT_LOGIN_TIMEOUT_NS = 10 * 10**9
NAME = r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?"
RESERVED = ("clients", "controller")
CONSENT = "must be `true`: faults will be injected into these machines. Write it only if all of them may lose network, processes and data"
DIRECT = "none"


def _shown(text: str) -> str:
    """Text that goes into lines of units, hooks and listings on hosts."""
    if not text.isprintable() or "\\" in text:
        raise ValueError("must have no control character and no backslash")
    return text


Printable = Annotated[str, AfterValidator(_shown)]


def _jump(text: str) -> str:
    if text != DIRECT:
        Jump.parse(text)
    return text


JumpText = Annotated[str, AfterValidator(_jump)]


class InventoryHost(BoundedModel):
    """One machine. `address` is where the other hosts and the clients reach it; one logs in there too, or at `login`."""

    name: str = Field(pattern=f"^{NAME}$")
    address: Annotated[str, AfterValidator(at_peers)]
    login: Annotated[str, AfterValidator(place)] | None = None
    port: int = Field(default=22, ge=1, le=65535)
    user: Printable | None = Field(default=None, min_length=1)
    key: Path | None = None
    jump: JumpText | None = None
    """The bastion through which one logs in, `user@host:port`; `none` where the inventory's does not apply."""
    sudo: bool = False
    directory: Printable = DEFAULT_DIRECTORY
    python: Printable = Field(default="python3", min_length=1)
    clock: Literal["library", "system"] = "library"
    """The clock that clock faults change: the time that a preloaded library shows to the service, or the machine's own clock, for all that runs there."""
    login_timeout: PositiveDuration = DEFAULT_LOGIN_TIMEOUT_NS
    """Time limit for each step of a login: the connection, the greeting, the key, the first command."""

    @field_validator("name")
    @classmethod
    def _not_reserved(cls, name: str) -> str:
        if name in RESERVED:
            raise ValueError(f"reserved: {' and '.join(RESERVED)} are names of other places in the network")
        return name

    @field_validator("directory")
    @classmethod
    def _own_directory(cls, directory: str) -> str:
        # It is made, filled and removed: it must be one of ours, and never the root or a system folder.
        path = Path(directory)
        if not path.is_absolute() or len(path.parts) < 3 or ".." in path.parts:
            raise ValueError("must be an absolute path at least two levels deep, such as /var/tmp/tribulation")
        return directory.rstrip("/")


class Inventory(BoundedModel):
    """`known_hosts` is where the machines' keys are looked up; default is the user's own file. `jump` is the bastion of all hosts without their own."""

    consent: bool
    hosts: tuple[InventoryHost, ...] = Field(min_length=1)
    known_hosts: Path | None = None
    jump: JumpText | None = None
    firewall: bool = False
    """Whether `tri deploy up` opens the machines' own firewalls for the cluster."""

    @field_validator("consent")
    @classmethod
    def _given(cls, consent: bool) -> bool:
        if not consent:
            raise ValueError(CONSENT)
        return consent

    def jump_of(self, host: InventoryHost) -> Jump | None:
        """The bastion before this host, if there is one."""
        text = host.jump or self.jump
        return None if text is None or text == DIRECT else Jump.parse(text)


def load_inventory(path: str | Path) -> Inventory:
    """The inventory at `path`; its relative paths start at its own folder. Raises `CampaignError` with all mistakes."""
    data, positions = load_yaml(path)
    inventory = validate(Inventory, data, positions, path, further=_duplicates)
    folder = Path(path).parent
    hosts = tuple(host.model_copy(update={"key": _file(folder, host.key, path)}) for host in inventory.hosts)
    return inventory.model_copy(update={"hosts": hosts, "known_hosts": _file(folder, inventory.known_hosts, path)})


def _file(folder: Path, given: Path | None, inventory: str | Path) -> Path | None:
    """The file as an absolute path. A missing one is reported where it is used; a pipe or a device would be read without end."""
    if given is None:
        return None
    try:
        found = folder / given.expanduser()
        special = found.exists() and not found.is_file() and str(found) != os.devnull
        large = found.is_file() and found.stat().st_size > MOST_BYTES
    except (OSError, RuntimeError) as error:  # a name that is too long, a loop of links, `~` of no user
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise CampaignError(
            f"{inventory}: {shown(str(given))} is not a path that can be read: {why}",
            hint="`key` and `known_hosts` name files",
        ) from error
    if special:
        raise CampaignError(f"{inventory}: {given} is not a regular file", hint="`key` and `known_hosts` name files")
    if large:
        raise CampaignError(f"{inventory}: {given} has more than {MOST_BYTES} bytes", hint="is it the right file?")
    return found


def _duplicates(data: Any) -> list[Problem]:
    """Entries with the same name, which would be one node twice; or with the same address or login, which would be one machine twice."""
    problems: list[Problem] = []
    if not isinstance(data, dict) or not isinstance(data.get("hosts"), list):
        return problems
    seen: dict[tuple[str, str], int] = {}
    for index, host in enumerate(data["hosts"]):
        for field, value, with_port in _unique(host) if isinstance(host, dict) else ():
            first = seen.setdefault((field, value), index)
            if first != index:
                message = f"already used by hosts[{first}]" + (" with the same port" if with_port else "")
                hint = "each host needs its own name, address and login"
                problems.append(Problem(("hosts", index, field), message, host[field], True, hint=hint))
    return problems


def _unique(host: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """Fields that must be unique: the field, its value in one spelling, and whether a port belongs to it."""
    if host.get("name") is not None:
        yield "name", repr(host["name"]), False
    if host.get("address") is not None:
        yield "address", normal(str(host["address"])), False
    if host.get("login") is not None:
        # Behind different bastions, equal addresses are different machines.
        yield "login", repr((normal(str(host["login"])), host.get("port", 22), host.get("jump"))), True
