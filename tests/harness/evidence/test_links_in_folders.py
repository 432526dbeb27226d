"""A run's folder that another user made: its links lead no command out of it, for writes or for reads without end."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tribulation.harness.evidence.seal import MOST_UNKNOWN, broken_seals
from tribulation.harness.run.outcome.run_folder import read_facts
from tribulation.histories.files.replacing import replacing

from .fuzz.damages import copied
from .fuzz.test_damaged_folders import _tri


@pytest.mark.parametrize("name", ["report.html", "verdict.json", "digests.json"])
@pytest.mark.parametrize("ending", ["", ".tmp"])
def test_what_is_written_into_a_folder_replaces_links(stale_run: Path, tmp_path: Path, name: str, ending: str) -> None:
    """`report.html.tmp -> ~/.bashrc` in a folder that was sent had the report written there."""
    run, victim = copied(stale_run, tmp_path), tmp_path / "victim"
    victim.write_text("mine")
    (run / f"{name}{ending}").unlink(missing_ok=True)
    (run / f"{name}{ending}").symlink_to(victim)
    for command in ("check", "report"):
        _tri(command, run)
    assert victim.read_text() == "mine"


def test_a_link_is_replaced_and_a_failure_leaves_nothing(tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", tmp_path / "file"
    victim.write_text("mine")
    path.symlink_to(victim)
    (tmp_path / "file.tmp").symlink_to(victim)
    with replacing(path) as file:
        file.write(b"new")
    assert (victim.read_text(), path.read_text(), path.is_symlink()) == ("mine", "new", False)
    with pytest.raises(ZeroDivisionError), replacing(path):
        raise ZeroDivisionError
    assert sorted(os.listdir(tmp_path)) == ["file", "file.tmp", "victim"] and path.read_text() == "new"


def test_of_two_that_write_a_file_at_once_each_writes_a_whole_one(tmp_path: Path) -> None:
    """The first to end put the half-written file of the other in place, and the other failed."""
    path = tmp_path / "file"
    first, second = replacing(path), replacing(path)
    one, two = first.__enter__(), second.__enter__()
    two.write(b"sec")
    two.flush()
    one.write(b"first")
    first.__exit__(None, None, None)
    assert path.read_text() == "first"
    two.write(b"ond")
    second.__exit__(None, None, None)
    assert (os.listdir(tmp_path), path.read_text()) == (["file"], "second")


@pytest.mark.parametrize("folder", ["trace", "inputs", "logs"])
@pytest.mark.parametrize("target", ["/", "/proc", "."])
def test_a_folder_that_is_a_link_is_a_gap_and_not_followed(
    sound_run: Path, tmp_path: Path, folder: str, target: str
) -> None:
    """Of `trace -> /` all files of the machine were listed, and `logs -> /proc` ended in an internal error."""
    run = copied(sound_run, tmp_path)
    shutil.rmtree(run / folder)
    (run / folder).symlink_to(target)
    gaps = broken_seals(run, read_facts(run).files)
    assert (folder, "is a link, which no run makes") in [(gap.name, gap.why) for gap in gaps]
    code, said = _tri("check", run)
    assert code in ((3,) if folder == "trace" else (0, 3)), said
    assert _tri("report", run)[0] == 0


def test_links_to_folders_below_are_not_followed(sound_run: Path, tmp_path: Path) -> None:
    run = copied(sound_run, tmp_path)
    (run / "inputs" / "all").symlink_to("/")
    assert broken_seals(run, read_facts(run).files) == []


def test_of_many_files_that_were_not_sealed_few_are_named(sound_run: Path, tmp_path: Path) -> None:
    run = copied(sound_run, tmp_path)
    for number in range(MOST_UNKNOWN + 5):
        (run / "trace" / f"x{number:03}.txt").write_text("")
    gaps = broken_seals(run, read_facts(run).files)
    assert len(gaps) == MOST_UNKNOWN + 1 and (gaps[-1].part, gaps[-1].name) == ("trace", "5 more files")
