"""Every workload for any system on real local hosts under faults, and planted flaws that their checkers find; the skeleton of an adapter passes its trial there."""

from __future__ import annotations

from pathlib import Path

import pytest

CAMPAIGN = "tests/systems/every-server.yaml"
FLAWED = {"bank": "bank", "queue": "total-queue", "mutex": "mutex", "unique-ids": "unique-ids", "log": "kafka"}
"""Workload → the checker that finds its flaw. tests/harness/workloads/test_any_system.py has them all."""


@pytest.mark.full
def test_a_right_system_keeps_them_all_under_faults(tri, namespaces) -> None:
    ended = tri("run", CAMPAIGN, "--json", "--seed", "3", timeout_s=300)
    document = ended.document
    found = {name: result["verdict"] for name, result in document["checkers"].items()}
    # A dequeue in doubt may have taken an element with it, and a session that was cut off may keep its lock.
    assert {found.pop("total-queue"), found.pop("final-reads")} <= {"valid", "unknown"}
    assert set(found.values()) == {"valid"}, found
    assert all(fault["verified"] and fault["undone"] for fault in document["faults"])
    assert ended.exit_code in (0, 3)


def test_planted_flaws_are_all_found(tri, namespaces) -> None:
    names = ", ".join(FLAWED)
    changes = (
        f"system.options={{flaws: [{names}]}}",
        f"workloads=[{', '.join(f'{{{name}: {{}}}}' for name in FLAWED)}]",
        "faults=[]",
    )
    settings = [word for change in changes for word in ("--set", change)]
    ended = tri("run", CAMPAIGN, "--json", *settings, timeout_s=300)
    assert ended.exit_code == 1, ended.stderr
    found = ended.document["checkers"]
    assert {name: found[name]["verdict"] for name in FLAWED.values()} == dict.fromkeys(FLAWED.values(), "invalid")


def test_an_operation_that_a_client_lacks_starts_nothing(tri, tmp_path: Path, labs: Path) -> None:
    text = Path(CAMPAIGN).with_name("every_server.py").read_text().replace(" = transfer", "", 1)
    (tmp_path / "every_server.py").write_text(text)
    (tmp_path / "c.yaml").write_text("name: c\nsystem: {file: every_server.py}\nworkloads: [{bank: {}}]\n")
    ended = tri("run", str(tmp_path / "c.yaml"))
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "EveryClient.transfer(op) is missing: workload bank asks for operation 'transfer'" in ended.stderr
    assert not labs.exists() and not (tmp_path / "runs").exists()


@pytest.mark.full
def test_the_skeleton_passes_its_trial_on_hosts(tri, namespaces, tmp_path: Path) -> None:
    assert tri("new", "system", "my-database", "--folder", str(tmp_path)).exit_code == 0
    ended = tri("try", str(tmp_path / "my_database.py"), "--nodes", "2", "--json")
    assert ended.exit_code == 0, ended.stdout
    assert {step["wrong"] for step in ended.document} == {""}
    (tmp_path / "my_database.py").write_text("nothing = 1\n")
    assert tri("try", str(tmp_path / "my_database.py")).exit_code == 2
