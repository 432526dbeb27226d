"""Commands that write files which their user named, on a full disk: nothing is left that was not there, and the error is one of the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.report.folders import write_run
from tests.histories.test_full_disk import files_of_at_most
from tribulation.harness.cli.main import main
from tribulation.histories import parse, write_history

OLD_CAMPAIGN = """# kept
name: old
hosts: {provider: sim, nodes: 3}
duration: 2s
workloads:
  - register: {}
checks: auto
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_history("valid.jsonl", parse("p0 w1 | p1 r1").events)
    write_run(tmp_path / "run")
    Path("old.yaml").write_text(OLD_CAMPAIGN, encoding="utf-8")
    return tmp_path


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("space", [0, 60])
@pytest.mark.parametrize(
    "arguments",
    [
        ["new", "system", "shop", "--folder", "made/here"],
        ["convert", "valid.jsonl", "valid.edn"],
        ["export", "run", "run.tar.gz"],
        ["upgrade", "old.yaml"],
        ["check", "valid.jsonl", "--junit", "junit.xml"],
    ],
)
def test_nothing_is_left_on_a_full_disk(
    folder: Path, arguments: list[str], space: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """`tri new` left an empty file, and `tri upgrade` emptied the campaign that it was given."""
    before = content(folder)
    with pytest.raises(SystemExit) as ended, files_of_at_most(space):
        main(arguments)
    said = capsys.readouterr().err
    assert ended.value.code == 4 and "File too large" in said and "hint:" in said
    assert content(folder) == before and not (folder / "made").exists()


def test_a_result_for_which_there_is_no_space_leaves_what_the_file_says_until_then(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended, files_of_at_most(10):
        main(["check", "valid.jsonl", "--certificate", "order.json"])
    assert ended.value.code == 0 and "warning: cannot write order.json" in capsys.readouterr().err
    assert (folder / "order.json").read_text(encoding="utf-8") == "{}\n"


def test_what_is_replaced_keeps_its_link_and_its_mode(folder: Path) -> None:
    (folder / "real.yaml").write_text(OLD_CAMPAIGN, encoding="utf-8")
    (folder / "real.yaml").chmod(0o640)
    (folder / "link.yaml").symlink_to("real.yaml")
    with pytest.raises(SystemExit) as ended:
        main(["upgrade", "link.yaml"])
    assert ended.value.code == 0 and (folder / "link.yaml").is_symlink()
    assert "checkers: auto" in (folder / "real.yaml").read_text(encoding="utf-8")
    assert (folder / "real.yaml").stat().st_mode & 0o777 == 0o640
