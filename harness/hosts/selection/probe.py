"""`tri doctor`: what these hosts support, found by tests and not from settings.

For local hosts the kernel is tried first, in scratch namespaces; then a lab of one host is brought up and probed like any machine. Nothing
of it remains. Rows that are not `ok` have a hint; `required` marks requirements of every campaign.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...errors import CampaignError, FaultError, HostError, TribulationError
from ..base import Host, Provider
from ..errors import ConnectError, lost_or_late
from ..local import LocalProvider, launch
from ..parallel import on_all
from ..printed import understood, whole
from ..programs import run_program
from ..ssh.admission import require_python, require_sudo
from ..ssh.provider import SshProvider
from ..ssh.reach import reach_of
from ..ssh.remote import RemoteHost

MACHINE = "(this machine)"
NODE_PORT = 10000
_NFT_RULES = """\
table inet tribulation_probe {
  set drop4 { type ipv4_addr; }
  set drop6 { type ipv6_addr; }
  chain in { type filter hook input priority -300; ip saddr @drop4 counter drop; ip6 saddr @drop6 counter drop; }
}
"""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One row: what was tried, where, whether it worked, what was seen (in one line), and what to do if it did not."""

    probe: str
    host: str
    ok: bool
    detail: str
    hint: str | None = None
    required: bool = True
    answered: bool = True
    """False when the host did not answer."""


Examine = Callable[[Provider, Sequence[Host]], None]
"""Further probes of hosts that are up."""


def run_doctor(
    provider: str,
    inventory: str | Path | None = None,
    ports: Sequence[int] = (NODE_PORT,),
    examine: Examine = lambda provider, hosts: None,
) -> list[ProbeResult]:
    """All rows for `provider` (`local`, or `ssh` with its `inventory`); `ports` are those the system will listen on.

    `examine` gets the hosts that accept a login, while they are up.
    """
    if provider == "local":
        return _doctor_local(ports, examine)
    if provider == "ssh" and inventory is not None:
        return _doctor_ssh(SshProvider.from_file(inventory), ports, examine)
    raise CampaignError(f"nothing to probe for hosts {provider!r}", hint="use local, or the path of an inventory")


def _doctor_local(ports: Sequence[int], examine: Examine) -> list[ProbeResult]:
    rows = [
        _try("programs", MACHINE, _programs),
        _try("namespaces", MACHINE, _namespaces),
        _try("bridge, veth", MACHINE, _bridge),
        _try("nft", MACHINE, _nft_here),
        _try("clock shim", MACHINE, _compiler, required=False),
    ]
    if not all(row.ok for row in rows if row.required):
        return rows
    with tempfile.TemporaryDirectory(prefix="tribulation-doctor-") as folder:
        lab = LocalProvider(nodes=1, name=f"doctor-{secrets.token_hex(3)}", directory=folder, lease_s=60.0)
        row = _try("lab of one host", MACHINE, lambda: f"{len(lab.up())} host, sshd answers")
        rows.append(row)
        try:
            if row.ok:
                rows += _host_rows(lab.hosts[0], ports)
                rows.append(_try("machine's clock safe", lab.hosts[0].name, lambda: _clock_out_of_reach(lab.hosts[0])))
                examine(lab, lab.hosts)
        finally:
            lab.down()
    return rows


def _doctor_ssh(provider: SshProvider, ports: Sequence[int], examine: Examine) -> list[ProbeResult]:
    try:
        hosts = provider.each(means=False)
        missing: dict[str, list[str]] = {}
        rows = on_all(hosts, lambda host: _doctor_host(host, ports, missing)).require("probing")
        answering = [host for host in hosts if all(row.answered for row in rows[host.name])]
        with_python = [host for host in answering if any(row.probe == "python" and row.ok for row in rows[host.name])]
        reached = [row for port in ports for row in _reach_rows(provider, with_python, port)]
        try:
            examine(provider, answering)
        finally:
            on_all(answering, lambda host: _remove_folders(host, missing.get(host.name, [])))
        rows_by_host = [[*rows[host.name], *(row for row in reached if row.host == host.name)] for host in hosts]
        return [row for its in rows_by_host for row in its] + [_try("clock shim", MACHINE, _compiler, required=False)]
    finally:
        provider.close()


