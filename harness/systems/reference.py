"""The reference cluster as a `Service`: node.pyz and a configuration on each host, started under its supervisor.

Everything lives in one folder, `<host.directory>/reference`, so that uninstalling is removing that folder. How a node is killed and
restarted, by faults or by hand, is the contract of `node/runtime/control.py`.

Each `ReferenceService` is one deployment: what an earlier one left on a host is stopped and wiped at installation, because a run must not begin
with another run's log. `keep_data: true` is for a cluster that is deployed to stay: deploying again leaves alone what is right, and keeps the data.
"""

from __future__ import annotations

import json
import posixpath
import secrets
import shlex
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

from node.config import NodeConfig
from node.core.storage.snapshot_file import TEMPORARY
from node.errors import ConfigError
from node.runtime import control
from node.runtime.control import Control

from ..bytecode import for_python
from ..deploy.authority import LASTING_LIFE, LIFE, Authority
from ..deploy.package import build_node_archive, digest
from ..errors import CampaignError, DeployError
from ..hosts.base import SERVICE_HOOK, Host
from .base import Dial, Replacement
from .forgotten import forgotten_log
from .reference_client import ReferenceClient
from .reference_options import ReferenceOptions, node_config

FOLDER = "reference"
ASK_S = 1.0
TLS_FILES = {"ca": "tls-ca.pem", "certificate": "tls-certificate.pem", "key": "tls-key.pem"}
DATAGRAM_KEY = "datagram.key"
_DEPLOYMENT = "deployment"
_COLLECTED = ("node.log", "node.log.1", "node.out", "supervisor.log", "config.json")
_WAIT_STEP_S = 0.05
_ENDINGS = 5
_ENDS_AGAIN = 3
_LEAVE_STEP_S = 0.2


