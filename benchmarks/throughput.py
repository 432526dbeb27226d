"""Operations a second with an ordinary driver: the clients of a run, with all that records them, against bare loops of redis-py in as many processes.

    python benchmarks/throughput.py                                  32 clients, 5 rounds, a line a round
    python benchmarks/throughput.py --clients 8 --rounds 3 --out FILE
    python benchmarks/throughput.py --appendfsync always             the server syncs each write to disk

One Redis server on loopback. A round measures the bare loops, then the clients of a run as threads and as processes (`clients: processes`), one after
another. Each client reads and writes eight keys, half of each, as fast as it can. On the run's side is everything that a run does for an operation:
generator, runner, client process and forwarder, history on disk. Compare only figures of one round: other work on the machine lowers all of them.
`cpu_us` is processor time for an operation, of clients, run and server together.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "systems")]

from redis_single import connected  # noqa: E402

from tribulation.harness.nemesis.faults.fault import Injector, Intent, Observation, Resolved, Situation  # noqa: E402
from tribulation.harness.run.clients.pool import ClientProcesses  # noqa: E402
from tribulation.harness.run.drive.journal import Journal  # noqa: E402
from tribulation.harness.run.drive.nemesis import Nemesis  # noqa: E402
from tribulation.harness.run.drive.runner import Phase  # noqa: E402
from tribulation.harness.run.drive.threads import ThreadDriver  # noqa: E402
from tribulation.harness.run.drive.worker import RunClock  # noqa: E402
from tribulation.harness.run.plan.own_system import load_system  # noqa: E402
from tribulation.harness.run.plan.plan import Plan, Timing, make_slots  # noqa: E402
from tribulation.harness.workloads import Register, RegisterSpec  # noqa: E402
from tribulation.histories import Recorder  # noqa: E402

KEYS = 8
FAST = 100_000.0
"""Operations a second that are asked for: more than there can be."""
SAMPLE_NS = 300_000_000
TICKS = os.sysconf("SC_CLK_TCK")
Figure = dict[str, float]


@contextmanager
def redis_server(appendfsync: str) -> Iterator[tuple[int, int]]:
    """Run a Redis server, and yield its pid and its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    with tempfile.TemporaryDirectory() as folder:
        append_only = "no" if appendfsync == "none" else "yes"
        files = ["--dir", folder, "--save", "", "--appendonly", append_only]
        sync = [] if appendfsync == "none" else ["--appendfsync", appendfsync]
        words = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", *files, *sync]
        server = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        try:
            _wait_for(port)
            yield server.pid, port
        finally:
            server.kill()
            server.wait()


def _wait_for(port: int, within_s: float = 20.0) -> None:
    deadline_s = time.monotonic() + within_s
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.02)


