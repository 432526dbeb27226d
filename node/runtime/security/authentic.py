"""Authenticated datagrams: only holders of a key can make them, and each is accepted once.

    | "TRIS" | 1 | mac, 16 bytes | incarnation, 8 | sequence, 8 | length of the name, 1 | sender's name | datagram |

The MAC is HMAC-SHA256 (RFC 2104) truncated to 16 bytes, over the cluster's name and everything after itself. The sequence grows with each datagram of
an incarnation. A receiver keeps, for each sender, the highest one and which of the `WINDOW` before it have arrived, as IPsec does (RFC 4303, section
3.4.3). Older ones and those of an earlier incarnation are replays.

All nodes share the key: it keeps outsiders out, but does not distinguish nodes. The core sees only the datagram, as if there were no key.

A key file has one or two lines of hexadecimal digits: all are accepted, the first signs.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from dataclasses import dataclass
from pathlib import Path

from ...errors import ConfigError
from ..telemetry.refusals import Refused
from .rotating import read_secret

MAGIC = b"TRIS"
VERSION = 1
MAC_BYTES = 16
KEY_BYTES = 32
DIGITS = frozenset(b"0123456789abcdefABCDEF")
KEYS = 2
WINDOW = 1024
SENDERS = 4096
_HEAD = struct.Struct(f">4sB{MAC_BYTES}s")
_BODY = struct.Struct(">QQB")
NAME_BYTES = 255
OVERHEAD = _HEAD.size + _BODY.size + NAME_BYTES
"""Bytes that a signature adds to a datagram, at most."""

Keys = tuple[bytes, ...]


def load_keys(path: Path) -> Keys:
    """Load the keys from a file. Raises `ConfigError`, which names the line and not its content."""
    lines = read_secret(path, "datagram_key").split()
    hint = f"write one or two lines of {2 * KEY_BYTES} hexadecimal digits: openssl rand -hex {KEY_BYTES}"
    if not 1 <= len(lines) <= KEYS:
        raise ConfigError(f"datagram_key: {path} has {len(lines)} keys", hint)
    keys = []
    for number, line in enumerate(lines, 1):
        if set(line) - DIGITS:
            raise ConfigError(f"datagram_key: {path}: key {number} is not hexadecimal", hint)
        # A longer one would be no stronger: it is two keys without a line end, or another file.
        if len(line) != 2 * KEY_BYTES:
            raise ConfigError(f"datagram_key: {path}: key {number} has {len(line)} digits, not {2 * KEY_BYTES}", hint)
        keys.append(bytes.fromhex(line.decode("ascii")))
    return tuple(keys)


@dataclass(slots=True)
class _Window:
    """Replay window of one sender: bit i of `seen` stands for the sequence `highest` - i."""

    incarnation: int
    highest: int = 0
    seen: int = 0


class Signer:
    """Signer of the datagrams that this node sends. Each gets the next sequence number."""

    def __init__(self, cluster: str, node: str, incarnation: int) -> None:
        self._cluster, self._name, self._incarnation = _scope(cluster), node.encode(), incarnation
        self._sequence = 0

    def sign(self, keys: Keys, data: bytes) -> bytes:
        self._sequence += 1
        name = self._name
        signed = _BODY.pack(self._incarnation, self._sequence, len(name)) + name + data
        return _HEAD.pack(MAGIC, VERSION, _mac(keys[0], self._cluster, signed)) + signed


class Verifier:
    """Verifier of the datagrams of other nodes. It accepts each datagram once. The number of senders is bounded, and only a holder of the key can
    become one.
    """

    def __init__(self, cluster: str, node: str) -> None:
        self._cluster, self._own = _scope(cluster), node.encode()
        self._windows: dict[bytes, _Window] = {}

    def open(self, keys: Keys, data: bytes) -> bytes | None:
        """Return the datagram inside; None for a datagram of this node, which a broadcast brings back. Raises `Refused`."""
        if len(data) < _HEAD.size + _BODY.size or not data.startswith(MAGIC):
            raise Refused("unsigned", "a datagram without a signature")
        _, version, mac = _HEAD.unpack_from(data)
        signed = data[_HEAD.size :]
        if version != VERSION or not any(hmac.compare_digest(mac, _mac(key, self._cluster, signed)) for key in keys):
            raise Refused("forged", "a datagram whose signature is not of our key and cluster")
        incarnation, sequence, length = _BODY.unpack_from(signed)
        name = signed[_BODY.size : _BODY.size + length]
        if name == self._own:
            return None
        self._take(name, incarnation, sequence)
        return signed[_BODY.size + length :]

    def meet(self, sender: str, incarnation: int) -> None:
        """Set the sender's incarnation, after its certificate has proven it. The new incarnation may be smaller than the old one, after the sender
        lost its directory.
        """
        window = self._windows.get(sender.encode())
        if window is not None and window.incarnation != incarnation:
            self._windows[sender.encode()] = _Window(incarnation)

    def _take(self, name: bytes, incarnation: int, sequence: int) -> None:
        window = self._windows.get(name)
        if window is None or incarnation > window.incarnation:
            if window is None and len(self._windows) >= SENDERS:
                raise Refused("senders", f"there are {SENDERS} senders already")
            window = self._windows[name] = _Window(incarnation)
        behind = window.highest - sequence
        if incarnation < window.incarnation or behind >= WINDOW or (behind >= 0 and window.seen >> behind & 1):
            raise Refused(
                "replayed", f"a datagram of {name.decode(errors='replace')} that was received before, or is too old"
            )
        if behind < 0:
            window.seen = (window.seen << -behind if -behind < WINDOW else 0) & (1 << WINDOW) - 1
            window.highest, behind = sequence, 0
        window.seen |= 1 << behind


def _scope(cluster: str) -> bytes:
    """Return bytes that identify the cluster: with a key that two clusters share, datagrams of one must not be accepted by the other."""
    return hashlib.sha256(cluster.encode()).digest()


def _mac(key: bytes, scope: bytes, signed: bytes) -> bytes:
    return hmac.digest(key, scope + signed, "sha256")[:MAC_BYTES]