def _doctor_host(host: RemoteHost, ports: Sequence[int], missing: dict[str, list[str]]) -> list[ProbeResult]:
    """The rows of one host. Its folders that the probes will make are added to `missing`."""
    login = _try("ssh login", host.name, lambda: f"{host.run('id -un').stdout.strip()}@{host.address}")
    if not login.ok:
        return [replace(login, answered=False)]
    above = f'd={shlex.quote(host.directory)}; while [ ! -d "$d" ]; do echo "$d"; d=$(dirname -- "$d"); done'
    with contextlib.suppress(HostError):
        missing[host.name] = host.run(above).stdout.splitlines()
    return [login, *_host_rows(host, ports)]


def _remove_folders(host: Host, folders: Sequence[str]) -> None:
    """Remove those of these folders, the lowest first, that are empty: a deployment that began meanwhile keeps its own."""
    if folders:
        host.run(["rmdir", "--", *folders], check=False)


def _reach_rows(provider: Provider, hosts: Sequence[Host], port: int) -> list[ProbeResult]:
    failures, probe = reach_of(provider, hosts, port), f"port {port} reached"
    rows = []
    for host in hosts:
        error = failures.get(host.name)
        detail = "from clients and all other hosts" if error is None else " ".join(error.message.split())
        rows.append(ProbeResult(probe, host.name, error is None, detail, None if error is None else error.hint))
    return rows


def _host_rows(host: RemoteHost, ports: Sequence[int]) -> list[ProbeResult]:
    """The rows of one host. After it stops answering, it gets no more requests, because each would take its full timeout."""
    probes: list[tuple[str, Callable[[], str], bool]] = [
        ("sudo", lambda: _privileges(host), True),
        ("python", lambda: f"{host.python} is {require_python(host)}", True),
        ("nft", lambda: _nft_there(host), True),
        ("disk", lambda: _disk(host), True),
        *((f"port {port} free", lambda port=port: _port(host, port), True) for port in ports),
        ("libfaketime", lambda: _faketime(host), False),
    ]
    rows = []
    for name, attempt, required in probes:
        rows.append(_try(name, host.name, attempt, required))
        if not rows[-1].answered:
            break
    return rows


def _try(probe: str, host: str, attempt: Callable[[], str], required: bool = True) -> ProbeResult:
    try:
        return ProbeResult(probe, host, True, attempt(), None, required)
    except TribulationError as error:
        # A command that did not reach its end is no answer to the question.
        answered = not (isinstance(error, ConnectError) or lost_or_late(error))
        return ProbeResult(probe, host, False, " ".join(error.message.split()), error.hint, required, answered)


def _programs() -> str:
    launch.check_programs()
    return ", ".join(launch.PACKAGES)


def _namespaces() -> str:
    launch.check_namespaces()
    return "as root" if os.geteuid() == 0 else "user namespaces, without root"


def _bridge() -> str:
    script = "ip link add br0 type bridge && ip link add v0 type veth peer name v1 && ip link set v0 master br0 up"
    _isolated(script, "", "the kernel lacks bridge or veth: load the modules `bridge` and `veth` as root")
    return "created a bridge with a port in a scratch namespace"


def _nft_here() -> str:
    _isolated(
        "nft -f - && nft list ruleset",
        _NFT_RULES,
        "apt install nftables; the kernel also needs nf_tables (modprobe nf_tables)",
    )
    return "own table, sets and drop rules for IPv4 and IPv6"


def _isolated(script: str, stdin: str, hint: str) -> None:
    command = launch.isolate("sh", "-c", script)
    try:
        done = run_program(command, stdin=stdin, env=launch.environment(), timeout_s=20, hint=hint)
    except OSError as error:
        raise HostError(f"`{script}`: {error}", hint=hint) from None
    if done.exit_code:
        raise HostError(f"`{script}`: {done.stderr.strip()[-300:]}", hint=hint)


