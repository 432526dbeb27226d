"""Work over processes and over a Dask cluster: in order and bounded; the task that a worker died of is reported."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from tests.harness.search.work import die_once, double, double_unless_seven, refuse, sleep, slow_when_early
from tribulation.harness.errors import CampaignError
from tribulation.harness.failures.pool import DaskWorkers, LocalWorkers, exposure, in_order
from tribulation.harness.systems.reference.authority import LIFE, Authority

ROOT = Path(__file__).resolve().parents[3]


def lost(item):
    return f"lost {item}"


@pytest.fixture(scope="module")
def two() -> Iterator[LocalWorkers]:
    with LocalWorkers(2) as workers:
        yield workers


def test_results_come_in_the_order_of_the_work(two: LocalWorkers):
    assert list(in_order(two, slow_when_early, range(8), 4, lost)) == list(range(8))


class Recorded:
    """Workers that do everything at once, and say what was asked of them."""

    size = 1

    def __init__(self) -> None:
        self.submitted: list[int] = []

    def submit(self, work, item):
        self.submitted.append(item)
        future: Future = Future()
        future.set_result(work(item))
        return future


def test_no_more_than_the_window_is_outstanding():
    recorded = Recorded()
    for done, result in enumerate(in_order(recorded, double, iter(range(50)), 5, lost), start=1):
        assert result == 2 * (done - 1)
        assert len(recorded.submitted) <= done + 4


def test_items_may_depend_on_results_that_came_a_window_ago(two: LocalWorkers):
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(20):
            yield number if number < 4 else taken[number - 4]

    for result in in_order(two, double, items(), 4, lost):
        taken.append(result)
    assert taken[:4] == [0, 2, 4, 6] and taken[19] == 2 * taken[15]


def test_the_item_that_kills_its_worker_is_lost_and_no_other():
    with LocalWorkers(2) as workers:
        results = list(in_order(workers, double_unless_seven, range(12), 6, lost))
    assert results == [2 * number if number != 7 else "lost 7" for number in range(12)]


def test_a_worker_that_died_by_chance_costs_nothing(tmp_path: Path):
    with LocalWorkers(1) as workers:
        assert list(in_order(workers, die_once, [str(tmp_path / "been-here")], 1, lost)) == ["done"]


def test_what_the_work_raises_is_raised_here(two: LocalWorkers):
    with pytest.raises(ValueError, match="no 3"):
        list(in_order(two, refuse, [3], 2, lost))


def test_leaving_early_leaves_no_process_behind():
    before = set(multiprocessing.active_children())
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), LocalWorkers(2) as workers:
        for _ in in_order(workers, sleep, [0.0, 60.0, 60.0, 60.0], 4, lost):
            raise KeyboardInterrupt
    deadline = began + 30
    while set(multiprocessing.active_children()) - before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert set(multiprocessing.active_children()) <= before
    assert time.monotonic() - began < 30


def test_workers_end_with_their_parent():
    """A parent that is killed cannot say goodbye."""
    script = (
        "import multiprocessing, sys\n"
        "from tribulation.harness.failures.pool import LocalWorkers\n"
        "from tests.harness.search.work import double\n"
        "if __name__ == '__main__':\n"
        "    workers = LocalWorkers(1)\n"
        "    workers.submit(double, 1).result()\n"
        "    print(*(child.pid for child in multiprocessing.active_children()), flush=True)\n"
        "    sys.stdin.read()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
    finally:
        parent.kill()
        parent.communicate(timeout=30)
    assert pids
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() and _runs(pid) for pid in pids):
        assert time.monotonic() < deadline, "a worker outlived its parent"
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    """Whether it is more than an entry that was not read yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextlib.contextmanager
def running_loop() -> Iterator[Any]:
    """Dask's event loop in a thread. Dask itself waits ten seconds for that thread, too short on a busy machine."""
    from tornado.ioloop import IOLoop

    started: Future[tuple[IOLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        stopped = asyncio.Event()
        started.set_result((IOLoop.current(), stopped))
        await stopped.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    loop, stopped = started.result(timeout=120.0)
    try:
        yield loop
    finally:
        loop.add_callback(stopped.set)
        thread.join(60.0)


@pytest.fixture(scope="module")
def dask() -> Iterator[str]:
    """The address of a real cluster with one worker process."""
    distributed = pytest.importorskip("distributed", reason="needs the extra: pip install 'tribulation[dask]'")
    with (
        running_loop() as loop,
        distributed.LocalCluster(
            loop=loop, n_workers=1, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
        ) as cluster,
    ):
        yield cluster.scheduler_address


def test_a_dask_cluster_does_the_work_as_processes_do(dask: str):
    with DaskWorkers(dask) as workers:
        assert workers.size == 1
        assert list(in_order(workers, slow_when_early, range(6), 3, lost)) == list(range(6))
        with pytest.raises(ValueError, match="no 3"):
            list(in_order(workers, refuse, [3], 2, lost))


def test_a_dask_cluster_with_another_core_is_refused(dask: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tribulation.node.core_source.fingerprint", lambda: "another")
    with pytest.raises(CampaignError, match=r"has not this Tribulation.*\n\nhint: install the same version"):
        DaskWorkers(dask)


def test_a_dask_scheduler_that_is_not_there_is_an_error_with_a_hint():
    pytest.importorskip("distributed", reason="needs the extra: pip install 'tribulation[dask]'")
    with pytest.raises(CampaignError, match=r"nonsense.*\n\nhint: start one with `dask scheduler`"):
        DaskWorkers("nonsense://127.0.0.1:1")


def test_without_dask_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(CampaignError, match=r"tribulation\[dask\]"):
        DaskWorkers("tcp://127.0.0.1:8786")


def test_dask_is_reached_by_tls_with_the_settings_of_dask(tmp_path: Path):
    distributed = pytest.importorskip("distributed", reason="needs the extra: pip install 'tribulation[dask]'")
    config = pytest.importorskip("dask").config
    authority = Authority.new("dask")
    issued = authority.node("n1", LIFE)
    files = {"ca": authority.certificate, "cert": issued.certificate, "key": issued.key}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    tls = {"ca-file": str(tmp_path / "ca")}
    tls |= {
        f"{who}.{what}": str(tmp_path / what) for who in ("scheduler", "worker", "client") for what in ("cert", "key")
    }
    settings = {f"distributed.comm.tls.{name}": value for name, value in tls.items()}
    options = {
        "n_workers": 1,
        "threads_per_worker": 1,
        "processes": False,
        "dashboard_address": None,
        "silence_logs": 50,
    }
    with contextlib.ExitStack() as stack:
        stack.enter_context(config.set({**settings, "distributed.comm.require-encryption": True}))
        loop = stack.enter_context(running_loop())
        made = distributed.LocalCluster(protocol="tls://", security=distributed.Security(), loop=loop, **options)
        address = stack.enter_context(made).scheduler_address
        assert address.startswith("tls://")
        with DaskWorkers(address) as workers:
            assert list(in_order(workers, double, [1, 2], 2, lost)) == [2, 4]
        with pytest.raises(CampaignError, match=r"hint: .*require-encryption"):
            DaskWorkers(address.replace("tls://", "tcp://"))


def test_a_dask_address_of_tls_without_its_settings_is_an_error_with_a_hint():
    pytest.importorskip("distributed", reason="needs the extra: pip install 'tribulation[dask]'")
    with pytest.raises(CampaignError, match=r"hint: .*distributed\.comm\.tls"):
        DaskWorkers("tls://127.0.0.1:1")


@pytest.mark.parametrize(
    ("address", "exposed"),
    [
        ("tcp://127.0.0.1:8786", False),
        ("tcp://[::1]:8786", False),
        ("tls://10.0.0.1:8786", False),
        ("tcp://10.0.0.1:8786", True),
        ("tcp://host:8786", True),
        ("10.0.0.1:8786", True),
        ("localhost:8786", False),
    ],
)
def test_a_scheduler_that_anyone_may_use_is_said_to_be_one(address: str, exposed: bool):
    assert (exposure(address) is not None) == exposed
