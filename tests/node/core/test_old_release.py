"""Files of the release before numbers and depth had bounds: this one boots on them, and makes of them the state that the other made.

`old_release/` is the data directory of a node of commit fe78632 on Python 3.11, which was killed: a snapshot, a log, agent memory; in them integers of 400 digits, values 400 levels deep and a task whose payload ended each host
that began it. `expected.json` is what it answered to `{"admin": "digest"}`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tribulation.node.config.node import NodeConfig
from tribulation.node.core.application.registry import Applications
from tribulation.node.core.application.replicated import text_digest
from tribulation.node.core.application.state_machine import Application
from tribulation.node.core.interface.effects import RunTask
from tribulation.node.core.interface.entry import canonical
from tribulation.node.core.interface.outbox import Outbox
from tribulation.node.core.interface.signals import Committed, Restore
from tribulation.node.core.storage.recovery import recover
from tribulation.node.runtime.loop.handlers import perform, timeout_s, wait_s

from .disk import Disk, File
from .solo import Solo

FOLDER = Path(__file__).parent / "old_release"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())
FILES = {path.name: path.read_bytes() for path in FOLDER.iterdir() if path.suffix != ".json"}
PARTS: dict[str, Any] = {"membership": {"broadcast": False}, "agents": {}, "memory": {}}


def test_the_state_is_what_the_old_release_made_of_the_same_log() -> None:
    config = NodeConfig.from_json({"node": "n1", "cluster": "test", "peers": {"n1": ["h", 1]}, **PARTS})
    application = Application(config, Outbox(), Applications(config))
    found = recover(FILES)
    assert found.snapshot is not None and not found.torn
    application.signals[Restore](0, Restore(found.snapshot.index, found.snapshot.data))
    later = [entry for entry in found.entries if entry.index > found.snapshot.index]
    application.signals[Committed](0, Committed(later))
    assert {"index": application.applied, "digest": old_digest(application)} == EXPECTED
    assert application.failed == 0


def old_digest(application: Application) -> str:
    """The digest of that release: of the whole state as text."""
    apps = {name: app.digest() for name, app in application._apps.items()}
    return text_digest(canonical([application._kv.dump(), application._sessions.dump(), apps]))


def test_a_node_boots_on_them_and_serves() -> None:
    disk = Disk()
    for name, data in FILES.items():
        disk.names[name] = File()
        disk.names[name].data += data
        disk.names[name].synced = data
    solo = Solo(nodes=1, disk=disk, incarnation=2, **PARTS)
    solo.pass_time(3000)
    assert solo.halted is None and solo.status()["role"] == "leader"
    (answer,) = solo.ask(view="tasks", **{"with": {"task": "poison"}}, level="stale")
    payload = answer["results"][0]["payload"]
    assert payload["ms"] == 10**400
    task = RunTask(1, "sleep", payload)
    assert wait_s(task) == timeout_s(task) * 1440 == 86_400 and not perform(task, {}).ok
    (opened,) = solo.ask(open=True)
    assert solo.ask(session=opened["session"], seq=1, ops=[["w", "k", 1]])[0]["status"] == "ok"
    assert solo.core.counters()["commands_failed"] == 0
