"""A system of several processes a host, as most servers are: what a fault on one process of it does not reach.

The service's pid is a parent that serves no client. Each way to be a process of the system serves on a port of its own, and answers with its pid.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from tests.harness.nemesis.plain_service import Supervised
from tribulation.harness.hosts.base import Host
from tribulation.harness.hosts.local import LocalProvider

PROGRAM = """
import os, signal, socket, sys, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
def fork(run, *operands):
    pid = os.fork()
    if pid == 0:
        try: run(*operands)
        finally: os._exit(0)
    return pid
def answer(here):
    try: client = here.accept()[0]
    except OSError: return
    client.sendall(b"%d" % os.getpid()); client.close()
def serve(here):
    while True: answer(here)
def serve_in_session(here):
    os.setsid(); serve(here)
def leave_daemon(here):
    fork(serve, here)
def pass_on(here):
    here.settimeout(0.01)
    while True:
        answer(here)
        if os.fork(): os._exit(0)
def fork_on():
    while True: fork(time.sleep, 0.05); time.sleep(0.005)
for port, run in ((10001, serve), (10002, leave_daemon), (10003, serve_in_session), (10004, pass_on)):
    fork(run, socket.create_server(("", port)))
fork(fork_on)
while True: time.sleep(3600)
"""

WAYS = {"worker": 10001, "daemon": 10002, "session of its own": 10003, "forks and exits": 10004}


class Forking(Supervised):
    def install(self, host: Host, cluster: Sequence[Host]) -> None:
        host.put(PROGRAM.encode(), f"{host.directory}/plain/program.py")

    def stop(self, host: Host) -> None:
        super().stop(host)
        host.run("pkill -KILL -f '[p]rogram.py' || true")


def serving(lab: LocalProvider, host: Host, within_s: float = 0.3) -> dict[str, int]:
    """By way, the pid of the process that answers a client."""
    found = {}
    for way, port in WAYS.items():
        with contextlib.suppress(OSError), lab.dial(host.address, port, timeout_s=within_s) as sock:
            sock.settimeout(within_s)
            if said := sock.recv(100):
                found[way] = int(said)
    return found
