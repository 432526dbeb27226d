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
from . import unit

MADE = "deployed.json"
"""In a host's directory: everything that deployment made outside of the service's folder, written before it is made, so that all of it can be removed."""


Port = tuple[str, int, str]
"""`tcp` or `udp`, its number, and its address; an empty one means all."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A port that a process has. `who` is empty where the login may not see the process."""

    kind: str
    port: int
    who: str
    ours: bool


@dataclass(frozen=True, slots=True)
class Made:
    """What deployment made outside of the service's folder: folders, from the topmost down, and whether it made the system user."""

    folders: Sequence[str] = ()
    user: bool = False

    def to_json(self) -> str:
        return json.dumps({"folders": list(self.folders), "user": self.user}) + "\n"


@dataclass(frozen=True, slots=True)
class Observed:
    """`missing` are the folders to be made, the topmost first, in `nearest`; `writable` is meant of the login itself.

    `files` maps a name in the service's folder to its digest. `node` and `supervisor` are process numbers, `node_s` is for how long the node has run. `unit` is the text of our systemd unit, `active` and
    `enabled` what systemctl says of it. `rules` is the firewall as JSON, empty where it cannot be seen.
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
        """Whether systemd runs the node here, or can be asked to."""
        return self.systemd and (self.root or self.sudo)

    def certified_until(self) -> datetime | None:
        """The end of the validity of the node's certificate; None without a readable one."""
        try:
            return x509.load_pem_x509_certificate(self.certificate.encode()).not_valid_after_utc
        except ValueError:
            return None


def observe(host: Host, service: ReferenceService, names: Sequence[str], ports: Sequence[Port]) -> Observed:
    """Ask. `names` are files in the service's folder, `ports` those that the node is going to have."""
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
    with understood(host.name, said, "facts about the host"):
        facts = object_in(said)
        made = facts.pop("made")
        found = msgspec.convert({**facts, "made": parsed_json(made) if made else None}, Observed)
    # As the login: sudo may write anywhere, and most of what is put there is put without it.
    writable = host.run(["test", "-w", found.nearest], check=False).exit_code == 0
    return replace(found, sudo=bool(host.sudo), writable=writable)
