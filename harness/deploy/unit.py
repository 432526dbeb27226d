"""The text of the systemd unit that keeps a node's supervisor running. Pure.

The unit runs the supervisor and not the node. Killing, pausing and restarting remain a matter of files in the node's folder
(`node/runtime/process/control.py`), on which faults, and the watchdogs that undo them, rely. systemd adds the start at boot, the restart of a
supervisor that dies, and the sandbox around both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

NAME = "tribulation-node.service"
PATH = f"/etc/systemd/system/{NAME}"
USER = "tribulation"
STOP_S = 20
START_S = 120
_EXIT_CONFIG = 2

_WALLS = """\
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
LockPersonality=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
"""


@dataclass(frozen=True, slots=True)
class Unit:
    """`command` starts the supervisor in the same way as a login would; `directory` holds all our files, `folder` in it is the node's own."""

    node: str
    cluster: str
    command: Sequence[str]
    directory: str
    folder: str
    executable: str

    def text(self) -> str:
        """Write the unit's text; `executable` is the interpreter's real path: a sandbox that hides it would keep the node from starting."""
        hidden = [path for path in (self.executable, self.directory) if _in(path, "/home", "/root", "/run/user")]
        # A private /tmp and /var/tmp would hide a folder in it.
        bound = [f"BindPaths={_path(self.directory)}"] if _in(self.directory, "/tmp", "/var/tmp") else []
        # Paths are absolute: systemd looks for no program in a login's PATH.
        words = [self.executable, *self.command[1:], "--foreground"]
        service = [
            "Type=notify",
            "NotifyAccess=main",
            f"ExecStart={' '.join(map(_word, words))}",
            f"WorkingDirectory={_path(self.folder)}",
            f"User={USER}",
            f"Group={USER}",
            "UMask=0022",
            "Restart=on-failure",
            "RestartSec=1",
            f"RestartPreventExitStatus={_EXIT_CONFIG}",
            "KillMode=mixed",
            f"TimeoutStartSec={START_S}",
            f"TimeoutStopSec={STOP_S}",
            # The supervisor restarts a node that the kernel kills for its memory.
            "OOMPolicy=continue",
            "LimitNOFILE=8192",
            "LimitCORE=0",
            "TasksMax=512",
            f"ReadWritePaths={_path(self.folder)}",
            *bound,
            f"ProtectHome={'no' if hidden else 'yes'}",
        ]
        lines = "\n".join(service)
        return f"""\
[Unit]
Description=Node {_plain(self.node)} of the Tribulation cluster {_plain(self.cluster)}
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
{lines}
{_WALLS}
[Install]
WantedBy=multi-user.target
"""


def _in(path: str, *folders: str) -> bool:
    return any(PurePosixPath(path).is_relative_to(folder) for folder in folders)


def _plain(text: Any) -> str:
    """Text without specifiers (percent signs) and line ends."""
    return " ".join(str(text).split()).replace("%", "%%")


def _path(text: str) -> str:
    return _plain(text).replace("\\", "\\\\").replace(" ", "\\x20")


def _word(text: str) -> str:
    """A word quoted by systemd's rules, which are not the shell's."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if set(text) & set(" \t'\"\\;") else escaped
