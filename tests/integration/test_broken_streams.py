"""The exit code of a command is its verdict, whatever becomes of what it prints: full, closed and broken streams, a reader that is slow."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.full import full
from tests.integration.running import with_default_signals
from tribulation.histories import parse, write_history

ROOT = Path(__file__).parents[2]
VERDICTS = {"valid": 0, "invalid": 1, "unknown": 3}
HISTORIES = {"valid": "p0 w1 | p1 r1", "invalid": "p0 w1 p0 w2 p1 r1", "unknown": ""}
CAMPAIGN = "name: short\nhosts: {provider: sim, nodes: 3}\nseed: 5\nduration: 1s\nworkloads: [register: {clients: 3, rate: 60/s}]\n"
FILES = ["campaign.yaml", "history.jsonl", "ledger.jsonl", "plan.json", "report.html", "run.json", "verdict.json"]


@contextmanager
def _reader_gone() -> Iterator[int]:
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


@contextmanager
def _full() -> Iterator[int]:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    yield descriptor
    os.close(descriptor)


@contextmanager
def _closed_terminal() -> Iterator[int]:
    ours, theirs = pty.openpty()
    os.close(ours)
    yield theirs
    os.close(theirs)


@contextmanager
def _reader_slow() -> Iterator[int]:
    """A pipe that is full, and that no process reads."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while os.write(writing, b"x" * 4096):
            pass
    except BlockingIOError:
        pass
    os.set_blocking(writing, True)
    yield writing
    os.close(writing)
    os.close(reading)


@contextmanager
def _shut() -> Iterator[int]:
    yield -1


BREAKS: dict[str, Callable] = {
    "reader gone": _reader_gone,
    "full": _full,
    "closed terminal": _closed_terminal,
    "closed": _shut,
}


def _tri(words: list[str], directory: Path, **broken: int) -> subprocess.CompletedProcess[bytes]:
    """`broken` maps stdout or stderr to a descriptor, or -1 for one that is closed; the other is read."""

    def close() -> None:
        with_default_signals()
        for name, descriptor in broken.items():
            if descriptor == -1:
                os.close({"stdin": 0, "stdout": 1, "stderr": 2}[name])

    streams = {name: subprocess.PIPE if broken.get(name, -1) == -1 else broken[name] for name in ("stdout", "stderr")}
    return subprocess.run(
        [sys.executable, "-m", "tribulation.harness.cli", *words],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        preexec_fn=close,
        timeout=60,
        **streams,
    )


@pytest.fixture(params=["valid", *full("invalid", "unknown")])
def judged(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[list[str], int]:
    write_history(tmp_path / "history.jsonl", parse(HISTORIES[request.param]).events)
    return ["check", "history.jsonl"], VERDICTS[request.param]


@pytest.mark.parametrize("how", BREAKS)
def test_a_verdict_that_cannot_be_printed_is_still_the_exit_code(judged, tmp_path: Path, how: str) -> None:
    words, code = judged
    with BREAKS[how]() as stdout:
        ended = _tri(words, tmp_path, stdout=stdout)
        assert ended.returncode == code, ended.stderr
        reported = ended.stderr.decode()
        assert reported.count("warning: the result could not be written to stdout: ") == (how != "reader gone"), (
            reported
        )
        assert "Traceback" not in reported and "ignored" not in reported
        assert _tri([*words, "--json"], tmp_path, stdout=stdout, stderr=stdout).returncode == code


@pytest.mark.parametrize("how", [*BREAKS, "reader slow"])
def test_a_run_goes_to_its_end_without_a_stderr(tmp_path: Path, how: str) -> None:
    (tmp_path / "short.yaml").write_text(CAMPAIGN)
    with {**BREAKS, "reader slow": _reader_slow}[how]() as stderr:
        ended = _tri(["run", "short.yaml", "--json"], tmp_path, stderr=stderr)
    assert ended.returncode == 0 and json.loads(ended.stdout)["verdict"] == "valid"
    assert {*FILES} <= {path.name for path in (tmp_path / "runs/short/latest").iterdir()}


def test_a_run_goes_to_its_end_without_any_stream(tmp_path: Path) -> None:
    (tmp_path / "short.yaml").write_text(CAMPAIGN)
    assert _tri(["run", "short.yaml"], tmp_path, stdin=-1, stdout=-1, stderr=-1).returncode == 0
    folder = tmp_path / "runs/short/latest"
    assert {*FILES} <= {path.name for path in folder.iterdir()}
    first = json.loads((folder / "history.jsonl").read_text().splitlines()[0])
    assert first["index"] == 0, "no other file got the number of a standard stream"


def test_errors_have_their_exit_codes_without_a_stderr(tmp_path: Path) -> None:
    for break_it in BREAKS.values():
        with break_it() as stderr:
            assert _tri(["check", "no-such-history"], tmp_path, stderr=stderr).returncode == 2
            assert _tri(["check", "--no-such-option"], tmp_path, stderr=stderr).returncode == 2


def test_an_encoding_that_lacks_letters_spoils_neither_talk_nor_json(tmp_path: Path) -> None:
    path = tmp_path / "kürze.yaml"
    path.write_text(CAMPAIGN, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "tribulation.harness.cli", "run", path.name]
    for words in ([], ["--json"]):
        ended = subprocess.run([*command, *words], cwd=tmp_path, env=environment, capture_output=True, timeout=60)
        assert ended.returncode == 0, ended.stderr
        reported = ended.stdout.decode("ascii")
        assert ("kürze" in json.loads(reported)["command"]) if words else (r"k\xfcrze" in reported)
