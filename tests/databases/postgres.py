"""PostgreSQL as a system under test: one server on the first host, whose clients speak the simple query protocol.

Needs Debian's `postgresql`. `options: {restarts: false}` is a server that nobody starts again once it is down.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tribulation.harness.hosts.base import Host
from tribulation.harness.systems.base import Dial, Op, Outcome

BIN = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/usr/lib/postgresql/17/bin"))
PORT = 15432
AS_POSTGRES = "setpriv --reuid postgres --regid postgres --clear-groups"
"""The server refuses to run as root."""

PREPARE = """
set -e
cd /
chmod 755 {home}
above={data}; while [ $above != / ]; do chmod o+x $above; above=$(dirname $above); done
mkdir -p {data} && chown postgres {data} && chmod 700 {data}
[ -e {data}/PG_VERSION ] && exit 0
{as_postgres} {bin}/initdb -D {data} -A trust -U postgres >{home}/initdb.log 2>&1
printf "listen_addresses = '*'\\nport = {port}\\nunix_socket_directories = ''\\n" >>{data}/postgresql.conf
echo 'host all all all trust' >>{data}/pg_hba.conf
"""


class Postgres:
    name = "postgres"
    capabilities = frozenset({"clock", "disk"})
    port = PORT

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._first, self._started = "", False
        self._restarts = bool(options.get("restarts", True))

    def _at(self, host: Host, name: str = "") -> str:
        return f"{host.directory}/postgres/{name}"

    def data_directory(self, host: Host) -> str:
        return self._at(host, "data")

    def install(self, host: Host, cluster: Sequence[Host]) -> None:
        self._first = cluster[0].name
        host.run(["mkdir", "-p", self._at(host, "data")])

    def start(self, host: Host, environment: Mapping[str, str]) -> None:
        if host.name != self._first or self.pid(host) is not None or (self._started and not self._restarts):
            return
        self._started = True
        home, data = self._at(host), self._at(host, "data")
        prepare = PREPARE.format(home=home, data=data, bin=BIN, port=PORT, as_postgres=AS_POSTGRES)
        host.run(prepare, timeout_s=120)
        variables = " ".join(f"{name}={value}" for name, value in environment.items())
        server = f"env {variables} setsid {AS_POSTGRES} {BIN}/postgres -D {data}"
        host.run(f"cd / && ({server} >>{home}server.log 2>&1 </dev/null &)")

    def wait_ready(self, host: Host, timeout_s: float) -> None:
        if host.name == self._first:
            ask = f"{BIN}/pg_isready -q -h 127.0.0.1 -p {PORT} -U postgres"
            tries = max(1, int(timeout_s * 10))
            host.run(f"for i in $(seq {tries}); do {ask} && exit 0; sleep 0.1; done; exit 1", timeout_s=timeout_s + 10)

    def pid(self, host: Host) -> int | None:
        file = self._at(host, "data/postmaster.pid")
        found = host.run(f"p=$(head -n 1 {file}) && grep -q bin/postgres /proc/$p/cmdline && echo $p", check=False)
        return int(found.stdout) if found.exit_code == 0 else None

    def stop(self, host: Host) -> None:
        pid = self.pid(host)
        if pid is not None:
            wait = f"for i in $(seq 100); do kill -0 {pid} || exit 0; sleep 0.05; done; kill -9 {pid}"
            host.run(f"kill -QUIT {pid}; {wait}", check=False)

    def collect(self, host: Host) -> Mapping[str, bytes]:
        return {"logs/server.log": host.get(self._at(host, "server.log"))} if host.name == self._first else {}

    def uninstall(self, host: Host) -> None:
        host.run(["rm", "-rf", self._at(host)])

    def leader(self, hosts: Sequence[Host], dial: Dial) -> str | None:
        return self._first

    def status(self, host: Host, dial: Dial) -> Mapping[str, Any] | None:
        return None


class Client:
    def __init__(self) -> None:
        self._socket: socket.socket | None = None

    def open(self, node: str, dial: Dial, timeout_s: float) -> None:
        self._socket = dial("n1", timeout_s)
        self._socket.settimeout(timeout_s)
        self._file = self._socket.makefile("rb")
        parameters = b"user\0postgres\0database\0postgres\0\0"
        self._socket.sendall(struct.pack("!ii", 8 + len(parameters), 196608) + parameters)
        try:
            self._answer()
        except RuntimeError as error:
            raise ConnectionError(str(error)) from None
        self._query("CREATE TABLE IF NOT EXISTS r (k text PRIMARY KEY, v text)", tolerate=True)

    def invoke(self, op: Op, timeout_s: float) -> Outcome:
        assert self._socket is not None
        self._socket.settimeout(timeout_s)
        try:
            rows, tag = self._query(_statement(op))
        except OSError as error:
            return Outcome("fail" if op.f == "read" else "info", error=type(error).__name__)
        except RuntimeError as error:
            return Outcome("fail" if op.f == "read" else "info", error=str(error)[:80])
        if op.f == "read":
            return Outcome("ok", int(rows[0]) if rows else None)
        if op.f == "cas" and tag.endswith(" 0"):
            return Outcome("fail", None, error="mismatch")
        return Outcome("ok", op.value)

    def _query(self, sql: str, tolerate: bool = False) -> tuple[list[str], str]:
        assert self._socket is not None
        text = sql.encode() + b"\0"
        self._socket.sendall(b"Q" + struct.pack("!i", 4 + len(text)) + text)
        try:
            return self._answer()
        except RuntimeError:
            if not tolerate:
                raise
            return [], ""

    def _answer(self) -> tuple[list[str], str]:
        rows, tag, failed = [], "", ""
        while True:
            head = self._read(5)
            kind, body = head[:1], self._read(struct.unpack("!i", head[1:])[0] - 4)
            if kind == b"D":
                length = struct.unpack("!i", body[2:6])[0]
                rows.append(body[6 : 6 + length].decode())
            elif kind == b"C":
                tag = body.rstrip(b"\0").decode()
            elif kind == b"E":
                fields = [part.decode() for part in body.split(b"\0") if part]
                failed = next((part[1:] for part in fields if part[0] == "M"), "error")
                if any(part.startswith("SFATAL") for part in fields):
                    raise ConnectionError(failed)
            elif kind == b"Z":
                if failed:
                    raise RuntimeError(failed)
                return rows, tag

    def _read(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) < size:
            raise ConnectionError("closed")
        return data

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()


def _statement(op: Op) -> str:
    if op.f == "read":
        return f"SELECT v FROM r WHERE k = '{op.key}'"
    if op.f == "write":
        return f"INSERT INTO r VALUES ('{op.key}', '{op.value}') ON CONFLICT (k) DO UPDATE SET v = excluded.v"
    expected, new = op.value
    if expected is None:
        return f"INSERT INTO r VALUES ('{op.key}', '{new}') ON CONFLICT DO NOTHING"
    return f"UPDATE r SET v = '{new}' WHERE k = '{op.key}' AND v = '{expected}'"


def service(options: Mapping[str, Any]) -> Postgres:
    return Postgres(options)


def client(options: Mapping[str, Any]) -> Client:
    return Client()
