"""What SQLite, etcd and PostgreSQL do to keep a promise over a power loss keeps it on the journaled disk, through a real mount; what is careless does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tribulation.harness.bytecode import for_python
from tribulation.harness.hosts.local import LocalProvider
from tribulation.harness.nemesis.cluster import fault_disk

DRAWS = 6


@pytest.fixture(scope="module")
def missing(lab: LocalProvider) -> dict[str, dict[str, list[int]]]:
    """By model and pattern."""
    host = lab.hosts[0]
    base = f"{host.directory}/patterns"
    host.put(for_python(fault_disk.program(), host.python), f"{base}/disk.pyz")
    host.put(Path(__file__).with_name("crash_patterns.py").read_bytes(), f"{base}/patterns.py")
    found = {}
    for model in ("journaled", "strict"):
        command = [host.python, f"{base}/patterns.py", f"{base}/disk.pyz", f"{base}/{model}", model, str(DRAWS)]
        found[model] = json.loads(host.run(command, timeout_s=120).stdout)
    host.run(["rm", "-rf", base])
    return found


@pytest.mark.full
@pytest.mark.parametrize("pattern", ["sqlite", "sqlite-wal", "log", "replaced"])
def test_what_systems_sync_survives_on_a_journaled_disk(missing: dict[str, dict[str, list[int]]], pattern: str) -> None:
    assert missing["journaled"][pattern] == [0] * DRAWS


def test_sqlite_without_a_sync_of_the_directory_loses_its_last_commit_at_most(
    missing: dict[str, dict[str, list[int]]],
) -> None:
    """Its commit is the removal of the journal file; hence `synchronous=EXTRA`, says its documentation."""
    assert set(missing["journaled"]["sqlite-full"]) <= {0, 1} and max(missing["strict"]["sqlite-full"]) == 1


def test_what_is_never_synced_is_lost_on_either(missing: dict[str, dict[str, list[int]]]) -> None:
    assert any(missing["journaled"]["careless"]) and all(missing["strict"]["careless"])


def test_the_strict_disk_loses_names_whose_directory_was_not_synced(missing: dict[str, dict[str, list[int]]]) -> None:
    assert all(missing["strict"]["log"]) and missing["strict"]["replaced"] == [0] * DRAWS
