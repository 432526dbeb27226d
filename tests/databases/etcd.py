"""etcd as a system under test: one member on each host; registers and sets over its JSON gateway.

Needs Debian's `etcd-server`. A write that is answered with an error is in doubt: a proposal that timed out may still be committed.
"""

from __future__ import annotations

import base64
import http.client
import json
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from tribulation.harness.errors import DeployError
from tribulation.harness.hosts.base import Host
from tribulation.harness.systems.base import Dial, Op, Outcome

CLIENT_PORT, PEER_PORT = 2379, 2380


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def unb64(text: str) -> str:
    return base64.b64decode(text).decode()


class EtcdService:
    name = "etcd"
    capabilities = frozenset({"disk", "clock"})
    port = CLIENT_PORT

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._cluster: list[Host] = []

    def _dir(self, host: Host) -> str:
        return f"{host.directory}/etcd"

    def data_directory(self, host: Host) -> str:
        return f"{self._dir(host)}/data"

    def install(self, host: Host, cluster: Sequence[Host]) -> None:
        self._cluster = list(cluster)
        if host.run("command -v etcd", check=False).exit_code:
            raise DeployError(f"{host.name}: no etcd", "apt-get install etcd-server")
        host.run(["mkdir", "-p", self.data_directory(host)])

    def start(self, host: Host, environment: Mapping[str, str]) -> None:
        if self.pid(host) is not None:
            return
        peers = ",".join(f"{h.name}=http://{h.address}:{PEER_PORT}" for h in self._cluster)
        flags = {
            "name": host.name,
            "data-dir": f"{self.data_directory(host)}/{host.name}.etcd",
            "listen-client-urls": f"http://0.0.0.0:{CLIENT_PORT}",
            "advertise-client-urls": f"http://{host.address}:{CLIENT_PORT}",
            "listen-peer-urls": f"http://{host.address}:{PEER_PORT}",
            "initial-advertise-peer-urls": f"http://{host.address}:{PEER_PORT}",
            "initial-cluster": peers,
            "initial-cluster-state": "new",
            "initial-cluster-token": "tribulation",
            "heartbeat-interval": "100",
            "election-timeout": "1000",
        }
        command = "etcd " + " ".join(f"--{k}={v}" for k, v in flags.items())
        variables = " ".join(f"{k}={v}" for k, v in environment.items())
        here = self._dir(host)
        host.run(f"cd {here} && (env {variables} setsid {command} >>server.log 2>&1 & echo $! >pid)")

    def wait_ready(self, host: Host, timeout_s: float) -> None:
        tries = int(timeout_s * 5)
        health = f"u.urlopen('http://127.0.0.1:{CLIENT_PORT}/health', timeout=1).read()"
        ask = f"{host.python} -c \"import urllib.request as u; assert b'true' in {health}\""
        done = host.run(
            f"for i in $(seq {tries}); do {ask} 2>/dev/null && exit 0; sleep 0.2; done; "
            f"tail -n 5 {self._dir(host)}/server.log; exit 1",
            check=False,
            timeout_s=timeout_s + 5,
        )
        if done.exit_code:
            raise DeployError(f"{host.name}: etcd is not ready: {done.stdout[-800:]}", "see logs/")

    def pid(self, host: Host) -> int | None:
        path = f"{self._dir(host)}/pid"
        found = host.run(f'p=$(cat {path}) && [ "$(cat /proc/$p/comm)" = etcd ] && echo $p', check=False)
        return int(found.stdout.split()[0]) if found.exit_code == 0 else None

    def stop(self, host: Host) -> None:
        pid = self.pid(host)
        if pid is not None:
            wait = f"for i in $(seq 50); do kill -0 {pid} || exit 0; sleep 0.1; done; kill -9 {pid}"
            host.run(f"kill {pid}; {wait}", check=False)

    def collect(self, host: Host) -> Mapping[str, bytes]:
        return {"logs/server.log": host.get(f"{self._dir(host)}/server.log")}

    def uninstall(self, host: Host) -> None:
        host.run(["rm", "-rf", self._dir(host)])

    def leader(self, hosts: Sequence[Host], dial: Dial) -> str | None:
        for host in hosts:
            found = self.status(host, dial)
            if found and found.get("role") == "leader":
                return host.name
        return None

    def status(self, host: Host, dial: Dial) -> Mapping[str, Any] | None:
        try:
            client = EtcdClient()
            client.open(host.name, dial, 1.0)
            try:
                found = client.call("/v3/maintenance/status", {}, 1.0)
                hashed = client.call("/v3/maintenance/hash", {"revision": 0}, 1.0)
            finally:
                client.close()
        except (OSError, ValueError, http.client.HTTPException, RefusedError):
            return None
        state = {"index": int(hashed["header"]["revision"]), "digest": str(hashed["hash"])}
        return {**state, "role": "leader" if found.get("leader") == found["header"]["member_id"] else "follower"}


