"""What the tests on real hosts share: putting a service there, looking at a host with other eyes than the injector's, faults by hand."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tribulation.harness.hosts.base import Host
from tribulation.harness.hosts.local import LocalProvider
from tribulation.harness.nemesis.cluster import clock_library
from tribulation.harness.nemesis.faults.fault import Intent, Resolved
from tribulation.harness.nemesis.faults.ledger import Ledger
from tribulation.harness.nemesis.inject.injector import HostInjector
from tribulation.harness.systems.reference.system import ReferenceService

from .plain_service import Plain

HERE = Path(__file__).parent
LAB = "nemesis-test"
numbers = itertools.count()

LISTEN = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
here = socket.socket(family, socket.SOCK_DGRAM); here.bind((sys.argv[1], 7777)); here.settimeout(float(sys.argv[2]))
print("ready", flush=True)
try: print(here.recv(100).decode(), flush=True)
except TimeoutError: print("silence", flush=True)
"""
SEND = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
socket.socket(family, socket.SOCK_DGRAM).sendto(b"heard", (sys.argv[1], 7777))
"""


def deploy(service: Plain, hosts: list[Host], *, clocks: bool) -> None:
    for host in hosts:
        service.install(host, hosts)
        service.start(host, clock_library.environment(host) if clocks else {})
        service.wait_ready(host, 5)


@contextlib.contextmanager
def reference_on(lab: LocalProvider, **options: Any) -> Iterator[ReferenceService]:
    """The reference cluster on all hosts of the lab, ready; nothing is left of it afterwards."""
    service = ReferenceService({"timing": "fast", "seed": 7, **options})
    for host in lab.hosts:
        service.install(host, list(lab.hosts))
        service.start(host, {})
    for host in lab.hosts:
        service.wait_ready(host, 20)
    yield service
    for host in lab.hosts:
        service.uninstall(host)


@contextlib.contextmanager
def running(lab: LocalProvider, service: Plain, ledger: Path) -> Iterator[HostInjector]:
    with Ledger(ledger) as open_ledger:
        made = HostInjector(lab.hosts, lab, service, open_ledger, time.monotonic_ns, seed=0)
        made.start()
        try:
            yield made
        finally:
            made.stop()


def fault(kind: str, **what: Any) -> Resolved:
    name = f"{kind}.{next(numbers)}"
    return Resolved(Intent(name, kind, {}, 0, None, name), what)


def both_ways(*pairs: tuple[str, str]) -> list[list[str]]:
    return [[a, b] for a, b in pairs] + [[b, a] for a, b in pairs]


def hears(receiver: Host, sender: Host, address: str, within_s: float) -> bool:
    """Whether a datagram that `sender` sends to this address of `receiver` arrives."""
    listener = receiver.start([receiver.python, "-c", LISTEN, address, str(within_s)])
    try:
        assert listener.read_line(10) == "ready"
        sender.run([sender.python, "-c", SEND, address])
        return listener.read_line(within_s + 10) == "heard"
    finally:
        listener.close()


def await_that(what: str, condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f"not within {timeout_s} s: {what}"
        time.sleep(0.05)


def table(host: Host) -> str:
    return host.run("nft list table inet tribulation", check=False).stdout


def state(host: Host, service: Plain) -> str | None:
    pid = service.pid(host)
    return None if pid is None else host.run(f"cut -d' ' -f3 /proc/{pid}/stat").stdout.strip()


def six(host: Host) -> str:
    return host.run("ip -6 -o addr show dev eth0 scope global").stdout.split()[3].partition("/")[0]


def programs(host: Host, verb: str) -> list[int]:
    """The agent's processes of a host that run this verb; each `ps` line ends with the command."""
    lines = host.run("ps -eo pid=,args=").stdout.splitlines()
    return [int(line.split()[0]) for line in lines if f"agent.pyz {verb} " in line and "ps -eo" not in line]


@contextlib.contextmanager
def other_harness(
    lab: LocalProvider, ledger: Path, lease_s: float, program: str = "harness_process.py"
) -> Iterator[subprocess.Popen[str]]:
    """A harness in a process of its own with its faults on."""
    command = [sys.executable, str(HERE / program), LAB, str(lab._base), str(lease_s), str(ledger)]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[2])}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdin is not None and process.stdout is not None
    try:
        assert set(json.loads(process.stdout.readline())) == {True}
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def all_is_well(lab: LocalProvider, service: Plain) -> bool:
    clients = lab.client_host()
    assert clients is not None
    clock = clock_library.shim(lab.hosts[2].directory).file
    return (
        all(table(host) == "" for host in (*lab.hosts, clients))
        and all(state(host, service) in ("S", "R") for host in lab.hosts)
        and lab.hosts[2].run(["od", "-An", "-tx8", "-N8", clock]).stdout.strip() == "0" * 16
    )
