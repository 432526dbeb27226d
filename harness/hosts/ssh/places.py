"""Machines as people write them: names, IPv4 and IPv6 addresses, and bastions `user@host:port`. Pure.

>>> place("[2001:db8::1]"), str(Jump.parse("ops@[2001:db8::1]:2222")), beside_port("2001:db8::1", 22)
('2001:db8::1', 'ops@[2001:db8::1]:2222', '[2001:db8::1]:22')
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?\.?", re.ASCII)
_DIGITS = re.compile(r"[0-9.]+", re.ASCII)
_JUMP = re.compile(r"(?:(?P<user>[^@\s]+)@)?(?P<host>\[[^\]\s]+\]|[^\s:@\[\]]+)(?::(?P<port>[0-9]{1,5}))?")


def place(text: str) -> str:
    """A name, or an address (IPv6 with or without brackets), without brackets. Raises `ValueError`."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if ":" in bare or _DIGITS.fullmatch(bare) or bare != text:
        try:
            ipaddress.ip_address(bare)
        except ValueError:
            raise ValueError("not an IP address: write it as 203.0.113.11 or 2001:db8::1, without a port") from None
        return bare
    if not _NAME.fullmatch(bare):
        raise ValueError("not a host name or an IP address; the user belongs into `user`, the port into `port`")
    return bare


def at_peers(text: str) -> str:
    """Parse an address as `place` does, for one that means the same machine to every other host."""
    bare = place(text)
    if (ip := literal(bare)) is None:
        return bare
    if ip.is_unspecified or ip.is_multicast:
        raise ValueError("not the address of a single machine")
    if ip.is_link_local and ip.version == 6:
        raise ValueError(
            "a link-local address means a different machine on each link: use a global or unique local address"
        )
    return bare


def literal(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address, unless it is a name."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def normal(text: str) -> str:
    """One spelling for all spellings of a place."""
    bare = text.removeprefix("[").removesuffix("]")
    ip = literal(bare)
    return bare.lower().rstrip(".") if ip is None else str(ip)


def beside_port(host: str, port: int) -> str:
    """Write `host:port`, with brackets around IPv6."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@dataclass(frozen=True, slots=True)
class Jump:
    """A bastion: the machine through which one logs in to others."""

    host: str
    port: int = 22
    user: str | None = None

    def __str__(self) -> str:
        return f"{self.user}@{beside_port(self.host, self.port)}" if self.user else beside_port(self.host, self.port)

    @classmethod
    def parse(cls, text: str) -> Jump:
        """Parse `[user@]host[:port]`. Raises `ValueError`."""
        match = _JUMP.fullmatch(text)
        if match is None or not 1 <= int(match["port"] or 22) <= 65535:
            raise ValueError("not a bastion: write it as user@host:port, IPv6 as user@[2001:db8::1]:port")
        return cls(place(match["host"]), int(match["port"] or 22), match["user"])
