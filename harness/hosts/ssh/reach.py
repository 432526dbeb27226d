"""Check that the system's port can be reached by the clients, and by every host from every other, with real connections.

Each host listens there for a moment, unless a process already does, and everyone connects to it. Otherwise a firewall that allows only SSH,
or a bastion that only SSH knows of, would look like a cluster that never answers.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from ...errors import HostError, TribulationError
from ..base import Host, Provider
from ..parallel import on_all
from ..printed import object_in, understood
from .places import beside_port

REACH_S = 3.0
_LISTEN = """
import socket, sys
port = int(sys.argv[1])
try:
    both = socket.has_dualstack_ipv6()
    server = socket.create_server(("", port), family=socket.AF_INET6 if both else socket.AF_INET, dualstack_ipv6=both)
except OSError:
    pass  # something listens already, and will do as well
print("ready", flush=True)
sys.stdin.read()
"""
_DIAL = """
import concurrent.futures, json, socket, sys
port, timeout, *addresses = sys.argv[1:]
def dial(address):
    try:
        socket.create_connection((address, int(port)), float(timeout)).close()
    except OSError as error:
        return address, str(error)
with concurrent.futures.ThreadPoolExecutor(32) as pool:
    print(json.dumps(dict(filter(None, pool.map(dial, addresses)))))
"""
HINT = (
    "open TCP port {port} between the hosts, and from the clients to them; if clients connect through a bastion, write `jump:` in the inventory: "
    "a ProxyJump in ~/.ssh/config is only for SSH"
)


def unreached(provider: Provider, hosts: Sequence[Host], port: int) -> dict[str, HostError]:
    """Return by host the reason why others cannot reach its `port`. Raises `HostError` if a host does not answer."""
    names = {host.address: host.name for host in hosts}
    failures: dict[str, list[str]] = {}
    with contextlib.ExitStack() as stack:
        on_all(hosts, lambda host: stack.enter_context(_listening(host, port))).require("listening for a moment")
        asked = on_all(hosts, lambda host: _dial_others(host, [a for a in names if a != host.address], port))
        for dialler, reasons in asked.require("dialling the others").items():
            for address, why in reasons.items():
                failures.setdefault(names[address], []).append(f"{dialler} does not reach it: {why}")
        for result in on_all(hosts, lambda host: _dial_from_clients(provider, host, port)):
            if result.error is not None:
                failures.setdefault(result.host, []).insert(0, f"clients do not reach it: {result.error}")
    return {host.name: _unreached(host, port, failures[host.name]) for host in hosts if host.name in failures}


def require_reach(provider: Provider, hosts: Sequence[Host], port: int) -> None:
    """Raise one `HostError` that lists every host that others do not reach."""
    failures = unreached(provider, hosts, port)
    if failures:
        text = "\n".join(f"  {failure.message}" for failure in failures.values())
        raise HostError(f"some machines cannot reach these hosts:\n{text}", hint=HINT.format(port=port))


@contextlib.contextmanager
def _listening(host: Host, port: int) -> Iterator[None]:
    """Listen until its input ends, which happens also when the connection is lost."""
    channel = host.start([host.python, "-c", _LISTEN, str(port)])
    try:
        channel.read_line(20.0)
        yield
    finally:
        channel.close()


def _dial_others(host: Host, addresses: Sequence[str], port: int) -> dict[str, str]:
    words = [host.python, "-c", _DIAL, str(port), str(REACH_S), *addresses]
    text = host.run(words, timeout_s=20.0 + REACH_S).stdout
    with understood(host.name, text, "which addresses it does not reach"):
        return {address: str(why) for address, why in object_in(text).items() if address in addresses}


def _dial_from_clients(provider: Provider, host: Host, port: int) -> None:
    provider.dial(host.address, port, timeout_s=REACH_S).close()


def _unreached(host: Host, port: int, why: Sequence[str]) -> HostError:
    more = f" (and {len(why) - 2} others)" if len(why) > 2 else ""
    return HostError(
        f"{host.name} at {beside_port(host.address, port)}: {'; '.join(why[:2])}{more}", HINT.format(port=port)
    )


def reach_of(provider: Provider, hosts: Sequence[Host], port: int) -> dict[str, TribulationError]:
    """Return what `unreached` does, for reports: an error of the check itself is the answer for every host."""
    try:
        return dict(unreached(provider, hosts, port)) if hosts else {}
    except TribulationError as error:
        return {host.name: error for host in hosts}
