"""Every command on a damaged folder of a run ends with a documented exit code, and none calls a damaged run valid."""

from __future__ import annotations

import io
import json
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tribulation.checkers.soundness.gating import REPORTED_ONLY
from tribulation.harness.cli.main import main
from tribulation.harness.errors import CampaignError
from tribulation.harness.evidence.seal import part_of
from tribulation.harness.run.outcome.run_folder import DIGEST, _digest, read_facts

from .damages import DAMAGES, Damage, copied

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "8"))
FUZZ = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
FUZZ_SIMULATED = settings(FUZZ, max_examples=max(3, EXAMPLES // 4))
CPU_S, BLOCKED_S = 30, 120
NO_EVIDENCE = {"verdict.json", "digests.json", "shrink.json"}
READING = ["check", "report", "report --costs", "compare RUN", "export ARCHIVE"]
SIMULATING = ["replay", "explain --tries 1 --points 0", "shrink --tries 2 --time 5s"]


@FUZZ
@given(st.lists(DAMAGES, min_size=1, max_size=2), st.booleans())
def test_a_damaged_run_is_never_valid(sound_run: Path, damages: list[Damage], sealed: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = copied(sound_run, Path(folder))
        before = _contents(run)
        damaged = {damage.do(run) for damage in damages}
        if sealed:
            _seal(run)
        code, said = _tri("check", run)
        assert code in (0, 1, 2, 3, 4), said
        assert _tri("report", run)[0] in (0, 2)
        changed = {name for name in damaged if _contents(run).get(name) != before[name]} - NO_EVIDENCE
        if _same_facts(before["run.json"], _contents(run).get("run.json", b"")):
            changed -= {"run.json"}
        if not sealed and any(name == "run.json" or part_of(name) not in REPORTED_ONLY for name in changed):
            assert code != 0, (damages, said)


@FUZZ
@given(st.lists(DAMAGES, min_size=1, max_size=2))
def test_a_damaged_run_keeps_its_anomaly_where_the_history_is_whole(stale_run: Path, damages: list[Damage]) -> None:
    """The stale read rests on the history alone; damage to the history may hide it, and never makes the run valid."""
    with tempfile.TemporaryDirectory() as folder:
        run = copied(stale_run, Path(folder))
        before = _contents(run)
        damaged = {damage.do(run) for damage in damages}
        changed = {name for name in damaged if _contents(run).get(name) != before[name]}
        code, said = _tri("check", run)
        event(f"{code}")
        # Without its two records of what ran it is no run; the hint is to check the history alone.
        no_run = {"run.json", "plan.json"} <= changed and "has no run" in said
        assert code in ((1, 2, 3, 4) if "history.jsonl" in changed else (2,) if no_run else (1,)), (changed, said)


@FUZZ
@given(st.lists(DAMAGES, min_size=1, max_size=2), st.booleans(), st.sampled_from(READING))
def test_every_command_that_reads_ends_in_order(
    stale_run: Path, damages: list[Damage], sealed: bool, command: str
) -> None:
    _ends_in_order(stale_run, damages, sealed, command)


@FUZZ_SIMULATED
@given(st.lists(DAMAGES, min_size=1, max_size=2), st.booleans(), st.sampled_from(SIMULATING))
def test_every_command_that_simulates_ends_in_order(
    stale_run: Path, damages: list[Damage], sealed: bool, command: str
) -> None:
    _ends_in_order(stale_run, damages, sealed, command)


def _ends_in_order(of: Path, damages: list[Damage], sealed: bool, command: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = copied(of, Path(folder))
        for damage in damages:
            damage.do(run)
        if sealed:
            _seal(run)
        code, said = _tri(command, run)
        event(f"{command}: {code}")
        assert code in (0, 1, 2, 3, 4), said


def _tri(command: str, run: Path) -> tuple[int, str]:
    """The exit code, and what was printed."""
    said = io.StringIO()
    places = {"RUN": str(run), "ARCHIVE": f"{run}.tar.gz"}
    words = [places.get(word, word) for word in command.split()]
    with _in_time(), redirect_stdout(said), redirect_stderr(said), pytest.raises(SystemExit) as ended:
        main([words[0], str(run), *words[1:]])
    return int(str(ended.value.code)), said.getvalue()[-3000:]


@contextmanager
def _in_time() -> Iterator[None]:
    """A command that waits for a pipe, or reads without end, is ended by an error, which becomes the exit code of a bug."""

    def late(number: int, frame: object) -> None:
        raise TimeoutError(f"signal {number}: it takes too long")

    timers = {signal.SIGALRM: (signal.ITIMER_REAL, BLOCKED_S), signal.SIGVTALRM: (signal.ITIMER_VIRTUAL, CPU_S)}
    before = {number: signal.signal(number, late) for number in timers}
    rest = signal.getitimer(signal.ITIMER_REAL)
    try:
        for timer, most_s in timers.values():
            signal.setitimer(timer, most_s)
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.setitimer(signal.ITIMER_REAL, *rest)
        for number, handler in before.items():
            signal.signal(number, handler)


def _seal(run: Path) -> None:
    """As the one who made the damage could have done it."""
    path = run / "run.json"
    if any(file.is_file() and file.stat().st_size > 1 << 30 for file in run.rglob("*")):
        return  # a sparse file would be read whole
    try:
        document = json.loads(path.read_text()) if path.is_file() and path.stat().st_size < 1 << 30 else None
        if isinstance(document, dict):
            document.pop(DIGEST, None)
            path.write_text(json.dumps({**document, DIGEST: _digest(document)}))
            read_facts(run).sealed(run)
    except (ValueError, RecursionError, OSError, CampaignError, TypeError):
        return


def _same_facts(before: bytes, after: bytes) -> bool:
    """Whether only the order of fields differs: two lines of an object were swapped."""
    try:
        return json.dumps(json.loads(before), sort_keys=True) == json.dumps(json.loads(after), sort_keys=True)
    except ValueError:
        return False


def _contents(run: Path) -> dict[str, bytes]:
    found = {}
    for path in run.rglob("*"):
        if path.is_file() and path.stat().st_size < 1 << 30:
            found[path.relative_to(run).as_posix()] = path.read_bytes()
    return found
