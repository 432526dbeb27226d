"""Files of hosts, each by itself: what cannot be had is named and costs nothing else."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tribulation.harness.errors import HostError
from tribulation.harness.evidence import collecting, inside_folder
from tribulation.harness.evidence.collecting import collect


class PartsHost(SimpleNamespace):
    """A host whose files are in memory and are read in parts. `broken` paths fail, from that offset on."""

    def get_part(self, path: str, offset: int, size: int, *, timeout_s: float = 60.0) -> bytes:
        if offset >= self.broken.get(path, 1 << 60):
            raise HostError(f"{self.name}: connection lost")
        self.asked.append((path, offset))
        return self.content[path][offset : offset + size]


def parts_host(name: str, content: Mapping[str, bytes], **broken: int) -> Any:
    return PartsHost(name=name, content=content, broken=broken, asked=[])


class Naming:
    """A service that names its files."""

    def kept_files(self, host: Any) -> Mapping[str, str]:
        if host.name == "n3":
            raise HostError("n3: is away")
        return {"trace.jsonl": "trace", "logs/node.log": "log"}


class Reading:
    """A service that reads them."""

    def __init__(self, found: Mapping[str, Any]) -> None:
        self.found = found

    def collect(self, host: Any) -> Mapping[str, Any]:
        return self.found


def test_large_files_come_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "PART_BYTES", 10)
    host = parts_host("n1", {"trace": b"x" * 25, "log": b"y" * 20})
    assert collect([host], Naming(), tmp_path) == []  # type: ignore[arg-type]
    assert (tmp_path / "trace/n1.jsonl").read_bytes() == b"x" * 25
    assert (tmp_path / "logs/n1/node.log").read_bytes() == b"y" * 20
    assert host.asked == [("trace", 0), ("trace", 10), ("trace", 20), ("log", 0), ("log", 10), ("log", 20)]


def test_a_file_that_fails_half_way_is_named_and_not_left_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "PART_BYTES", 10)
    files = {"trace": b"x" * 25, "log": b"y" * 20}
    hosts = [parts_host("n1", files, trace=10), parts_host("n2", files), parts_host("n3", files)]
    assert collect(hosts, Naming(), tmp_path) == [  # type: ignore[arg-type]
        {"host": "n1", "file": "trace.jsonl", "why": "n1: connection lost"},
        {"host": "n3", "file": "*", "why": "n3: is away"},
    ]
    found = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert found == ["logs/n1/node.log", "logs/n2/node.log", "trace/n2.jsonl"]


def test_what_a_service_gives_that_is_no_file_is_named(tmp_path: Path) -> None:
    run_dir = tmp_path / "runs" / "x" / "1"
    run_dir.mkdir(parents=True)
    service = Reading({"logs/a": b"good", "logs/../../../../b": b"outside", "/etc/c": b"outside", "logs/d": None})
    missed = collect([parts_host("n1", {})], service, run_dir)  # type: ignore[arg-type]
    assert [one["file"] for one in missed] == ["/etc/c", "logs/../../../../b", "logs/d"]
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a"]


def test_a_disk_that_is_full_costs_the_files_that_it_does_not_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.FileIO):
        def write(self, data: Any) -> int:
            if len(data) > 10:
                raise OSError(28, "No space left on device", self.name)
            return super().write(data)

    monkeypatch.setattr(inside_folder, "create", lambda folder, name: Full(inside_folder.place(folder, name), "xb"))
    service = Reading({"logs/large": b"x" * 11, "logs/small": b"x"})
    (missed,) = collect([parts_host("n1", {})], service, tmp_path)  # type: ignore[arg-type]
    assert missed["file"] == "logs/large" and "No space left on device" in missed["why"]
    assert (tmp_path / "logs/n1/small").exists()
