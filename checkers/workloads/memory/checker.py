"""Checker `memory`: agent memory that any node changes at any time loses nothing acknowledged, shows nothing that was never written, and converges.

*Lost*: an acknowledged element, text or count that a final read lacks, although no deletion can have seen it, and nothing that is shown can have replaced it. *Phantom*: what was never written, or whose change was refused. *Resurrected*: what was deleted where it was known. *Went back*: a node shows less than it did. *Stale*: a read shows less than its level promises. *Not converged*: nodes differ after the quiet period.
"""

from __future__ import annotations

from typing import Any

from tribulation.histories import Operation, Type

from ...base.acknowledged import served_by
from ...base.conclusion import all_of, conclude
from ...base.findings import Findings
from ...base.options import choice, settings_of
from ...base.result import Budget, CheckResult, RunRecord
from ...base.selection import judges, names
from .finals import Finals, differing, finals_of, lost
from .reads import Sweep, phantoms
from .records import DIGEST, FORGET, LEARN, RECALL, Memory, read_memory

LATEST_WINS = "latest-wins"


class MemoryChecker:
    name = "memory"
    operations = judges(LEARN, FORGET, RECALL, DIGEST)
    options = (
        choice("conflicts", "merge", [LATEST_WINS], "how replicas settle concurrent changes"),
        choice(
            "overwritten",
            "reported",
            ["counted"],
            "whether a loss by `latest-wins` is reported as an anomaly or only counted",
        ),
    )

    def applies(self, record: RunRecord) -> bool:
        return LEARN in names(record)

    def check(self, record: RunRecord, budget: Budget) -> CheckResult:
        memory = read_memory(record)
        findings = Findings()
        options = settings_of(record, self)
        latest_wins = options["conflicts"] == LATEST_WINS
        quiet_ns = record.phases.get("quiet_end")
        finals = Finals() if quiet_ns is None else finals_of(memory, quiet_ns)
        losses = Findings()
        lost(memory, finals, latest_wins, losses)
        counted = latest_wins and options["overwritten"] == "counted"
        if not counted:
            findings.extend(losses)
        if quiet_ns is not None:
            differing(memory, finals, quiet_ns, findings)
        compared = 0
        for one in memory.records.values():
            phantoms(one, findings)
            if not latest_wins:
                # There records are replaced whole: what a node no longer shows is reported as a loss.
                sweep = Sweep(one, memory.excuses, findings, quiet_ns)
                sweep.walk()
                compared += sweep.compared
        sides = {served_by(op) for one in memory.records.values() for op in one.changes if op.type is Type.OK}
        stats = {
            **_counted(record, memory),
            "changed_at": len(sides),
            "reads_compared": compared,
            "final_nodes": len(finals.nodes),
            **({"overwritten": sum(losses.counts.values())} if counted else {}),
        }
        return conclude(self.name, findings, stats, all_of(_doubts(record, finals, len(sides))))


def _counted(record: RunRecord, memory: Memory) -> dict[str, Any]:
    ops = record.history.operations()
    changes = [op for op in ops if op.f in (LEARN, FORGET)]
    excused = [
        op
        for one in memory.records.values()
        for op in one.changes
        if _acknowledged(op) and memory.excuses.lost_with_a_disk(op)
    ]
    return {
        "records": len(memory.records),
        "changes": len(changes),
        "acknowledged": sum(map(_acknowledged, changes)),
        "in_doubt": sum(op.type is Type.INFO for op in changes),
        "deleted": sum(op.f == FORGET and _acknowledged(op) for op in changes),
        "reads": sum(len(one.reads) for one in memory.records.values()),
        "excused_by_lost_disks": len(excused),
    }


def _acknowledged(op: Operation) -> bool:
    return op.type is Type.OK


def _doubts(record: RunRecord, finals: Finals, sides: int) -> list[str]:
    doubts = []
    if sides < 2:
        doubts.append(f"changes were acknowledged at {sides} nodes, so there was nothing to merge")
    if not finals.nodes:
        doubts.append("no read after the quiet period shows which changes survived")
    elif silent := [node for node in record.nodes if node not in finals.nodes]:
        doubts.append(f"{', '.join(silent)} answered no final read, so their content may differ")
    return doubts