def _compiler() -> str:
    from ...nemesis.cluster.clock_library import build

    hint = "apt install gcc libc6-dev here, or libfaketime on the hosts; without either, clock faults are refused"
    try:
        made = build()
    except FaultError as error:
        raise HostError(error.message, hint=hint) from None
    if made is None:
        raise HostError("no C compiler: the clock shim cannot be built", hint=hint)
    return f"built, {len(made)} bytes"


def _privileges(host: RemoteHost) -> str:
    require_sudo(host)
    who = host.run([*host.sudo, "id", "-un"]).stdout.strip()
    if host.sudo:
        return f"{' '.join(host.sudo)} makes {who}"
    # CAP_NET_ADMIN is bit 12: root has it, and so has the login of a rootless local host.
    effective = _capabilities(host, "grep CapEff /proc/self/status")
    if not effective & (1 << 12):
        raise HostError(
            f"{host.name}: login {who} may not change the network",
            hint="set `sudo: true` with NOPASSWD, or log in as root",
        )
    return f"not needed: {who} has the capabilities"


def _capabilities(host: RemoteHost, question: str) -> int:
    text = host.run(question).stdout
    with understood(host.name, text, "a set of capabilities"):
        return whole(text.split()[1], 16)


def _nft_there(host: RemoteHost) -> str:
    """Make a separate table that drops nothing, and remove it in any case."""
    nft = shlex.join([*host.sudo, "nft"])
    done = host.run(f"{nft} -f -", stdin=_NFT_RULES.encode(), check=False)
    host.run(f"{nft} delete table inet tribulation_probe", check=False)
    if done.exit_code:
        said = " ".join(done.stderr.split())[-300:]
        hint = "apt install nftables there; partitions need it, and root or sudo"
        raise HostError(f"{host.name}: {nft} exited with {done.exit_code}: {said}", hint=hint)
    return "own table, sets and drop rules for IPv4 and IPv6"


def _disk(host: RemoteHost) -> str:
    path = f"{host.directory}/.doctor"
    host.put(b"probe", path)
    host.run(["rm", path])
    text = host.run(["df", "-Pk", host.directory]).stdout
    with understood(host.name, text, "the free space"):
        free_mib = whole(text.splitlines()[1].split()[3]) >> 10
    if free_mib < 200:
        raise HostError(f"{host.directory}: only {free_mib} MiB free", hint="free 200 MiB, or use another `directory`")
    return f"{host.directory}: {free_mib} MiB free"


def _port(host: RemoteHost, port: int) -> str:
    script = f"import socket; s = socket.socket(); s.setsockopt(1, 2, 1); s.bind(('', {port}))"
    done = host.run([host.python, "-c", script], check=False)
    if done.exit_code in (126, 127):
        raise HostError(
            f"{host.name}: not tested, because there is no Python", hint="install Python 3.10 or later there"
        )
    if done.exit_code:
        said = done.stderr.strip().splitlines()[-1:] or [f"exit {done.exit_code}"]
        raise HostError(
            f"{host.name}: {said[0]}", hint=f"stop what listens there: ss -ltnp 'sport = :{port}'; or `tri deploy down`"
        )
    return "bound and released"


def _faketime(host: RemoteHost) -> str:
    done = host.run(
        "ls /usr/lib/*/faketime/libfaketimeMT.so.1 /usr/lib/faketime/libfaketimeMT.so.1 2>/dev/null | head -n 1",
        check=False,
    )
    if not done.stdout.strip():
        raise HostError(
            "absent", hint="only needed where the clock shim cannot be built or loaded: apt install libfaketime"
        )
    return done.stdout.strip()


def _clock_out_of_reach(host: RemoteHost) -> str:
    """Check that no process in the host can regain a capability that its process 1 does not have. CAP_SYS_TIME is bit 25."""
    bounding = _capabilities(host, "grep CapBnd /proc/1/status")
    if bounding & (1 << 25):
        raise HostError(
            "a local host may set this machine's clock",
            hint="this is a bug in Tribulation: do not run anything on local hosts",
        )
    return "CAP_SYS_TIME is not available in a host"
