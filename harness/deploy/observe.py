"""The state of a host, as far as deployment needs it: read by one command, changing nothing (`look.py` runs there)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import msgspec
from cryptography import x509

from ..hosts.base import Host
from ..hosts.printed import object_in, parsed_json, understood
from ..systems.reference.system import TLS_FILES, ReferenceService
from . import firewall, unit

MADE = "deployed.json"
"""In a host's directory: the record of everything that deployment creates outside of the service's folder, written before it is created, so that all of it can be removed."""


Port = tuple[str, int, str]
"""`tcp` or `udp`, its number, and its address; an empty one means all."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A port that is in use. `who` is empty if the login may not see the process."""

    kind: str
    port: int
    who: str
    ours: bool


@dataclass(frozen=True, slots=True)
class Made:
    """The things that deployment created outside of the service's folder: folders, from the topmost down, and whether it created the system user."""

    folders: Sequence[str] = ()
    user: bool = False

    def to_json(self) -> str:
        return json.dumps({"folders": list(self.folders), "user": self.user}) + "\n"


@dataclass(frozen=True, slots=True)
class Observed:
    """`missing` are the folders to be created, the topmost first, in `nearest`; `writable` refers to the login itself.

    `files` maps a name in the service's folder to its digest. `node` and `supervisor` are process numbers, `node_s` is for how long the node has run. `unit` is the text of our systemd unit, `active` and
    `enabled` its state by systemctl. `rules` is the firewall as JSON, empty if it cannot be read.
    """

    executable: str = "/usr/bin/python3"
    root: bool = True
    sudo: bool = False
    missing: Sequence[str] = ()
    nearest: str = "/"
    writable: bool = True
    entered: bool = True
    free_mib: int = 1 << 20
    systemd: bool = False
    files: Mapping[str, str] = field(default_factory=dict)
    folder: bool = False
    config: str = ""
    certificate: str = ""
    node: int | None = None
    node_s: float | None = None
    supervisor: int | None = None
    kept_down: bool = False
    ports: Sequence[Taken] = ()
    unit: str = ""
    active: str = ""
    enabled: str = ""
    user: bool = False
    made: Made | None = None
    rules: str = ""

    @property
    def by_unit(self) -> bool:
        """Whether systemd runs the node on this host, or could run it."""
        return self.systemd and (self.root or self.sudo)

    def certified_until(self) -> datetime | None:
        """The end of the validity of the node's certificate; None without a readable one."""
        try:
            return x509.load_pem_x509_certificate(self.certificate.encode()).not_valid_after_utc
        except ValueError:
            return None


def observe(host: Host, service: ReferenceService, names: Sequence[str], ports: Sequence[Port]) -> Observed:
    """Inspect a host. `names` are files in the service's folder, `ports` are those that the node will use."""
    asked = {
        "directory": host.directory.rstrip("/"),
        "folder": service.control_of(host).directory,
        "names": list(names),
        "ports": [list(port) for port in ports],
        "unit": unit.PATH,
        "user": unit.USER,
        "certificate": TLS_FILES["certificate"],
        "made": f"{host.directory.rstrip('/')}/{MADE}",
    }
    script = Path(__file__).with_name("look.py").read_text(encoding="utf-8")
    command = [*host.sudo, host.python, "-I", "-S", "-c", script, json.dumps(asked)]
    said = host.run(command, timeout_s=60.0).stdout
    with understood(host.name, said, "the state of the host"):
        facts = object_in(said)
        made = facts.pop("made")
        found = msgspec.convert({**facts, "made": parsed_json(made) if made else None}, Observed)
        firewall.understand(found.rules)
    # As the login: sudo may write anywhere, and most of what is put there is put without it.
    writable = host.run(["test", "-w", found.nearest], check=False).exit_code == 0
    return replace(found, sudo=bool(host.sudo), writable=writable)
