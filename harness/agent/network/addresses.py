"""The addresses under which peers may see this host: all addresses of the interface that has its known one.

A cut must apply to IPv4 and IPv6. Other interfaces are ignored: the address of a container bridge is often the same on every
host, and dropping it would cut a host from itself.
"""

from __future__ import annotations

import json
import subprocess


def of_interface(address: str) -> list[str]:
    """Return them sorted, without scopes; only the given one when no interface has it (address translation), or without the command `ip`."""
    try:
        done = subprocess.run(["ip", "-j", "addr"], capture_output=True, text=True, timeout=10)
        interfaces = json.loads(done.stdout or "[]")
    except (FileNotFoundError, ValueError):
        return [address]
    for interface in interfaces:
        own = [entry["local"] for entry in interface.get("addr_info", []) if "local" in entry]
        if address in own and interface.get("link_type") != "loopback":
            return sorted(own)
    return [address]
