"""A run as one archive: it comes back with the same verdict, keys stay at home, and no archive reaches out of its folder."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.errors import CampaignError, TribulationError
from tribulation.harness.evidence import archive
from tribulation.harness.evidence.archive import pack, unpack
from tribulation.harness.run.outcome.verdict import judge
from tribulation.harness.run.settings import Settings
from tribulation.harness.run.simulated import run_in_simulator

ROOT = Path(__file__).parents[3]
CAMPAIGN = "name: small\nseed: 3\nduration: 300ms\nhosts: {provider: sim, nodes: 3}\nworkloads: [{register: {}}]\n"
KEY = "-----BEGIN EC PRIVATE KEY-----\nc2VjcmV0\nc2VjcmV0\n-----END EC PRIVATE KEY-----"
HEAD = {"schema_version": 2, "campaign": "small", "name": "20260101T000000Z"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    (folder / "small.yaml").write_text(CAMPAIGN)
    settings = Settings("tri run small.yaml", folder, folder / "runs", lambda phase, detail: None)
    judged = run_in_simulator(load_campaign(folder / "small.yaml"), settings)
    return Path(judged.document["run"])


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_comes_back_with_the_same_files_and_verdict(run: Path, tmp_path: Path) -> None:
    assert pack(run, tmp_path / "run.tar.gz") == []
    back = unpack(tmp_path / "run.tar.gz", tmp_path / "there")
    assert back == tmp_path / "there/small" / run.name and _files(back) == _files(run)
    first, second = judge(run), judge(back)
    assert (first.verdict, first.results) == (second.verdict, second.results)
    assert second.document["gaps"] == []
    again = unpack(tmp_path / "run.tar.gz", tmp_path / "there")
    assert again.name == f"{run.name}-2" and _files(again) == _files(run)


def test_an_archive_may_lie_in_the_folder_that_it_is_of(run: Path, tmp_path: Path) -> None:
    first = unpack(_packed(run, tmp_path / "a.tar.gz"), tmp_path)
    inside = _packed(first, first / "a.tar.gz")
    assert _files(unpack(inside, tmp_path / "there")) == _files(run)


def _packed(run: Path, file: Path) -> Path:
    pack(run, file)
    return file


@pytest.mark.parametrize("text", [f"before\n{KEY}\nafter\n", json.dumps({"key": KEY}) + "\nafter\n", KEY[:40]])
def test_keys_in_logs_are_removed_and_sizes_stay(run: Path, tmp_path: Path, text: str) -> None:
    mine = unpack(_packed(run, tmp_path / "a.tar.gz"), tmp_path)
    for name, content in (("log.txt", text), ("node.key", KEY)):
        (mine / "logs/n1").mkdir(parents=True, exist_ok=True)
        (mine / "logs/n1" / name).write_text(content)
    assert pack(mine, tmp_path / "b.tar.gz") == ["logs/n1/log.txt", "logs/n1/node.key"]
    back = unpack(tmp_path / "b.tar.gz", tmp_path / "there")
    cleaned = (back / "logs/n1/log.txt").read_text()
    assert len(cleaned) == len(text) and cleaned.count("\n") == text.count("\n") and "c2VjcmV0" not in cleaned
    assert ("after" in cleaned) is ("after" in text) and not (back / "logs/n1/node.key").exists()


@given(
    st.lists(st.sampled_from(["x" * 90, "\n", "-" * 5, KEY[:31], KEY, KEY[-29:], " "]), max_size=12),
    st.integers(1, 200),
)
def test_keys_are_removed_wherever_blocks_end(parts: list[str], block: int) -> None:
    """A log without a newline was read as one line, in whole."""
    text = "".join(parts).encode()
    whole = archive._WithoutKeys(io.BytesIO(text)).read(len(text) + 1)
    with patch.object(archive, "_BLOCK", block):
        source = archive._WithoutKeys(io.BytesIO(text))
        assert b"".join(iter(lambda: source.read(7), b"")) == whole
    assert len(whole) == len(text) and b"c2VjcmV0" not in whole


def test_no_more_than_a_block_of_a_log_is_in_memory() -> None:
    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            assert 0 < size <= 1 << 20
            return b"x" * size

        def readline(self, size: int | None = -1) -> bytes:
            raise AssertionError("a line may have no end")

    source = archive._WithoutKeys(Endless())
    assert len(source.read(1 << 16)) == 1 << 16


def test_an_archive_of_a_later_version_is_refused(tmp_path: Path) -> None:
    head = {"schema_version": 99, "campaign": "small", "name": "20261202T084257Z"}
    file = _archive(tmp_path / "a.tar.gz", _named("run/plan.json"), head)
    with pytest.raises(CampaignError, match="schema_version is 99"):
        unpack(file, tmp_path / "runs")


def test_an_export_that_cannot_be_written_names_the_file_and_not_an_option_that_it_lacks(
    run: Path, tmp_path: Path
) -> None:
    (tmp_path / "in-the-way").write_text("")
    with pytest.raises(TribulationError, match=r"cannot write .*in-the-way") as raised:
        pack(run, tmp_path / "in-the-way" / "run.tar.gz")
    assert raised.value.exit_code == 4
    assert "another FILE" in str(raised.value.hint) and "--runs" not in str(raised.value.hint)


@pytest.mark.parametrize("where", ["open", "read"])
def test_evidence_that_cannot_be_read_is_not_an_archive_that_cannot_be_written(
    run: Path, tmp_path: Path, where: str
) -> None:
    broken = OSError(errno.EIO, "Input/output error")
    opened = archive.open_regular

    def failing(path: Path) -> Any:
        if path.name != "history.jsonl":
            return opened(path)
        if where == "open":
            raise broken
        return MagicMock(
            **{"read.side_effect": broken, "__enter__.side_effect": lambda: MagicMock(**{"read.side_effect": broken})}
        )

    with (
        patch.object(archive, "open_regular", failing),
        pytest.raises(CampaignError, match=r"history\.jsonl: cannot be read: Input/output error"),
    ):
        pack(run, tmp_path / "run.tar.gz")
    assert list(tmp_path.iterdir()) == []


def test_an_import_that_fails_leaves_no_folder_that_it_made(tmp_path: Path) -> None:
    file = _archive(tmp_path / "a.tar.gz", next(iter(HOSTILE.values())))
    with pytest.raises(CampaignError, match="not an archive of a run"):
        unpack(file, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
    (tmp_path / "runs" / "small" / "other").mkdir(parents=True)
    with pytest.raises(CampaignError, match="not an archive of a run"):
        unpack(file, tmp_path / "runs")
    assert [path.name for path in (tmp_path / "runs" / "small").iterdir()] == ["other"]


def test_an_import_removes_what_a_killed_one_left_and_nothing_of_a_running_one(run: Path, tmp_path: Path) -> None:
    file = _packed(run, tmp_path / "a.tar.gz")
    here = f"import os, signal\nfrom pathlib import Path\nfrom tribulation.harness.evidence import archive\nfile, runs = Path({str(file)!r}), Path({str(tmp_path)!r})\n"
    kill = "archive._placed = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\narchive.unpack(file, runs)\n"
    running = "archive._placed = lambda *_: (print(flush=True), input())\narchive.unpack(file, runs)\n"
    killed = subprocess.run([sys.executable, "-c", here + kill], cwd=ROOT, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    (left,) = tmp_path.glob("small/.import-*")
    command = [sys.executable, "-c", here + running]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"\n"
        assert not left.exists()
        unpack(file, tmp_path)
        assert [path.name for path in tmp_path.glob("small/.import-*")] == [f".import-{other.pid}"]
        other.kill()
    unpack(file, tmp_path)
    assert not list(tmp_path.glob("small/.import-*"))


def test_an_import_that_was_killed_before_its_first_file_is_removed_also_while_others_begin(
    run: Path, tmp_path: Path
) -> None:
    """An empty folder may be one that another import is about to lock: that import makes it again."""
    file = _packed(run, tmp_path / "a.tar.gz")
    (tmp_path / "small/.import-1").mkdir(parents=True)
    unpack(file, tmp_path)
    assert not list(tmp_path.glob("small/.import-*"))
    locked, removed = archive._locked, []

    def late(stage: Path) -> int:
        if not removed and stage.name == f".import-{os.getpid()}":
            removed.append(stage)
            archive._remove_abandoned(tmp_path)
        return locked(stage)

    with patch.object(archive, "_locked", late):
        assert (unpack(file, tmp_path) / "history.jsonl").exists()
    assert removed and not list(tmp_path.glob("small/.import-*"))


def test_a_key_in_the_evidence_refuses_the_export(run: Path, tmp_path: Path) -> None:
    mine = unpack(_packed(run, tmp_path / "a.tar.gz"), tmp_path)
    (mine / "campaign.yaml").write_text(KEY)
    with pytest.raises(CampaignError, match=r"campaign\.yaml has a private key"):
        pack(mine, tmp_path / "b.tar.gz")
    assert not (tmp_path / "b.tar.gz").exists()


def test_links_are_not_packed(run: Path, tmp_path: Path) -> None:
    mine = unpack(_packed(run, tmp_path / "a.tar.gz"), tmp_path)
    (mine / "logs").mkdir(exist_ok=True)
    (mine / "logs/all").symlink_to("/etc")
    with pytest.raises(CampaignError, match="is a link"):
        pack(mine, tmp_path / "b.tar.gz")


Add = Callable[[str, bytes], None]


def _archive(path: Path, fill: Callable[[tarfile.TarFile, Add], None], head: object = HEAD) -> Path:
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as tar:

        def add(name: str, content: bytes) -> None:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))

        add("archive.json", json.dumps(head).encode())
        fill(tar, add)
    return path


def _special(kind: bytes, target: str = "") -> Callable[[tarfile.TarFile, Add], None]:
    def fill(tar: tarfile.TarFile, add: Add) -> None:
        add("run/history.jsonl", b"")
        info = tarfile.TarInfo("run/logs")
        info.type, info.linkname = kind, target
        tar.addfile(info)
        add("run/logs/passwd", b"x")

    return fill


def _named(*names: str) -> Callable[[tarfile.TarFile, Add], None]:
    return lambda tar, add: [add(name, b"") for name in ("run/history.jsonl", *names)] and None


HOSTILE: dict[str, Callable[[tarfile.TarFile, Add], None]] = {
    "a link out": _special(tarfile.SYMTYPE, "/etc"),
    "a hard link": _special(tarfile.LNKTYPE, "run/history.jsonl"),
    "a device": _special(tarfile.CHRTYPE),
    "a pipe": _special(tarfile.FIFOTYPE),
    "a folder": _special(tarfile.DIRTYPE),
    "up": _named("run/../../escaped"),
    "absolute": _named("/tmp/escaped"),
    "absolute below": _named("run//tmp/escaped"),
    "elsewhere": _named("other/file"),
    "twice": _named("run/a", "run/a"),
    "a file and a folder": _named("run/a", "run/a/b"),
    "no history": lambda tar, add: add("run/plan.json", b"{}"),
    "too many": _named(*(f"run/logs/n1/{i}" for i in range(60))),
    "too large": lambda tar, add: add("run/history.jsonl", bytes(2_000_000)),
    "a long header": _named("run/" + "a" * 200_000),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_archive_is_refused_and_leaves_nothing(tmp_path: Path, what: str) -> None:
    file = _archive(tmp_path / "a.tar.gz", HOSTILE[what])
    with pytest.raises(CampaignError, match="not an archive of a run"):
        unpack(file, tmp_path / "runs", most_files=50, most_bytes=1_000_000)
    assert not (tmp_path / "runs").exists() and not list(tmp_path.rglob("escaped"))
    assert not Path("/tmp/escaped").exists()


@pytest.mark.parametrize("campaign", ["..", "a/b", "latest", "", 7, None])
def test_a_campaign_cannot_name_another_folder(tmp_path: Path, campaign: object) -> None:
    file = _archive(tmp_path / "a.tar.gz", _named(), {**HEAD, "campaign": campaign})
    with pytest.raises(CampaignError, match="cannot be the name of a campaign"):
        unpack(file, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", ["../x", "latest", None])
def test_a_name_that_no_run_has_is_replaced(tmp_path: Path, name: object) -> None:
    file = _archive(tmp_path / "a.tar.gz", _named(), {**HEAD, "name": name})
    assert unpack(file, tmp_path / "runs").name == "20000101T000000Z"


@pytest.mark.parametrize("keep", [0, 5, 200, -4])
def test_what_is_cut_or_no_archive_is_refused(run: Path, tmp_path: Path, keep: int) -> None:
    whole = _packed(run, tmp_path / "a.tar.gz").read_bytes()
    (tmp_path / "b.tar.gz").write_bytes(whole[:keep])
    with pytest.raises(CampaignError, match="not an archive of a run"):
        unpack(tmp_path / "b.tar.gz", tmp_path / "runs")
    (tmp_path / "c.tar.gz").write_bytes(b"text" * 100)
    with pytest.raises(CampaignError, match="not an archive of a run"):
        unpack(tmp_path / "c.tar.gz", tmp_path / "runs")


@pytest.mark.parametrize("place", ["/dev/zero", "/dev/null", "fifo", "folder", "nothing"])
def test_what_is_no_file_is_refused(tmp_path: Path, place: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    with pytest.raises(CampaignError, match="cannot be read"):
        unpack(tmp_path / place, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_an_archive_says_nothing_of_the_user_that_made_it(run: Path, tmp_path: Path) -> None:
    first, second = _packed(run, tmp_path / "a.tar.gz"), _packed(run, tmp_path / "b.tar.gz")
    assert first.read_bytes() == second.read_bytes()
    with tarfile.open(first) as tar:
        assert {(one.uid, one.uname, one.mtime) for one in tar} == {(0, "", 0)}
    assert archive.MOST_FILES > 5 * 4096


def test_no_device_is_replaced_by_an_archive(run: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "run.tar.gz")
    with pytest.raises(TribulationError, match="a device, pipe or socket"):
        pack(run, tmp_path / "run.tar.gz")
    assert not (tmp_path / "run.tar.gz").is_file()
