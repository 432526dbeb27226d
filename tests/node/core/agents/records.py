"""Records and configurations for the tests of agents."""

from __future__ import annotations

from typing import Any

from tribulation.node.config.node import NodeConfig


def config(node: str = "n1", nodes: int = 3, **more: Any) -> NodeConfig:
    peers = {f"n{i + 1}": ["127.0.0.1", 10000 + i] for i in range(nodes)}
    data = {"node": node, "cluster": "test", "peers": peers, "timing": "fast", "membership": {}, "agents": {}}
    return NodeConfig.from_json({**data, **more})


def member(state: str = "ACTIVE", incarnation: int = 1, slots: int = 16, **more: Any) -> dict[str, Any]:
    capacity = {"slots": slots, "cpu_percent": 100, "memory_mib": 1024}
    capacity.update({key: more.pop(key) for key in ("cpu_percent", "memory_mib") if key in more})
    record = {"host": "127.0.0.1", "port": 1, "udp_port": 2, "role": "hybrid", "capacity": capacity}
    return {**record, "incarnation": incarnation, "state": state, "since": 0, **more}


def agent(host: str, epoch: int = 1, to: str | None = None, bytes_: int = 0, incarnation: int = 1) -> dict[str, Any]:
    """A record as far as planning reads it."""
    moving = None if to is None else {"to": to, "incarnation": 1, "slot": 0, "since": epoch + 1}
    checkpoint = {"number": 0, "keys": 0, "bytes": bytes_, "digest": ""}
    return {"host": host, "incarnation": incarnation, "epoch": epoch, "moving": moving, "checkpoint": checkpoint}