@dataclass
class ReferenceService:
    """See the module. `options` is a mapping or `ReferenceOptions`."""

    options: Any = field(default_factory=ReferenceOptions)
    name: str = "reference"
    capabilities: frozenset[str] = frozenset({"traces", "status", "clock", "inputs", "voters", "replacement", "disk"})

    def __post_init__(self) -> None:
        if not isinstance(self.options, ReferenceOptions):
            self.options = ReferenceOptions.from_mapping(self.options)
        if self.options.membership is not None:
            self.capabilities |= {"members"}
        self._deployment = f"to stay: {self.cluster_id}" if self.options.keep_data else secrets.token_hex(8)
        self._archive = build_node_archive()
        self.authority = authority_of(self.options)
        """Who vouches for nodes and clients; None without TLS."""
        self.client_tls = None if self.authority is None else self.authority.client("harness")
        """What clients of this cluster connect with; None: plainly."""

    @property
    def port(self) -> int:
        return int(self.options.port)

    @property
    def cluster_id(self) -> str:
        return str(self.options.cluster)

    # Deployment

    def install(self, host: Host, cluster: Sequence[Host]) -> None:
        config = json.dumps(self.config(host, cluster), indent=1, sort_keys=True).encode()
        files = {
            control.ARCHIVE: for_python(self._archive, host.python),
            "config.json": config,
            _DEPLOYMENT: self._deployment.encode(),
        }
        present = self._digests(host, list(files))
        if present.get(_DEPLOYMENT) != digest(files[_DEPLOYMENT]):
            self._take_over(host)
            present = self._digests(host, list(files))
        changed = {name: content for name, content in files.items() if present.get(name) != digest(content)}
        if changed and present:
            # Another version or configuration: what runs would go on with the old one.
            self.stop(host)
        for name, content in changed.items():
            host.put(content, self.control_of(host).path(name))
        self._certify(host)

    def followed(self, host: Host) -> Mapping[str, Any]:
        """What the node writes down as it happens, and where it begins a snapshot."""
        path = self.control_of(host).path
        return {"trace": path("trace.jsonl"), "files": {path(f"data/{TEMPORARY}"): "snapshot-begun"}}

    def config(self, host: Host, cluster: Sequence[Host]) -> Mapping[str, Any]:
        """The node's configuration. Raises `DeployError` for options that no node would accept."""
        options: ReferenceOptions = self.options
        config = node_config(host.name, {other.name: other.address for other in cluster}, options)
        try:
            NodeConfig.from_json(config)
        except ConfigError as error:
            raise DeployError(f"the reference system's options: {error.message}", hint=error.hint) from None
        places = {"listen": options.listen, "metrics": options.metrics}
        given = {name: place for name, place in places.items() if place is not None}
        secured = {} if self.authority is None else {"tls": TLS_FILES, "datagram_key": DATAGRAM_KEY}
        return {**config, **given, **secured, "seed": options.seed, "record_inputs": options.record_inputs}

    def start(self, host: Host, environment: Mapping[str, str]) -> None:
        """A node that runs already keeps its environment until it is restarted."""
        files = self.control_of(host)
        content = json.dumps(dict(environment), sort_keys=True).encode()
        if self._digests(host, [control.ENVIRONMENT]).get(control.ENVIRONMENT) != digest(content):
            host.put(content, files.path(control.ENVIRONMENT))
        supervise = [
            host.python,
            "-I",
            "-S",
            files.path(control.ARCHIVE),
            "--supervise",
            "--config",
            files.path("config.json"),
        ]
        hook = f"{host.directory.rstrip('/')}/{SERVICE_HOOK}"
        # Without the restart: what was kept down before a boot stays so after it.
        at_boot = f"#!/bin/sh\nexec {shlex.join(supervise)}\n"
        leave_hook = f"if [ -d {quote(posixpath.dirname(hook))} ]; then printf %s {quote(at_boot)} >{quote(hook)} && chmod 755 {quote(hook)}; fi"
        result = host.run(
            f"{leave_hook} && {files.restart_command()} && {shlex.join(supervise)}", timeout_s=120.0, check=False
        )
        if result.exit_code != 0:
            said = (result.stderr or result.stdout).strip()
            raise DeployError(
                f"{host.name}: the supervisor did not start: {said}", hint=f"try it by hand: {' '.join(supervise)}"
            )

    def wait_ready(self, host: Host, timeout_s: float) -> None:
        """Ready: it recovered its log and listens. The host looks, so that waiting costs one command."""
        files = self.control_of(host)
        tries = max(1, int(timeout_s / _WAIT_STEP_S))
        ready = quote(files.path("ready"))
        look = f'pid=$({files.pid_command()}); [ -n "$pid" ] && grep -qs "\\"pid\\": $pid," {ready} && exit 0'
        # A node that keeps ending while it starts will not do better in the rest of the time.
        count = f'ended=$(grep -cs "node ended" {quote(files.path(control.SUPERVISOR_LOG))})'
        give_up = f"{count}; [ $((${{ended:-0}} - before)) -ge {_ENDINGS} ] && exit {_ENDS_AGAIN}"
        script = f"""{count}; before=${{ended:-0}}; end=$(($(date +%s) + {int(timeout_s) + 1})); i=0
while [ $i -lt {tries} ] && [ $(date +%s) -le $end ]; do
{look}; [ $((i % 10)) = 9 ] && {{ {give_up}; }}; sleep {_WAIT_STEP_S}; i=$((i+1))
done; exit 1"""
        exit_code = host.run(script, timeout_s=timeout_s + 10, check=False).exit_code
        if exit_code != 0:
            what = f"ended {_ENDINGS} times while starting" if exit_code == _ENDS_AGAIN else "was not ready"
            raise DeployError(
                f"{host.name}: the node {what} within {timeout_s:g} s\n{self._last_words(host)}",
                hint=f"its files are in {files.directory} on {host.name}",
            )

    def pid(self, host: Host) -> int | None:
        text = host.run(self.control_of(host).pid_command()).stdout.strip()
        return int(text) if text else None

    def control(self, host: Host) -> Mapping[str, Any]:
        """Where faults find the process and the marker that keeps it down."""
        files = self.control_of(host)
        # The text that its command line must hold: process numbers are used again, and a stale pid file must never point at a stranger.
        return {"pid_file": files.pid_file, "marker": files.marker, "contains": files.path("")}

    def replacement(self, host: Host) -> Replacement:
        """Its log begins with a doubt: the incarnation that finds it neither votes nor stands before a leader has made it whole."""
        return Replacement(self.control_of(host).path("data"), forgotten_log())

    def data_directory(self, host: Host) -> str:
        """What the core keeps. Traces, inputs and logs beside it are evidence, and lose nothing with a disk."""
        return self.control_of(host).path("data")

    def control_of(self, host: Host) -> Control:
        return Control(f"{host.directory.rstrip('/')}/{FOLDER}")

    def stop(self, host: Host) -> None:
        files = self.control_of(host)
        host.run(["rm", "-f", f"{host.directory.rstrip('/')}/{SERVICE_HOOK}"])
        if host.run(files.stop_command(), timeout_s=30.0, check=False).exit_code != 0:
            raise DeployError(
                f"{host.name}: the supervisor did not end\n{self._last_words(host)}",
                hint=f"on {host.name}: kill -9 $(cat {files.path(control.SUPERVISOR_PID)}) $(cat {files.pid_file})",
            )

    def collect(self, host: Host) -> Mapping[str, bytes]:
        files = self.control_of(host)
        listing = host.run(f"cd {quote(files.directory)} 2>/dev/null && find . -maxdepth 2 -type f || true").stdout
        present = {line.removeprefix("./") for line in listing.split()}
        wanted = {f"logs/{name}": name for name in _COLLECTED if name in present}
        wanted |= {name: name for name in present if name == "trace.jsonl" or name.startswith("inputs/")}
        return {to: host.get(files.path(name)) for to, name in sorted(wanted.items())}

    def uninstall(self, host: Host) -> None:
        self.stop(host)
        host.run(["rm", "-rf", "--", self.control_of(host).directory])

    # Questions to the running cluster

    def leader(self, hosts: Sequence[Host], dial: Dial) -> str | None:
        """Who leads in the highest term, by its own word."""
        with ThreadPoolExecutor(max_workers=max(1, len(hosts))) as pool:
            answers = list(pool.map(lambda host: self._ask(host.name, dial, {"admin": "status"}), hosts))
        leading = [
            (answer["term"], answer["node"])
            for answer in answers
            if answer and answer.get("leader") == answer.get("node")
        ]
        return max(leading)[1] if leading else None

    def status(self, host: Host, dial: Dial) -> Mapping[str, Any] | None:
        status = self._ask(host.name, dial, {"admin": "status"})
        state = self._ask(host.name, dial, {"admin": "digest"})
        if status is None or state is None:
            return None
        # The digest last: its index is the one that it belongs to.
        answer = {**status, **state}
        return {name: value for name, value in answer.items() if name not in ("id", "status")}

    def set_voters(self, hosts: Sequence[Host], dial: Dial, voters: Mapping[str, int], timeout_s: float) -> None:
        """Move the weights through the log. Raises `DeployError` when they are not in force in time."""
        deadline_s = time.monotonic() + timeout_s
        answer: Mapping[str, Any] | None = None
        while (left_s := deadline_s - time.monotonic()) > 0:
            node = self.leader(hosts, dial) or hosts[0].name
            body = {"admin": "voters", "voters": dict(voters), "deadline_ms": max(1, int(left_s * 1000))}
            answer = self._ask(node, dial, body, left_s)
            if answer is not None and answer.get("status") == "ok":
                return
            time.sleep(min(0.1, max(0.0, deadline_s - time.monotonic())))
        raise DeployError(
            f"voters {dict(voters)} were not in force within {timeout_s:g} s; the last answer was {answer}",
            hint="the change needs a leader and a quorum of the old and the new weights",
        )

    def leave(self, hosts: Sequence[Host], dial: Dial, node: str, timeout_s: float) -> None:
        """Ask until it is no member, and votes no more. Raises `DeployError` when that is not so in time."""
        deadline_s = time.monotonic() + timeout_s
        answer: Mapping[str, Any] | None = None
        while True:
            leader = self.leader(hosts, dial)
            members = self.members(hosts, dial)
            if members is not None and node not in members:
                return
            if time.monotonic() >= deadline_s:
                break
            body = {"do": "members.leave", "with": {"name": node}, "deadline_ms": int(ASK_S * 1000)}
            answer = self._ask(leader, dial, body, 2 * ASK_S) if leader is not None else answer
            time.sleep(_LEAVE_STEP_S)
        raise DeployError(
            f"{node} did not leave the members within {timeout_s:g} s; the last answer was {answer}",
            hint="its agents must find room elsewhere, and there must be a quorum",
        )

    def members(self, hosts: Sequence[Host], dial: Dial) -> Mapping[str, str] | None:
        """The state of each, as the leader has it in the log; None when nobody leads, or answers."""
        leader = self.leader(hosts, dial)
        body = {"view": "members", "level": "linearizable", "deadline_ms": int(ASK_S * 1000)}
        answer = self._ask(leader, dial, body, 2 * ASK_S) if leader is not None else None
        if answer is None or answer.get("status") != "ok":
            return None
        return {name: str(record["state"]) for name, record in answer["results"][0].items()}

    def _ask(
        self, node: str, dial: Dial, body: Mapping[str, Any], timeout_s: float = ASK_S
    ) -> Mapping[str, Any] | None:
        """One administrative request; None when the node does not answer, which is an answer too."""
        client = ReferenceClient(self.cluster_id, "service", self.client_tls)
        deadline_s = time.monotonic() + timeout_s
        try:
            client.open(node, dial, timeout_s)
            return client.request(body, deadline_s - time.monotonic())
        except OSError:
            return None
        finally:
            client.close()

    # On the host

    def _certify(self, host: Host) -> None:
        """Certificates anew at each installation: a node that runs finds them by itself, and drops nothing for it."""
        if self.authority is None:
            return
        path = self.control_of(host).path
        issued = self.authority.node(host.name, LASTING_LIFE if self.options.keep_data else LIFE)
        host.put(self.authority.datagram_key, path(DATAGRAM_KEY), mode=0o600)
        host.put(self.authority.certificate, path(TLS_FILES["ca"]), mode=0o600)
        host.put(issued.key, path(TLS_FILES["key"]), mode=0o600)
        host.put(issued.certificate, path(TLS_FILES["certificate"]), mode=0o600)

    def _take_over(self, host: Host) -> None:
        """The folder belongs to an earlier deployment, if to any: end that one; keep or wipe its data."""
        self.stop(host)
        files = self.control_of(host)
        if not self.options.keep_data:
            host.run(["rm", "-rf", "--", files.directory])
            return
        text = host.run(f"cat {quote(files.path('config.json'))} 2>/dev/null || true").stdout.strip()
        cluster = json.loads(text).get("cluster") if text else self.cluster_id
        if cluster != self.cluster_id:
            raise DeployError(
                f"{host.name}: {files.directory} holds data of cluster {cluster!r}, not {self.cluster_id!r}",
                hint="`tri deploy down` removes it",
            )

    def _digests(self, host: Host, names: Sequence[str]) -> Mapping[str, str]:
        """sha256 of those files that exist, by name, with one command."""
        files = self.control_of(host)
        paths = {files.path(name): name for name in names}
        result = host.run(f"sha256sum {' '.join(map(quote, paths))} 2>/dev/null || true")
        found = (line.split(maxsplit=1) for line in result.stdout.splitlines())
        return {paths[path]: value for value, path in found if path in paths}

    def _last_words(self, host: Host, lines: int = 8) -> str:
        files = self.control_of(host)
        names = " ".join(quote(files.path(name)) for name in ("supervisor.log", "node.out", "node.log"))
        return host.run(f"tail -n {lines} {names} 2>&1 | cut -c 1-300", check=False).stdout.strip()


def service(options: Mapping[str, Any]) -> ReferenceService:
    """What a campaign's `system:` loads."""
    return ReferenceService(options)


def client(options: Mapping[str, Any]) -> ReferenceClient:
    """Raises `CampaignError` for a cluster with TLS whose authority is only in the service's memory."""
    chosen = ReferenceOptions.from_mapping(options)
    if chosen.tls and chosen.authority is None:
        raise CampaignError("a client cannot find this cluster's authority", hint="give `authority`, its directory")
    authority = authority_of(chosen)
    return ReferenceClient(chosen.cluster, tls=None if authority is None else authority.client("client"))


def authority_of(options: ReferenceOptions) -> Authority | None:
    """None without `tls`."""
    if not options.tls:
        return None
    if options.authority is None:
        return Authority.new(options.cluster)
    return Authority.kept(options.cluster, Path(options.authority))