class RefusedError(Exception):
    """The gateway answered with an error. Of a read nothing is known then; a write may still be committed."""


class EtcdClient:
    """Bound to one member; no answer with an HTTP status other than 200 counts as one."""

    def __init__(self) -> None:
        self.connected = False
        self._connection: http.client.HTTPConnection | None = None

    def open(self, node: str, dial: Dial, timeout_s: float) -> None:
        sock: socket.socket = dial(node, timeout_s)
        self._connection = http.client.HTTPConnection(node, CLIENT_PORT)
        self._connection.sock = sock
        self._connection.auto_open = 0
        self.connected = True

    def call(self, path: str, body: Any, timeout_s: float) -> Any:
        assert self._connection is not None
        self._connection.sock.settimeout(timeout_s)
        self._connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        response = self._connection.getresponse()
        answer = json.loads(response.read())
        if response.status != 200:
            raise RefusedError(str(answer.get("message") or answer.get("error") or answer)[:80])
        return answer

    def invoke(self, op: Op, timeout_s: float) -> Outcome:
        lost = "fail" if op.f == "read" else "info"
        try:
            return self._do(op, timeout_s)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.connected = False
            return Outcome(lost, error=type(error).__name__)
        except RefusedError as error:
            return Outcome(lost, error=str(error))

    def _do(self, op: Op, timeout_s: float) -> Outcome:
        key = f"{op.workload}/{op.key}"
        if op.workload.startswith("set"):
            return self._set(op, key, timeout_s)
        if op.f == "read":
            answer = self.call("/v3/kv/range", {"key": b64(key)}, timeout_s)
            found = answer.get("kvs") or []
            return Outcome("ok", json.loads(unb64(found[0]["value"])) if found else None)
        if op.f == "write":
            self.call("/v3/kv/put", {"key": b64(key), "value": b64(json.dumps(op.value))}, timeout_s)
            return Outcome("ok", op.value)
        old, new = op.value
        compare = {"key": b64(key), "target": "VALUE", "result": "EQUAL", "value": b64(json.dumps(old))}
        if old is None:
            compare = {"key": b64(key), "target": "VERSION", "result": "EQUAL", "version": "0"}
        body = {
            "compare": [compare],
            "success": [{"requestPut": {"key": b64(key), "value": b64(json.dumps(new))}}],
            "failure": [{"requestRange": {"key": b64(key)}}],
        }
        answer = self.call("/v3/kv/txn", body, timeout_s)
        if answer.get("succeeded"):
            return Outcome("ok", op.value)
        found = answer["responses"][0]["response_range"].get("kvs") or []
        return Outcome("fail", json.loads(unb64(found[0]["value"])) if found else None, error="mismatch")

    def _set(self, op: Op, key: str, timeout_s: float) -> Outcome:
        if op.f == "add":
            body = {"key": b64(f"{key}/{op.value}"), "value": b64(json.dumps(op.value))}
            self.call("/v3/kv/put", body, timeout_s)
            return Outcome("ok", op.value)
        answer = self.call("/v3/kv/range", {"key": b64(f"{key}/"), "range_end": b64(f"{key}0")}, timeout_s)
        return Outcome("ok", sorted(json.loads(unb64(one["value"])) for one in answer.get("kvs") or []))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self.connected = False


def service(options: Mapping[str, Any]) -> EtcdService:
    return EtcdService(options)


def client(options: Mapping[str, Any]) -> EtcdClient:
    return EtcdClient()
