"""The reference cluster as a `Service`: node.pyz and a configuration on each host, started under its supervisor.

Everything is in one folder, `<host.directory>/reference`, so that uninstalling means removing it. The contract for killing and
restarting a node, by faults or by hand, is `node/runtime/process/control.py`.

Each `ReferenceService` is one deployment: what an earlier one left on a host is stopped and wiped at installation, because a run must not begin
with another run's log. `keep_data: true` is for a cluster that is deployed to stay: deploying again changes only what differs, and keeps the data.
"""

from __future__ import annotations

import json
import posixpath
import re
import secrets
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

from tribulation.node.config.node import NodeConfig
from tribulation.node.core.storage.snapshot_file import TEMPORARY
from tribulation.node.errors import ConfigError
from tribulation.node.runtime.process import control
from tribulation.node.runtime.process.control import Control

from ...bytecode import for_python
from ...errors import CampaignError, DeployError
from ...hosts.base import SERVICE_HOOK, Host
from ...hosts.printed import object_in, understood, whole
from ..base import Replacement
from .authority import LASTING_LIFE, LIFE, Authority
from .client import ReferenceClient
from .forgotten import forgotten_log
from .options import ReferenceOptions, node_config
from .package import build_node_archive, digest
from .questions import ReferenceQuestions

FOLDER = "reference"
TLS_FILES = {"ca": "tls-ca.pem", "certificate": "tls-certificate.pem", "key": "tls-key.pem"}
DATAGRAM_KEY = "datagram.key"
DEPLOYMENT = "deployment"
TO_STAY = "to stay: "
_COLLECTED = ("node.log", "node.log.1", "node.out", "supervisor.log", "config.json")
_INPUTS = re.compile(r"inputs/events-[0-9]{6,20}\.log")
"""One file for each incarnation (`node/runtime/loop/inputs.py`). A host may list anything; other names are not asked for."""
_FIRST_LOOKS, _FIRST_STEP_S, _STEP_S = 40, 0.05, 1.0
"""A node of a common machine is ready at one of the first looks. A small machine takes longer, and each look, of several processes, takes processor
time from the node.
"""
_ENDINGS = 5
_ENDS_AGAIN = 3