def cpu_s(pid: int) -> float:
    """Processor time of a process with its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _loop(port: int, client: int, seconds: float, answers: Any) -> None:
    """The bare loop: ten lines with redis-py."""
    redis, draw, count = connected(("127.0.0.1", port), 5.0), random.Random(client), 0
    redis.ping()
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        key = f"bare-{draw.randrange(KEYS)}"
        if draw.random() < 0.5:
            redis.get(key)
        else:
            redis.set(key, client * 1_000_000 + count)
        count += 1
    answers.put((count, time.process_time()))


def bare(port: int, clients: int, seconds: float) -> tuple[int, float]:
    """Operations, and processor time of the clients."""
    fork = multiprocessing.get_context("fork")
    answers = fork.Queue()
    loops = [fork.Process(target=_loop, args=(port, client, seconds, answers)) for client in range(clients)]
    for loop in loops:
        loop.start()
    found = [answers.get(timeout=seconds + 60) for _ in loops]
    for loop in loops:
        loop.join()
    return sum(count for count, _ in found), sum(spent for _, spent in found)


class _NoFaults(Injector):
    def steady(self, intent: Intent) -> AbstractContextManager[object]:
        return nullcontext()

    def situation(self) -> Situation:
        return Situation(("n1",), {"n1": 1}, "n1", ("n1",))

    def inject(self, fault: Resolved) -> Observation:
        return Observation(True)

    def heal(self, fault: Resolved) -> Observation:
        return Observation(True)

    def heal_all(self) -> Observation:
        return Observation(True)


def run(port: int, clients: int, seconds: float, in_processes: bool) -> tuple[int, float]:
    """Operations that ended ok in the load, and processor time of the run and its clients."""
    spec = RegisterSpec(clients=clients, rate=FAST, keys=KEYS, mix={"read": 50, "write": 50, "cas": 0})
    workloads = {"register": Register("register", spec)}
    timing = Timing(round(seconds * 1e9), 1, 1_000_000_000, 30_000_000_000)
    plan = Plan("throughput", 1, ("n1",), {"n1": 1}, timing, workloads, make_slots(workloads, ("n1",)), ())
    file = ROOT / "systems" / "redis_single.py"
    _, make_client = load_system(file, {})
    clock, before_s = RunClock(), time.process_time()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        recorder = stack.enter_context(Recorder(Path(folder) / "history.jsonl"))
        journal = Journal(recorder, plan.effects)
        nemesis = Nemesis(_NoFaults(), journal, 1, clock.now_ns)
        dial = lambda node, timeout_s: socket.create_connection(("127.0.0.1", port), timeout_s)  # noqa: E731
        pool: ClientProcesses | None = None
        seen = [0, 0.0]
        """Run time, and what the clients' processes have used until then: they end with the run."""

        def tick(now_ns: int, phase: Phase) -> None:
            if pool is not None and phase is Phase.LOAD and now_ns - seen[0] > SAMPLE_NS:
                seen[:] = now_ns, sum(map(cpu_s, pool.seen()))

        driver = ThreadDriver(plan, make_client, dial, nemesis, journal, clock, tick)
        if in_processes:
            pool = stack.enter_context(closing(ClientProcesses(file, {}, plan.slots, Path(folder))))
            driver.client_of = pool.client_of
        clock.started_ns = time.monotonic_ns()
        runner = driver.run()
        of_clients_s = seen[1] / seen[0] * seconds * 1e9 if seen[0] else 0.0
        spent_s = time.process_time() - before_s + of_clients_s
        # The keys' final reads are few; the heal ends the load.
        assert journal.pulse.counts["info"] == 0, journal.causes.top()
        return int(journal.pulse.counts["ok"] / runner.marks["load_end"] * seconds * 1e9), spent_s


def measured(server: int, seconds: float, one: Callable[[], tuple[int, float]]) -> Figure:
    before_s = cpu_s(server)
    count, spent_s = one()
    of_server_s = cpu_s(server) - before_s
    return {"per_s": round(count / seconds, 1), "cpu_us": round((spent_s + of_server_s) / count * 1e6, 1)}


def a_round(clients: int, seconds: float, appendfsync: str) -> dict[str, Figure]:
    with redis_server(appendfsync) as (server, port):
        ways: dict[str, Callable[[], tuple[int, float]]] = {
            "bare": lambda: bare(port, clients, seconds),
            "threads": lambda: run(port, clients, seconds, in_processes=False),
            "processes": lambda: run(port, clients, seconds, in_processes=True),
        }
        return {name: measured(server, seconds, way) for name, way in ways.items()}


def shares(rounds: list[dict[str, Figure]], way: str) -> list[float]:
    """Return the rate of `way` as a share of the bare loops' rate, in each round."""
    return [round(found[way]["per_s"] / found["bare"]["per_s"], 3) for found in rounds]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--appendfsync", choices=["none", "everysec", "always"], default="none")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    rounds = []
    for _ in range(asked.rounds):
        found = a_round(asked.clients, asked.seconds, asked.appendfsync)
        rounds.append(found)
        print(
            " ".join(f"{way}={figure['per_s']:g}/s ({figure['cpu_us']:g} us)" for way, figure in found.items()),
            flush=True,
        )
    parts = {
        way: {"of_bare": shares(rounds, way), "median": statistics.median(shares(rounds, way))}
        for way in ("threads", "processes")
    }
    for way, part in parts.items():
        print(f"{way}: {part['median']:.0%} of the bare loops")
    if asked.out is not None:
        machine = {"cores": os.cpu_count(), "kernel": os.uname().release, "load": os.getloadavg()[0]}
        settings = {name: getattr(asked, name) for name in ("clients", "seconds", "appendfsync")}
        document = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": machine,
            **settings,
            "rounds": rounds,
            **parts,
        }
        asked.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
