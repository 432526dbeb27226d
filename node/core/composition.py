"""Composition of a node: its machines, in the order in which they receive signals and flush.

The plain node is clients, application, roster and Raft. Each further section of the configuration adds machines after them. These do not change what
the plain machines emit: a node without the section has the same traces, byte for byte.
"""

from __future__ import annotations

from dataclasses import replace

from ..config.node import NodeConfig
from .agents.agents import Agents
from .application.registry import Applications
from .application.state_machine import Application
from .clients.clients import Clients
from .cluster.coordinator import Coordinator
from .cluster.membership import Membership
from .cluster.prober import Prober
from .cluster.retirement import Retirement
from .cluster.roster import Roster
from .cluster.submitter import Submitter
from .detector.detector import Detector
from .discovery.discovery import Discovery
from .interface.events import Request, Start, TaskDone
from .interface.machine import Machine, Member
from .interface.outbox import Outbox
from .interface.rng import Chance
from .interface.wall_clock import Wall
from .memory.memory import MemoryMachine
from .memory.request import by_the_log, command_of
from .raft.raft import Raft
from .tasks.tasks import TaskMachine


class Composition:
    """`clients`, `application`, `raft` and `roster` always exist; `members` are the others by name, in order."""

    def __init__(self, config: NodeConfig, out: Outbox, wall: Wall, event: Start) -> None:
        applications = Applications(config)
        incarnation = event.incarnation
        chance = Chance(event.seed, config.node, incarnation)
        self.roster = Roster(config, out, incarnation, chance)
        self.raft = Raft(config, out, wall)
        self.application = Application(config, out, applications)
        self.clients = Clients(config, out, incarnation, applications, lambda: self.roster.names)
        members: list[Member] = []
        self._tasks: TaskMachine | None = None
        parts = (config, out, incarnation, chance)
        if config.membership is not None:
            members += [self.roster, Submitter(*parts, applications.problem)]
            members += [Discovery(*parts), Detector(*parts), Membership(*parts), Retirement(*parts)]
        if config.agents is not None:
            self._tasks = TaskMachine(*parts)
            members += [Prober(*parts), Agents(*parts), Coordinator(*parts), self._tasks]
        self._memory: MemoryMachine | None = None
        if config.memory is not None:
            self._memory = MemoryMachine(config, out, wall, event, chance, lambda: self._others(config.node))
            members.append(self._memory)
        self.members = {member.name: member for member in members}

    @property
    def all(self) -> list[Machine]:
        return [self.clients, self.application, self.raft, *self.members.values()]

    def counters(self) -> dict[str, int]:
        dropped = {} if self._memory is None else {"memory_dropped": self._memory.dropped}
        return {
            "forwards_dropped": self.clients.forwards_dropped,
            "commands_failed": self.application.failed,
            "terms_refused": self.raft.terms_refused,
            **dropped,
        }

    def on_memory_request(self, now_ns: int, event: Request) -> None:
        """Route a memory request: a linearizable one becomes a command for the log, any other goes to this node's memory."""
        if self._memory is not None and not by_the_log(event.body):
            self._memory.on_request(now_ns, event)
            return
        op = "" if self._memory is None else self._memory.next_op()
        command, fields = command_of(event.body, op)
        body = {**event.body, "do": command, "with": fields}
        self.clients.on_request(now_ns, replace(event, body=body))

    def _others(self, me: str) -> list[str]:
        return [name for name in self.roster.names if name != me]

    def on_task(self, now_ns: int, event: TaskDone) -> None:
        """Handle the end of work that this node's task machine requested."""
        if self._tasks is not None:
            self._tasks.on_task(now_ns, event)
