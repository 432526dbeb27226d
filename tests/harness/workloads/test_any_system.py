"""Every workload for any system, against a small server over real sockets: right, and with a planted flaw that the workload's checkers find."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.harness.run.test_threads import drive
from tests.node.fuzz.processes import free_port
from tests.systems.every_server import SERVER, EveryClient, arguments
from tribulation.checkers import Budget
from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.run.outcome.run_folder import facts_of_plan, record_of
from tribulation.harness.run.outcome.verdict import Judgement, judge_record
from tribulation.harness.run.plan.build import make_plan
from tribulation.harness.run.plan.plan import Plan
from tribulation.harness.workloads import WORKLOADS

CASES: dict[str, tuple[dict[str, Any], str]] = {
    "cas-register": ({"keys": 2}, "linearizable"),
    "set-full": ({}, "set-full"),
    "list-append": ({"per_key": 60}, "list-append"),
    "rw-register": ({}, "rw-register"),
    "bank": ({}, "bank"),
    "long-fork": ({}, "long-fork"),
    "write-skew": ({}, "write-skew"),
    "causal-reverse": ({}, "causal-reverse"),
    "monotonic": ({}, "session-guarantees"),
    "counter": ({"decrements": 20}, "counter-bounds"),
    "queue": ({"fifo": True}, "total-queue"),
    "mutex": ({"keys": 2}, "mutex"),
    "leader-election": ({"fencing": True}, "fencing-tokens"),
    "unique-ids": ({}, "unique-ids"),
    "log": ({"per_key": 100}, "kafka"),
}
VARIANTS: dict[str, tuple[str, dict[str, Any], str]] = {
    "predicate": ("write-skew", {"of": "predicate"}, "write-skew"),
    "fenced": ("mutex", {"fencing": True}, "fencing-tokens"),
    "elected": ("leader-election", {}, "mutex"),
}
ALL = [(name, *case) for name, case in CASES.items()] + list(VARIANTS.values())
IDS = [*CASES, *VARIANTS]


@pytest.fixture
def serve() -> Iterator[Callable[..., int]]:
    started: list[subprocess.Popen[bytes]] = []

    def serve(flaws: list[str], tokens: bool) -> int:
        port = free_port()
        words = arguments({"flaws": flaws, "tokens": tokens})
        started.append(subprocess.Popen([sys.executable, "-c", SERVER, str(port), *words], stderr=subprocess.DEVNULL))
        deadline_s = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return port
            except OSError:
                assert time.monotonic() < deadline_s and started[-1].poll() is None
                time.sleep(0.02)

    yield serve
    for process in started:
        process.kill()
        process.wait(10)


def planned(tmp_path: Path, workload: str, options: dict[str, Any]) -> Plan:
    (tmp_path / "c.yaml").write_text(
        yaml.safe_dump(
            {
                "name": "every",
                "system": {"file": "every.py"},
                "hosts": {"provider": "local", "nodes": 2},
                "seed": 5,
                "duration": "1500ms",
                "settle": "50ms",
                "workloads": [{workload: {"rate": "200/s", "clients": 6, **options}}],
            }
        )
    )
    return make_plan(load_campaign(tmp_path / "c.yaml"), tmp_path, ())


def judged(tmp_path: Path, port: int, workload: str, options: dict[str, Any]) -> tuple[Judgement, Plan]:
    plan = planned(tmp_path, workload, options)
    dial = lambda node, timeout_s: socket.create_connection(("127.0.0.1", port), timeout_s)  # noqa: E731
    runner, _, history = drive(plan, EveryClient, dial, tmp_path / "history.jsonl")
    facts = facts_of_plan(Plan.from_json(plan.to_json()).to_json())
    facts = type(facts)(**{**{name: getattr(facts, name) for name in facts.__slots__}, "phases": dict(runner.marks)})
    return judge_record(record_of(facts, history, {}, ()), facts, Budget(time_s=30), "run"), plan


def test_every_workload_of_any_system_is_tried() -> None:
    reference = {"register", "set", "tasks", "agents", "memory", "race", "transactions"}
    assert set(CASES) == set(WORKLOADS) - reference


@pytest.mark.parametrize(("workload", "options", "checker"), ALL, ids=IDS)
def test_a_right_system_is_valid(serve, tmp_path, workload, options, checker) -> None:
    judgement, plan = judged(tmp_path, serve([], options.get("fencing", False)), workload, options)
    why = {name: (result.verdict.value, result.reason) for name, result in judgement.results.items()}
    assert judgement.verdict.value == "valid", why
    declared = plan.workloads[workload].checkers()
    judges = set(judgement.results) - {"availability", "final-reads", "vacuity", "convergence", "quorum"}
    assert judges == set(declared or ()), "its operations are judged by what it names, and nothing else"
    asked = {op.f for op in judgement.record.history.operations()}
    assert asked <= plan.workloads[workload].asked()
    quiet_ns = judgement.record.phases["quiet_end"]
    final = {op.node for op in judgement.record.history.operations() if op.invoke_ns >= quiet_ns and op.type == "ok"}
    assert final == {"n1", "n2"} or workload == "queue", "final reads on every node"


@pytest.mark.parametrize(("workload", "options", "checker"), ALL, ids=IDS)
def test_a_planted_flaw_is_found_by_its_checker(serve, tmp_path, workload, options, checker) -> None:
    judgement, _ = judged(tmp_path, serve([workload], options.get("fencing", False)), workload, options)
    assert judgement.results[checker].verdict.value == "invalid", judgement.document
    assert judgement.exit_code == 1
