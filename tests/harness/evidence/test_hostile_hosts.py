"""Hosts that lie about their files: nothing is written, changed or removed outside of the run's folder, and nothing grows without bound."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tribulation.harness.evidence import collecting, inside_folder
from tribulation.harness.evidence.collecting import collect


class LyingHost(SimpleNamespace):
    """Answers each question for a part of a file with `part`, whatever was asked."""

    def get_part(self, path: str, offset: int, size: int, *, timeout_s: float = 60.0) -> bytes:
        return bytes(self.part)


class Names:
    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    def kept_files(self, host: Any) -> Mapping[str, str]:
        return self._names


def _run(tmp_path: Path, names: Any, part: bytes = b"evil") -> tuple[Path, list[dict[str, str]]]:
    run_dir = tmp_path / "runs" / "x" / "1"
    run_dir.mkdir(parents=True, exist_ok=True)
    host: Any = LyingHost(name="n1", part=part)
    return run_dir, collect([host], Names({name: f"/d/{name}" for name in names}), run_dir)  # type: ignore[arg-type]


def _files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def test_a_host_that_is_slow_for_thousands_of_files_keeps_no_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each part comes before its own deadline."""
    now_s = [0.0]
    monkeypatch.setattr(collecting.time, "monotonic", lambda: now_s[0])
    monkeypatch.setattr(
        LyingHost, "get_part", lambda *_, **__: now_s.__setitem__(0, now_s[0] + 59.0) or b"x", raising=True
    )
    _, missed = _run(tmp_path, [f"logs/{number}" for number in range(4096)])
    assert now_s[0] < collecting.COLLECT_S + 60
    assert [one["file"] for one in missed] == ["logs/1006", "*"] and all("too slow" in one["why"] for one in missed)


def test_a_fast_host_may_take_as_long_as_its_bytes_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [0.0]
    monkeypatch.setattr(collecting.time, "monotonic", lambda: now_s[0])
    monkeypatch.setattr(LyingHost, "get_part", lambda *_, **__: now_s.__setitem__(0, now_s[0] + 1.9) or bytes(2 << 20))
    _, missed = _run(tmp_path, [f"logs/{number}" for number in range(400)])
    assert missed == [] and now_s[0] > collecting.COLLECT_S


def test_a_user_who_is_hurried_waits_for_no_more_files(tmp_path: Path) -> None:
    asked = iter([False, False, True])
    host: Any = LyingHost(name="n1", part=b"log")
    names = Names({f"logs/{number}": "/d" for number in range(9)})
    missed = collect([host], names, tmp_path, lambda: next(asked, True))  # type: ignore[arg-type]
    assert _files(tmp_path) == ["logs/n1/0"]
    assert [one["file"] for one in missed] == ["*"] and missed[0]["why"].startswith(
        "8 files were not fetched: the user"
    )


HOSTILE = (
    "../x", "inputs/../../x", "inputs/../../../../victim", "logs/../../../../../victim", "/etc/x", "//x", "", ".", "inputs/", "inputs//x", "logs/./x",
    "inputs/a\nb", "logs/\x1b[31m", "logs/a\x00b", "logs/\u202ex", "logs/\ud800", "logs/" + "x" * 300, "logs/" + "d/" * 40 + "x",
)  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_leads_elsewhere_is_refused_and_recorded(tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    _run_dir, missed = _run(tmp_path, ["logs/good", name])
    assert victim.read_text() == "mine"
    assert _files(tmp_path) == ["runs/x/1/logs/n1/good", "victim"]
    (one,) = missed
    assert one["host"] == "n1" and one["why"] and one["file"].isprintable() and len(one["file"]) <= 200


@settings(deadline=None)
@given(st.lists(st.text(st.sampled_from("./ax\x00\n\x7f~\\é"), max_size=12), max_size=5))
def test_no_name_whatever_leads_out_of_the_folder(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    root = tmp_path_factory.mktemp("names")
    run_dir, missed = _run(root, [f"logs/{name}" for name in names])
    assert all(run_dir in path.parents for path in root.rglob("*") if path.is_file())
    assert len(_files(root)) + len(missed) >= len({*names})


def test_links_in_the_run_folder_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("mine")
    run_dir = tmp_path / "runs" / "x" / "1"
    (run_dir / "logs" / "n1").mkdir(parents=True)
    (run_dir / "logs" / "n1" / "folder").symlink_to(outside)
    (run_dir / "logs" / "n1" / "file").symlink_to(outside / "file")
    _, missed = _run(tmp_path, ["logs/folder/new", "logs/folder/file", "logs/file"])
    assert len(missed) == 3 and all("link" in one["why"] for one in missed)
    assert _files(outside) == ["file"] and (outside / "file").read_text() == "mine"


def test_files_are_bounded_in_number_size_and_total(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "PART_BYTES", 10)
    monkeypatch.setattr(collecting, "FILE_BYTES", 50)
    # A host that never ends a file.
    _, missed = _run(tmp_path / "endless", ["logs/a"], b"x" * 10)
    assert "more than 50 bytes" in missed[0]["why"] and _files(tmp_path / "endless") == []
    # One that gives more than was asked for.
    _, missed = _run(tmp_path / "more", ["logs/a"], b"x" * 11)
    assert "more than it was asked for" in missed[0]["why"] and _files(tmp_path / "more") == []
    monkeypatch.setattr(collecting, "HOST_BYTES", 20)
    _, missed = _run(tmp_path / "total", [f"logs/{n}" for n in range(9)], b"x" * 8)
    assert len(_files(tmp_path / "total")) == 2 and len(missed) == 7
    monkeypatch.setattr(collecting, "HOST_FILES", 3)
    _, missed = _run(tmp_path / "number", [f"logs/{n}" for n in range(9)], b"")
    assert len(_files(tmp_path / "number")) == 3
    assert missed == [{"host": "n1", "file": "*", "why": "6 files more than the 3 that are taken from a host"}]


def test_two_names_of_one_place_are_one_file(tmp_path: Path) -> None:
    run_dir, missed = _run(tmp_path, ["logs/a", "a"])
    assert _files(run_dir) == ["logs/n1/a"] and len(missed) == 1 and "already" in missed[0]["why"]


def test_the_folder_is_asked_for_by_name(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    assert inside_folder.place(tmp_path, "logs/n1/a") == tmp_path.resolve() / "logs/n1/a"
    for wrong in HOSTILE:
        with pytest.raises(ValueError):
            inside_folder.place(tmp_path, wrong)
