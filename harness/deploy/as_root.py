"""A host whose commands and files are root's: wraps a login with sudo for the parts of a deployment that the login may not touch.

A login that is root already needs no wrapping.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from ..hosts.base import Channel, CommandResult, Host
from ..hosts.ssh.remote import put_script


class AsRoot:
    """`Host` whose every command runs through `sudo`."""

    sudo: tuple[str, ...] = ()

    def __init__(self, host: Host) -> None:
        self._host = host
        self.name, self.address, self.directory = host.name, host.address, host.directory
        self.python, self.control = host.python, host.control

    def run(
        self, command: str | Sequence[str], *, timeout_s: float = 20.0, check: bool = True, stdin: bytes | None = None
    ) -> CommandResult:
        return self._host.run(self._prefixed(command), timeout_s=timeout_s, check=check, stdin=stdin)

    def start(self, command: str | Sequence[str], *, timeout_s: float = 20.0) -> Channel:
        return self._host.start(self._prefixed(command), timeout_s=timeout_s)

    def put(self, content: bytes, path: str, *, mode: int = 0o644, timeout_s: float = 60.0) -> None:
        self.run(put_script(path, len(content), mode), timeout_s=timeout_s, stdin=content)

    def get(self, path: str, *, timeout_s: float = 60.0) -> bytes:
        return base64.b64decode(self.run(["base64", path], timeout_s=timeout_s).stdout)

    def _prefixed(self, command: str | Sequence[str]) -> list[str]:
        words = ["sh", "-c", command] if isinstance(command, str) else list(command)
        return [*self._host.sudo, *words]


def as_root(host: Host) -> Any:
    """Return a host whose commands run as root; `host` itself if they need no prefix."""
    return AsRoot(host) if host.sudo else host
