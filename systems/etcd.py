"""etcd, one member on each host: registers and sets over its HTTP gateway, which is JSON with keys and values in base64.

`options: {serializable: true}` reads the member's own state, which may be old.
"""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Mapping, Sequence
from typing import Any

from tribulation.testing import Daemon, Dial, DriverClient, Host, Op, Outcome

PEERS = 2380


class Etcd(Daemon):
    port = 2379
    programs, packages = ("etcd",), ("etcd-server",)

    def command(self, host: Host, cluster: Sequence[Host]) -> Sequence[str]:
        flags = {
            "name": host.name,
            "data-dir": f"{self.data_directory(host)}/{host.name}.etcd",
            "listen-client-urls": f"http://0.0.0.0:{self.port}",
            "advertise-client-urls": f"http://{host.address}:{self.port}",
            "listen-peer-urls": f"http://{host.address}:{PEERS}",
            "initial-advertise-peer-urls": f"http://{host.address}:{PEERS}",
            "initial-cluster": ",".join(f"{one.name}=http://{one.address}:{PEERS}" for one in cluster),
            "initial-cluster-token": "tribulation",
        }
        return ["etcd", *(f"--{name}={value}" for name, value in flags.items())]

    def ready(self, host: Host) -> bool:
        ask = f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:{self.port}/health', timeout=1).read())"
        return "true" in host.run([host.python, "-c", ask], check=False, timeout_s=10).stdout

    def leader(self, hosts: Sequence[Host], dial: Dial) -> str | None:
        states = {host.name: self.status(host, dial) or {} for host in hosts}
        return next((name for name, state in states.items() if state.get("role") == "leader"), None)

    def status(self, host: Host, dial: Dial) -> Mapping[str, Any] | None:
        client = EtcdClient()
        try:
            client.open(host.name, dial, 1.0)
            found = client.ask("/v3/maintenance/status", {})
            hashed = client.ask("/v3/maintenance/hash", {"revision": 0})
        except (OSError, ValueError, http.client.HTTPException, RefusedError):
            return None
        finally:
            client.close()
        leads = found.get("leader") == found["header"]["member_id"]
        state = {"index": int(hashed["header"]["revision"]), "digest": str(hashed["hash"])}
        return {**state, "role": "leader" if leads else "follower"}


class RefusedError(Exception):
    """Another HTTP status than 200. A proposal that timed out may still be committed, so this is in doubt."""


class EtcdClient(DriverClient):
    def connect(self, address: tuple[str, int], timeout_s: float) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*address, timeout=timeout_s)

    def ask(self, path: str, body: Mapping[str, Any]) -> Any:
        self.connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        response = self.connection.getresponse()
        answer = json.loads(response.read())
        if response.status != 200:
            raise RefusedError(str(answer.get("message") or answer.get("error") or answer)[:80])
        return answer

    def read(self, op: Op) -> Any:
        local = {"serializable": True} if self.options.get("serializable") else {}
        if op.workload.startswith("set"):
            span = {"key": coded(f"{_key(op)}/"), "range_end": coded(f"{_key(op)}0")}
            found = self.ask("/v3/kv/range", {**span, **local})
            return sorted(_value(pair) for pair in found.get("kvs", ()))
        return _first(self.ask("/v3/kv/range", {"key": coded(_key(op)), **local}))

    def add(self, op: Op) -> None:
        self.ask("/v3/kv/put", {"key": coded(f"{_key(op)}/{op.value}"), "value": coded(op.value)})

    def write(self, op: Op) -> None:
        self.ask("/v3/kv/put", {"key": coded(_key(op)), "value": coded(op.value)})

    def cas(self, op: Op) -> Outcome:
        key, (expected, new) = coded(_key(op)), op.value
        same = {"target": "VALUE", "value": coded(expected)}
        if expected is None:
            same = {"target": "VERSION", "version": "0"}
        put, look = {"requestPut": {"key": key, "value": coded(new)}}, {"requestRange": {"key": key}}
        compare = [{"key": key, "result": "EQUAL", **same}]
        answer = self.ask("/v3/kv/txn", {"compare": compare, "success": [put], "failure": [look]})
        if answer.get("succeeded"):
            return Outcome("ok")
        return Outcome("fail", _first(answer["responses"][0]["response_range"]), error="mismatch")


def coded(value: Any) -> str:
    return base64.b64encode(str(value).encode()).decode()


def _key(op: Op) -> str:
    return f"{op.workload}/{op.key}"


def _value(pair: Mapping[str, str]) -> int:
    return int(base64.b64decode(pair["value"]))


def _first(answer: Mapping[str, Any]) -> int | None:
    found = answer.get("kvs")
    return _value(found[0]) if found else None


service, client = Etcd, EtcdClient
