"""A host whose commands carry the mark of a system, so that what they leave behind ends with it: a command that took too long goes on running on its host."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from ...hosts.base import Channel, CommandResult, Host


class Marked:
    """`Host`; `variable=value` is in the environment of every command."""

    def __init__(self, host: Host, variable: str, value: str) -> None:
        self._host, self._export = host, f"export {variable}={shlex.quote(value)}"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)

    def run(self, command: str | Sequence[str], **how: Any) -> CommandResult:
        return self._host.run(self._marked(command), **how)

    def start(self, command: str | Sequence[str], **how: Any) -> Channel:
        return self._host.start(self._marked(command), **how)

    def _marked(self, command: str | Sequence[str]) -> str:
        return f"{self._export}\n{command if isinstance(command, str) else shlex.join(command)}"
