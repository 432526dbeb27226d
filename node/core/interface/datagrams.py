"""Datagrams between nodes: versioned, of one cluster, with a checksum. Anything else is counted as garbage.

    | "TRIB" | version, 1 byte | crc32 of the rest, 4 bytes | JSON: [cluster, sender, incarnation, tag, body] |

The part of a tag before the dot names the machine that takes the datagram, as with messages. A datagram has at most `LIMIT` bytes, so that it fits in
one packet on nearly every network.
"""

from __future__ import annotations

import struct
from typing import Any
from zlib import crc32

from ...bounded import read_json, refuse_surrogates
from .entry import canonical
from .value import frozen

MAGIC = b"TRIB"
VERSION = 1
LIMIT = 1400
_HEAD = struct.Struct(">4sBI")


@frozen
class Note:
    """Content of a datagram: from `sender` in its `incarnation`, for machine and purpose `tag`. Not authenticated."""

    sender: str
    incarnation: int
    tag: str
    body: Any


def encode_datagram(cluster: str, note: Note) -> bytes:
    """Encode a note as a datagram. Raises ValueError when the datagram would exceed the limit."""
    payload = canonical([cluster, note.sender, note.incarnation, note.tag, note.body]).encode("ascii")
    if len(payload) + _HEAD.size > LIMIT:
        raise ValueError(f"a {note.tag} datagram of {len(payload)} bytes is above {LIMIT}")
    return _HEAD.pack(MAGIC, VERSION, crc32(payload)) + payload


def decode_datagram(cluster: str, data: bytes) -> Note:
    """Decode a datagram of this cluster. Raises ValueError with the reason for anything else."""
    if len(data) < _HEAD.size:
        raise ValueError(f"{len(data)} bytes are not a datagram")
    magic, version, crc = _HEAD.unpack_from(data)
    if magic != MAGIC or version != VERSION:
        raise ValueError(f"it begins with {data[:5]!r}, not with {MAGIC!r} and version {VERSION}")
    payload = data[_HEAD.size :]
    if crc32(payload) != crc:
        raise ValueError("its checksum is wrong")
    try:
        text = payload.decode("utf-8")
        fields = read_json(text)
        refuse_surrogates(text, fields)
    except ValueError:
        raise ValueError("it holds no JSON") from None
    if not isinstance(fields, list) or len(fields) != 5:
        raise ValueError("it is not a list of five")
    theirs, sender, incarnation, tag, body = fields
    if theirs != cluster:
        raise ValueError(f"it is of cluster {str(theirs)[:64]!r}")
    if not isinstance(sender, str) or not 0 < len(sender) <= 64 or not isinstance(tag, str):
        raise ValueError("sender or tag is not a name")
    if type(incarnation) is not int or incarnation < 0:
        raise ValueError("the incarnation is not a number")
    return Note(sender, incarnation, tag, body)