@dataclass
class ReferenceService(ReferenceQuestions):
    """Service of the reference cluster; see the module. `options` is a mapping or `ReferenceOptions`."""

    options: Any = field(default_factory=ReferenceOptions)
    name: str = "reference"
    capabilities: frozenset[str] = frozenset(
        {"traces", "status", "clock", "inputs", "voters", "transfer", "replacement", "disk"}
    )
    archive: bytes = field(default_factory=build_node_archive, repr=False)
    """The node's program: that of this source tree unless another version is given."""

    def __post_init__(self) -> None:
        if not isinstance(self.options, ReferenceOptions):
            self.options = ReferenceOptions.from_mapping(self.options)
        if self.options.membership is not None:
            self.capabilities |= {"members"}
        self._deployment = f"{TO_STAY}{self.cluster_id}" if self.options.keep_data else secrets.token_hex(8)
        self.authority = authority_of(self.options)
        """The certificate authority of nodes and clients; None without TLS."""
        self.client_tls = None if self.authority is None else self.authority.client("harness")
        """The TLS context of this cluster's clients; None: no TLS."""

    @property
    def port(self) -> int:
        return int(self.options.port)

    @property
    def cluster_id(self) -> str:
        return str(self.options.cluster)

    # Deployment

    def install(self, host: Host, cluster: Sequence[Host]) -> None:
        files = self.files(host, cluster)
        present = self._digests(host, list(files))
        if present.get(DEPLOYMENT) != digest(files[DEPLOYMENT]):
            self._take_over(host)
            present = self._digests(host, list(files))
        changed = {name: content for name, content in files.items() if present.get(name) != digest(content)}
        if changed and present:
            # Another version or configuration: a running node would go on with the old one.
            self.stop(host)
        for name, content in changed.items():
            host.put(content, self.control_of(host).path(name))
        self._certify(host)

    def files(self, host: Host, cluster: Sequence[Host]) -> Mapping[str, bytes]:
        """Files of the service's folder that are compared, by name: none is a secret."""
        return {
            control.ARCHIVE: for_python(self.archive, host.python),
            "config.json": json.dumps(self.config(host, cluster), indent=1, sort_keys=True).encode(),
            DEPLOYMENT: self._deployment.encode(),
        }

    def certificates(self, host: Host) -> Mapping[str, bytes]:
        """The host's certificates, issued again at each call; nothing without TLS. All but the authority's and the node's certificate are secrets."""
        if self.authority is None:
            return {}
        issued = self.authority.node(host.name, LASTING_LIFE if self.options.keep_data else LIFE)
        return {
            DATAGRAM_KEY: self.authority.datagram_key,
            TLS_FILES["ca"]: self.authority.certificate,
            TLS_FILES["key"]: issued.key,
            TLS_FILES["certificate"]: issued.certificate,
        }

    def followed(self, host: Host) -> Mapping[str, Any]:
        """Files in which the node records events as they happen, and the one with which it begins a snapshot."""
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
        """Start the supervisor. A running node keeps its environment until it is restarted."""
        files = self.control_of(host)
        content = json.dumps(dict(environment), sort_keys=True).encode()
        if self._digests(host, [control.ENVIRONMENT]).get(control.ENVIRONMENT) != digest(content):
            host.put(content, files.path(control.ENVIRONMENT))
        supervise = self.supervise_words(host)
        hook = f"{host.directory.rstrip('/')}/{SERVICE_HOOK}"
        # Without the restart: a node that was kept down before a boot stays down after it.
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

    def supervise_words(self, host: Host) -> list[str]:
        """The command that leaves a supervisor behind."""
        path = self.control_of(host).path
        return [host.python, "-I", "-S", path(control.ARCHIVE), "--supervise", "--config", path("config.json")]

    def wait_ready(self, host: Host, timeout_s: float) -> None:
        """Wait until it recovered its log and listens. The host itself looks, so that waiting costs one command."""
        files = self.control_of(host)
        tries = _FIRST_LOOKS + int(timeout_s / _STEP_S)
        ready = quote(files.path("ready"))
        look = f'pid=$({files.pid_command()}); [ -n "$pid" ] && grep -qs "\\"pid\\": $pid," {ready} && exit 0'
        # A node that keeps ending while it starts will not do better in the rest of the time.
        count = f'ended=$(grep -cs "node ended" {quote(files.path(control.SUPERVISOR_LOG))})'
        give_up = f"{count}; [ $((${{ended:-0}} - before)) -ge {_ENDINGS} ] && exit {_ENDS_AGAIN}"
        script = f"""{count}; before=${{ended:-0}}; end=$(($(date +%s) + {int(timeout_s) + 1})); i=0
while [ $i -lt {tries} ] && [ $(date +%s) -le $end ]; do
{look}; [ $((i % 10)) = 9 ] && {{ {give_up}; }}; [ $i -lt {_FIRST_LOOKS} ] && sleep {_FIRST_STEP_S} || sleep {_STEP_S}; i=$((i+1))
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
        with understood(host.name, text, "the node's process number"):
            return whole(text) if text else None

    def control(self, host: Host) -> Mapping[str, Any]:
        """Return the paths by which faults find the process and the marker that keeps it down."""
        files = self.control_of(host)
        # Text that its command line must contain: process numbers are used again, and a stale pid file must never point at another process.
        return {"pid_file": files.pid_file, "marker": files.marker, "contains": files.path("")}

    def replacement(self, host: Host) -> Replacement:
        """A data folder whose log begins with a doubt: the incarnation that finds it does not vote or become a candidate before a leader has
        completed its log.
        """
        return Replacement(self.control_of(host).path("data"), forgotten_log())

    def data_directory(self, host: Host) -> str:
        """The directory of the core's data. Traces, inputs and logs next to it are evidence, and lose nothing with a disk."""
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
        return {to: host.get(path) for to, path in sorted(self.kept_files(host).items())}

    def kept_files(self, host: Host) -> Mapping[str, str]:
        files = self.control_of(host)
        listing = host.run(f"cd {quote(files.directory)} 2>/dev/null && find . -maxdepth 2 -type f || true").stdout
        present = {line.removeprefix("./") for line in listing.splitlines()}
        wanted = {f"logs/{name}": name for name in _COLLECTED if name in present}
        wanted |= {name: name for name in present if name == "trace.jsonl" or _INPUTS.fullmatch(name)}
        return {to: files.path(name) for to, name in wanted.items()}

    def uninstall(self, host: Host) -> None:
        """Remove the system. Another cluster that was deployed to stay is left alone: a run that could not install anything must not remove it."""
        if not self.options.keep_data and self._staying(host) is not None:
            return
        self.stop(host)
        host.run(["rm", "-rf", "--", self.control_of(host).directory])

    # On the host

    def _certify(self, host: Host) -> None:
        """Issue certificates at each installation: a running node finds them by itself, and drops no connection for it."""
        for name, content in self.certificates(host).items():
            host.put(content, self.control_of(host).path(name), mode=0o600)

    def _take_over(self, host: Host) -> None:
        """End an earlier deployment in the folder, if any; keep or wipe its data."""
        files = self.control_of(host)
        staying = self._staying(host)
        if staying is not None and not self.options.keep_data:
            raise DeployError(
                f"{host.name}: cluster {staying!r} was deployed to stay in {files.directory}",
                hint="`tri run --attach` tests it as it is; `tri deploy down` removes it",
            )
        self.stop(host)
        if not self.options.keep_data:
            host.run(["rm", "-rf", "--", files.directory])
            return
        text = host.run(f"cat {quote(files.path('config.json'))} 2>/dev/null || true").stdout.strip()
        with understood(host.name, text, "the configuration of what is deployed there"):
            cluster = object_in(text).get("cluster") if text else self.cluster_id
        if cluster != self.cluster_id:
            raise DeployError(
                f"{host.name}: {files.directory} holds data of cluster {cluster!r}, not {self.cluster_id!r}",
                hint="`tri deploy down` removes it",
            )

    def _staying(self, host: Host) -> str | None:
        """The cluster that was deployed to stay there, if one was."""
        found = host.run(f"cat {quote(self.control_of(host).path(DEPLOYMENT))} 2>/dev/null || true").stdout
        return found.removeprefix(TO_STAY).strip() if found.startswith(TO_STAY) else None

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
    """Make the service that a campaign's `system:` loads."""
    return ReferenceService(options)


def client(options: Mapping[str, Any]) -> ReferenceClient:
    """A client of the cluster. Raises `CampaignError` for a cluster with TLS whose authority is only in the service's memory."""
    chosen = ReferenceOptions.from_mapping(options)
    if chosen.tls and chosen.authority is None:
        raise CampaignError("a client cannot find this cluster's authority", hint="give `authority`, its directory")
    authority = authority_of(chosen)
    return ReferenceClient(chosen.cluster, tls=None if authority is None else authority.client("client"))


def authority_of(options: ReferenceOptions) -> Authority | None:
    """Return the authority of the cluster; None without `tls`."""
    if not options.tls:
        return None
    if options.authority is None:
        return Authority.new(options.cluster)
    return Authority.kept(options.cluster, Path(options.authority))
