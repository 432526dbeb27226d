"""PostgreSQL, one server on the first host: registers, a bank, and transactions on lists, at `options: {isolation: serializable}`, the default, or a weaker level.

`options: {append: read-then-write}` appends as an application does that reads a value and writes the new one; by default one statement does both.
`options: {restarts: false}` is a server that stays down once it is down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg

from tribulation.testing import Daemon, Dial, DriverClient, Host, Op, Outcome

BIN = max(Path("/usr/lib/postgresql").glob("??/bin"), default=Path("/usr/lib/postgresql/17/bin"))
AS_POSTGRES = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"]
PREPARE = """set -e; cd /; above={data}; while [ $above != / ]; do chmod o+x $above; above=$(dirname $above); done
chown postgres {data}; chmod 700 {data}
{initdb} -D {data} -E UTF8 -A trust -U postgres
echo 'host all all all trust' >>{data}/pg_hba.conf"""
SETTINGS = {"listen_addresses": "*", "unix_socket_directories": "", "max_connections": "200"}
INSERT = "INSERT INTO r VALUES (%(k)s, %(v)s) ON CONFLICT DO NOTHING"
UPSERT = "INSERT INTO r VALUES (%s, %s) ON CONFLICT (k) DO UPDATE SET v = excluded.v"
APPEND = "INSERT INTO l VALUES (%s, %s) ON CONFLICT (k) DO UPDATE SET v = l.v || ',' || excluded.v"
WHOLE = "INSERT INTO l VALUES (%s, %s) ON CONFLICT (k) DO UPDATE SET v = excluded.v"


class Postgres(Daemon):
    port = 15432
    programs, packages = (f"{BIN}/postgres", "setpriv"), ("postgresql",)
    stop_signal = "QUIT"
    _started = False

    def runs_on(self, host: Host, cluster: Sequence[Host]) -> bool:
        return host.name == cluster[0].name

    def prepare(self, host: Host, cluster: Sequence[Host]) -> None:
        initdb = " ".join([*AS_POSTGRES, f"{BIN}/initdb"])  # The server refuses to run as root.
        host.run(PREPARE.format(data=self.data_directory(host), initdb=initdb), timeout_s=240)

    def command(self, host: Host, cluster: Sequence[Host]) -> Sequence[str]:
        settings = [f"--{name}={value}" for name, value in {**SETTINGS, "port": self.port}.items()]
        return [*AS_POSTGRES, f"{BIN}/postgres", "-D", self.data_directory(host), *settings]

    def start(self, host: Host, environment: Mapping[str, str]) -> None:
        if self.options.get("restarts", True) or not self._started:
            super().start(host, environment)
        self._started = self._started or self.runs_on(host, self.cluster)

    def ready(self, host: Host) -> bool:
        return host.run(f"{BIN}/pg_isready -q -h 127.0.0.1 -p {self.port}", check=False, timeout_s=10).exit_code == 0

    def leader(self, hosts: Sequence[Host], dial: Dial) -> str | None:
        return hosts[0].name


class PostgresClient(DriverClient):
    to_node = "n1"
    definite = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)

    def connect(self, address: tuple[str, int], timeout_s: float) -> Any:
        plain = {"sslmode": "disable", "gssencmode": "disable", "user": "postgres", "dbname": "postgres"}
        found = psycopg.connect(host=address[0], port=address[1], connect_timeout=2, autocommit=True, **plain)
        if found.info.parameter_status("in_hot_standby") != "on":
            with found.transaction():
                found.execute("SELECT pg_advisory_xact_lock(1)")  # Two that create one table at once collide.
                for table, kind in (("r", "text"), ("l", "text"), ("b", "int")):
                    found.execute(f"CREATE TABLE IF NOT EXISTS {table} (k text PRIMARY KEY, v {kind})")
        level = str(self.options.get("isolation", "serializable"))
        found.isolation_level = psycopg.IsolationLevel[level.upper().replace(" ", "_")]
        return found

    def read(self, op: Op) -> Any:
        found = self.connection.execute("SELECT v FROM r WHERE k = %s", [op.key]).fetchone()
        return int(found[0]) if found else None

    def write(self, op: Op) -> None:
        self.connection.execute(UPSERT, [op.key, str(op.value)])

    def cas(self, op: Op) -> Outcome:
        expected, new = op.value
        sql = INSERT if expected is None else "UPDATE r SET v = %(v)s WHERE k = %(k)s AND v = %(old)s"
        done = self.connection.execute(sql, {"k": op.key, "v": str(new), "old": str(expected)})
        return Outcome("ok") if done.rowcount else Outcome("fail", error="mismatch")

    def create(self, op: Op) -> None:
        with self.connection.transaction():
            for account in op.value.items():
                self.connection.execute("INSERT INTO b VALUES (%s, %s) ON CONFLICT DO NOTHING", account)

    def transfer(self, op: Op) -> Outcome | None:
        amount = op.value["amount"]
        with self.connection.transaction():
            take = "UPDATE b SET v = v - %s WHERE k = %s AND v >= %s"
            if not self.connection.execute(take, [amount, op.value["from"], amount]).rowcount:
                return Outcome("fail", error="insufficient")
            self.connection.execute("UPDATE b SET v = v + %s WHERE k = %s", [amount, op.value["to"]])
        return None

    def bank_read(self, op: Op) -> dict[str, int]:
        return dict(self.connection.execute("SELECT k, v FROM b").fetchall())

    def txn(self, op: Op) -> list[Any]:
        with self.connection.transaction():
            return [[f, key, self._part(f, key, value)] for f, key, value in op.value]

    def _part(self, f: str, key: str, value: Any) -> Any:
        if f == "append" and self.options.get("append") != "read-then-write":
            self.connection.execute(APPEND, [key, str(value)])
            return value
        found = self.connection.execute("SELECT v FROM l WHERE k = %s", [key]).fetchone()
        if f == "append":
            self.connection.execute(WHOLE, [key, f"{found[0]},{value}" if found else str(value)])
            return value
        return [int(item) for item in found[0].split(",")] if found else []


service, client = Postgres, PostgresClient
