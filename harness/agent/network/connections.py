"""TCP connections of this host as the kernel's own tables have them, and their breaking.

Breaking is `ss -K`: the kernel destroys the socket, so the program here reads ECONNABORTED and the peer gets a reset. Nothing is spoofed, and a
connection that carries nothing at the moment breaks as well. The connection that controls the host is not broken.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

ESTABLISHED = "01"


def listed(addresses: Iterable[str], control: list[Any]) -> list[list[Any]]:
    """Return [own port, peer's address, peer's port, inode] of every established connection to one of these addresses; the inode distinguishes a
    connection from a later one.
    """
    wanted = {ipaddress.ip_address(address.partition("%")[0]) for address in addresses}
    found = []
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(path) as file:
                lines = file.readlines()[1:]
        except FileNotFoundError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] != ESTABLISHED:
                continue
            (_, own_port), (peer, peer_port) = _end(fields[1]), _end(fields[2])
            if peer in wanted and not _is_control(peer, own_port, control):
                found.append([own_port, str(peer), peer_port, int(fields[9])])
    return sorted(found)


def break_all(addresses: Iterable[str], control: list[Any]) -> None:
    """Break all connections with these addresses. Raises `RuntimeError` if `ss` fails."""
    process = start_breaking(addresses, control)
    try:
        _, said = process.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    if process.returncode or said.strip():
        raise RuntimeError(f"ss -K: {said.decode().strip() or process.returncode}")


def start_breaking(addresses: Iterable[str], control: list[Any]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        breaking(addresses, control), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def breaking(addresses: Iterable[str], control: list[Any]) -> list[str]:
    plain = sorted({address.partition("%")[0] for address in addresses})
    peers = " or ".join(f"dst {_for_ss(address)}" for address in plain)
    spared = f"( sport = :{int(control[1])} and dst {_for_ss(control[0].partition('%')[0])} )"
    return ["ss", "-K", "-H", "-n", "-t", "state", "established", f"( {peers} ) and not {spared}"]


def can_break() -> bool:
    """Test it on a new connection over loopback."""
    with contextlib.suppress(OSError):
        return _breaks_our_own()
    return False


def _breaks_our_own() -> bool:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port), timeout=5) as ours, server.accept()[0] as theirs:
            command = ["ss", "-K", "-H", "-n", "-t", "state", "established", f"dport = :{port} or sport = :{port}"]
            subprocess.run(command, capture_output=True, timeout=10)
            theirs.settimeout(1.0)
            try:
                ours.sendall(b"x")
                return theirs.recv(1) != b"x"
            except ConnectionError:
                return True


def _end(text: str) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]:
    """Parse one end, such as `0100007F:1F90`: 32-bit words in the byte order of the machine."""
    address, _, port = text.partition(":")
    words = [int(address[at : at + 8], 16) for at in range(0, len(address), 8)]
    packed = struct.pack(f"{'<' if sys.byteorder == 'little' else '>'}{len(words)}I", *words)
    found = ipaddress.ip_address(packed)
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found, int(port, 16)


def _is_control(peer: Any, own_port: int, control: list[Any]) -> bool:
    return bool(own_port == int(control[1]) and str(peer) == control[0].partition("%")[0])


def _for_ss(address: str) -> str:
    return f"[{address}]" if ":" in address else address
