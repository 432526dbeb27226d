"""Replicated applications of a node, by its configuration, and their requests for clients.

An application may read the state of an application that was created before it. It is applied after that one, so it reads the same state on every
node.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...config.node import NodeConfig
from .members import Members
from .memory import Memory
from .placement import Placement
from .replicated import Replicated
from .tasks import Tasks


class Applications:
    """The applications of one node. `by_name` is in the order of creation; it is empty for a plain node."""

    def __init__(self, config: NodeConfig) -> None:
        self.by_name: dict[str, Replicated] = {}
        if config.membership is not None:
            members = self.by_name["members"] = Members(config)
            if config.agents is not None:
                agents = self.by_name["agents"] = Placement(config, members.view)
                self.by_name["tasks"] = Tasks(config, agents.view)
        if config.memory is not None:
            self.by_name["memory"] = Memory(config)
        self._owners = {command: app for app in self.by_name.values() for command in app.commands}
        self.names = tuple(self.by_name)
        self.for_clients = tuple(name for app in self.by_name.values() for name in app.for_clients)
        self.sent_once = tuple(name for app in self.by_name.values() for name in app.sent_once)

    def owner(self, command: str) -> Replicated | None:
        return self._owners.get(command)

    def problem(self, command: Any, fields: Any) -> str | None:
        """Return why a command is invalid, whatever the state; None when it is valid."""
        app = self._owners.get(command) if isinstance(command, str) else None
        if app is None:
            known = ", ".join(self._owners) or "none, as this node has no `membership` section"
            return f"there is no command {str(command)[:80]!r}; there are {known}"
        if not isinstance(fields, Mapping):
            return f"the fields of {command} are {str(fields)[:80]!r}, not an object"
        return app.problem(command, fields)
