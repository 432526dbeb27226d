"""A second system under test: registers in one process, over lines of JSON. It shows what a user's own system file looks like.

The server runs on the first host only and keeps everything in memory, so that it is linearizable while it is up and loses all when killed.
With `options: {stale: true}` it answers reads from a copy that lags, a bug that the checker must find.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from tribulation.harness.hosts.base import Host
from tribulation.harness.systems.base import Dial, Op, Outcome

SERVER = """
import json, socketserver, sys, threading
stale = sys.argv[2] == "stale"
values, old, lock = {}, {}, threading.Lock()

class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            f, key, value = json.loads(line)
            with lock:
                answer = {"ok": True, "value": value}
                if f == "read":
                    answer["value"] = (old if stale else values).get(key)
                elif f == "cas" and values.get(key) != value[0]:
                    answer = {"ok": False, "value": values.get(key)}
                else:
                    old[key] = values.get(key)
                    values[key] = value[1] if f == "cas" else value
            self.wfile.write(json.dumps(answer).encode() + b"\\n")
            self.wfile.flush()

class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads = True, True

Server(("", int(sys.argv[1])), Handler).serve_forever()
"""


class RegisterService:
    """Implements `tribulation.harness.systems.base.Service`."""

    name = "register-server"
    capabilities = frozenset({"clock"})
    port = 10500
    program = SERVER

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.mode = "stale" if options.get("stale") else "fresh"
        self._first = ""

    def _path(self, host: Host, name: str) -> str:
        return f"{host.directory}/register-server/{name}"

    def install(self, host: Host, cluster: Sequence[Host]) -> None:
        self._first = cluster[0].name
        host.put(self.program.encode(), self._path(host, "server.py"))

    def start(self, host: Host, environment: Mapping[str, str]) -> None:
        if host.name != self._first or self.pid(host) is not None:
            return
        variables = " ".join(f"{name}={value}" for name, value in environment.items())
        here = self._path(host, "")
        command = f"{host.python} server.py {self.port} {self.mode}"
        host.run(
            f"cd {here} && rm -f stopped && (env {variables} setsid {command} >server.log 2>&1 & echo $! >pid)",
        )

    def wait_ready(self, host: Host, timeout_s: float) -> None:
        if host.name == self._first:
            tries = int(timeout_s * 20)
            host.run(
                f"for i in $(seq {tries}); do {host.python} -c "
                f"'import socket; socket.create_connection((\"127.0.0.1\", {self.port}), 1)' && exit 0; sleep 0.05; done; exit 1",
                timeout_s=timeout_s + 5,
            )

    def pid(self, host: Host) -> int | None:
        found = host.run(f"cat {self._path(host, 'pid')} && kill -0 $(cat {self._path(host, 'pid')})", check=False)
        return int(found.stdout.split()[0]) if found.exit_code == 0 else None

    def stop(self, host: Host) -> None:
        pid = self.pid(host)
        if pid is not None:
            host.run(f"kill {pid}", check=False)

    def collect(self, host: Host) -> Mapping[str, bytes]:
        return {"logs/server.log": host.get(self._path(host, "server.log"))} if host.name == self._first else {}

    def uninstall(self, host: Host) -> None:
        host.run(["rm", "-rf", self._path(host, "")])

    def leader(self, hosts: Sequence[Host], dial: Dial) -> str | None:
        return self._first

    def status(self, host: Host, dial: Dial) -> Mapping[str, Any] | None:
        return None


class RegisterClient:
    """Implements `tribulation.harness.systems.base.Client`; every client talks to the one server, whatever its node."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._socket: socket.socket | None = None

    def open(self, node: str, dial: Dial, timeout_s: float) -> None:
        self._socket = dial(self._server, timeout_s)
        self._lines = self._socket.makefile("rb")

    def invoke(self, op: Op, timeout_s: float) -> Outcome:
        assert self._socket is not None
        self._socket.settimeout(timeout_s)
        try:
            self._socket.sendall(json.dumps([op.f, op.key, op.value]).encode() + b"\n")
            line = self._lines.readline()
        except OSError as error:
            return Outcome("fail" if op.f == "read" else "info", error=type(error).__name__)
        if not line:
            return Outcome("fail" if op.f == "read" else "info", error="closed")
        answer = json.loads(line)
        if answer["ok"]:
            return Outcome("ok", answer["value"])
        return Outcome("fail", answer["value"], error="mismatch")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()


def service(options: Mapping[str, Any]) -> RegisterService:
    return RegisterService(options)


def client(options: Mapping[str, Any]) -> RegisterClient:
    return RegisterClient(str(options.get("server", "n1")))
