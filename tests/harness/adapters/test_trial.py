"""The skeleton passes its trial, and adapters with one mistake each get it as a sentence. Real processes on loopback."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.harness.systems.loopback import LoopbackHost, free_port
from tribulation.harness.adapters.skeleton import write_system
from tribulation.harness.adapters.steps import Step, bounded
from tribulation.harness.adapters.trial import Trial
from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.errors import CampaignError
from tribulation.harness.run.plan.build import System
from tribulation.harness.run.plan.own_system import load_system


def tried(folder: Path, before: str = "", after: str = "") -> dict[str, Step]:
    write_system("my-database", folder)
    adapter = folder / "my_database.py"
    port = free_port()
    text = adapter.read_text().replace("port = 8500", f"port = {port}")
    assert text.count(before) == 1 or not before
    adapter.write_text(text.replace(before, after) if before else text)
    system = System(*load_system(adapter, {}))
    (folder / "host").mkdir()
    hosts = [LoopbackHost("n1", "127.0.0.1", folder / "host")]
    closed = free_port()
    trial = Trial(
        system,
        hosts,
        lambda node, timeout_s: socket.create_connection(("127.0.0.1", port), timeout_s),
        lambda node, timeout_s: socket.create_connection(("127.0.0.1", closed), timeout_s),
        ready_s=10,
    )
    return {step.name: step for step in trial.steps()}


def test_the_skeleton_passes_its_own_trial_and_its_campaign_loads(tmp_path: Path) -> None:
    steps = tried(tmp_path)
    assert {name: step.wrong for name, step in steps.items() if step.wrong} == {}
    assert {"register: read", "register: write", "register: cas", "pause", "kill", "uninstall"} <= steps.keys()
    assert steps["pause"].seen.split()[1] == "info"
    assert load_campaign(tmp_path / "my-database.yaml").system.file == str(tmp_path / "my_database.py")
    with pytest.raises(CampaignError, match="exists already"):
        write_system("my-database", tmp_path)


@pytest.mark.parametrize(
    ("before", "after", "step", "wrong"),
    [
        (
            '        self.ask("PUT", op.key, str(op.value))',
            "        raise TypeError('no such thing')",
            "register: write",
            "TypeError: no such thing",
        ),
        (
            '        return self.ask("GET", op.key)[1]',
            "        return b'bytes'",
            "register: read",
            "decode it",
        ),
        (
            "        return [host.python, self.path",
            "        return ['sh', '-c', 'echo no disk; exit 1', self.path",
            "start",
            "ended while it started: no disk",
        ),
        (
            "class MyDatabaseClient(DriverClient):\n",
            "class MyDatabaseClient(DriverClient):\n    def open(self, node, dial, timeout_s):\n        self._x = None\n\n    def invoke(self, op, timeout_s):\n        return None\n\n",
            "wrong port",
            "does not use the `dial`",
        ),
        (
            "    def files(self, host, cluster):",
            "    def uninstall(self, host):\n        pass\n\n    def files(self, host, cluster):",
            "uninstall",
            "leaves",
        ),
        (
            "    def files(self, host, cluster):",
            "    def stop(self, host):\n        pass\n\n    def files(self, host, cluster):",
            "stop",
            "still runs",
        ),
        (
            "    def files(self, host, cluster):",
            "    def pid(self, host):\n        return None\n\n    def wait_ready(self, host, timeout_s):\n        from tribulation.testing import listens\n        while not listens(host, self.port): pass\n\n    def files(self, host, cluster):",
            "start",
            "pid(host) is None on every host",
        ),
    ],
)
def test_a_mistake_is_said_in_a_sentence(tmp_path: Path, before: str, after: str, step: str, wrong: str) -> None:
    steps = tried(tmp_path, before, after)
    assert wrong in steps[step].wrong, steps
    if "pid(host)" in wrong:
        assert steps["uninstall"].seen == "nothing is left", "it was found by its mark, and ended"


def test_what_does_not_return_is_not_waited_for() -> None:
    with pytest.raises(Exception, match=r"start did not return within 0\.1 s"):
        bounded(lambda: __import__("threading").Event().wait(5), 0.1, "start")
