"""What the tests of tasks share: a configuration, agents as the application `agents` shows them, and commands with their usual fields."""

from __future__ import annotations

from typing import Any

from tribulation.node.config.node import NodeConfig
from tribulation.node.core.application.tasks import Tasks
from tribulation.node.core.interface.entry import canonical

NODES = ("n1", "n2", "n3")


def config(node: str = "n1", flaws: tuple[str, ...] = (), **agents: Any) -> NodeConfig:
    peers = {name: ["127.0.0.1", 10000 + i] for i, name in enumerate(NODES)}
    data = {"node": node, "cluster": "test", "peers": peers, "membership": {}, "agents": agents, "flaws": list(flaws)}
    return NodeConfig.from_json(data)


def agent(host: str, epoch: int = 1, type_: str = "generic", state: str = "running") -> dict[str, Any]:
    return {"type": type_, "host": host, "slot": 0, "epoch": epoch, "state": state, "moving": None}


def member(state: str = "ACTIVE", cpu_percent: int = 100) -> dict[str, Any]:
    return {"state": state, "capacity": {"slots": 16, "cpu_percent": cpu_percent, "memory_mib": 1024}}


def submission(id_: str, **more: Any) -> dict[str, Any]:
    return {"task": id_, "type": "generic", "handler": "echo", **more}


class Log:
    """One application and the log it lives by. `say` applies a command, if it is well formed, and returns the answer."""

    def __init__(self, agents: dict[str, Any] | None = None, flaws: tuple[str, ...] = (), **limits: Any) -> None:
        self.agents = {"a1": agent("n1"), "a2": agent("n2")} if agents is None else agents
        self.config = config(flaws=flaws, **limits)
        self.app = Tasks(self.config, self.agents)
        self.index = 0

    def say(self, command: str, **fields: Any) -> dict[str, Any]:
        assert self.app.problem(command, fields) is None, self.app.problem(command, fields)
        self.index += 1
        return self.app.apply(self.index, command, fields)

    def submit(self, id_: str, **more: Any) -> dict[str, Any]:
        """With the bounds of this node's configuration, as it would fill them in."""
        assert self.config.agents is not None
        bounds = {"max_queue": self.config.agents.queue, "max_retries": self.config.agents.retries}
        return self.say("tasks.submit", **submission(id_, **{**bounds, **more}))

    def assign(self, id_: str, name: str = "a1", **more: Any) -> dict[str, Any]:
        """With what the leader would know now, unless `more` says otherwise."""
        attempt = self.app.view[id_]["attempt"] + 1
        return self.say(
            "tasks.assign",
            **{"task": id_, "attempt": attempt, "agent": name, "epoch": self.agents[name]["epoch"], **more},
        )

    def result(self, id_: str, token: int, value: Any = None, ok: bool = True, epoch: int = 1) -> dict[str, Any]:
        return self.say("tasks.result", task=id_, token=token, epoch=epoch, ok=ok, value=value)

    def release(self, id_: str, token: int) -> dict[str, Any]:
        return self.say("tasks.release", task=id_, token=token)

    def text(self) -> str:
        return canonical(self.app.dump())

    @property
    def ledger(self) -> list[Any]:
        rows = self.app.query({"effects": 0})["effects"]
        assert isinstance(rows, list)
        return rows
