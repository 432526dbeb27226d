"""A bit of what an application sent flips, and every checksum on the way says that all is well: what a bad memory or card between two hosts does.

Only data of TCP and UDP changes: a packet whose ports or sequence numbers had changed would be another packet, and one without data says nothing that could be
changed. The transport's checksum is carried along (RFC 1624), so that the receiver's kernel hands the bytes to the application.
"""

from __future__ import annotations

from random import Random

TCP, UDP = 6, 17
_CHECKSUM_AT = {TCP: 16, UDP: 6}
_SHORTEST = {TCP: 20, UDP: 8}


def flip(packet: bytes, random: Random) -> bytes:
    """The packet with one bit of its data flipped; the same packet where there is none, or where it is a fragment of one."""
    transport, protocol, end = _transport(packet)
    if protocol not in _CHECKSUM_AT or end - transport < _SHORTEST[protocol]:
        return packet
    data = transport + (8 if protocol == UDP else max(20, (packet[transport + 12] >> 4) * 4))
    if data >= end:
        return packet
    at = random.randrange(data, end)
    changed = bytearray(packet)
    changed[at] ^= 1 << random.randrange(8)
    checksum_at = transport + _CHECKSUM_AT[protocol]
    old = int.from_bytes(packet[checksum_at : checksum_at + 2], "big")
    if old or protocol == TCP:
        # UDP's zero says that there is no checksum.
        word = at - (at - transport) % 2
        new = carried(old, _word(packet, word, end), _word(changed, word, end))
        if protocol == UDP:
            new = new or 0xFFFF
        changed[checksum_at : checksum_at + 2] = new.to_bytes(2, "big")
    return bytes(changed)


def carried(checksum: int, before: int, after: int) -> int:
    """The checksum of a packet of which this word of 16 bits became that one."""
    total = (~checksum & 0xFFFF) + (~before & 0xFFFF) + after
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _transport(packet: bytes) -> tuple[int, int, int]:
    """Where the transport's header begins, which transport it is (0: none that is known), and where the packet ends."""
    if len(packet) >= 20 and packet[0] >> 4 == 4:
        is_whole = int.from_bytes(packet[6:8], "big") & 0x3FFF == 0
        return (packet[0] & 15) * 4, packet[9] if is_whole else 0, min(len(packet), int.from_bytes(packet[2:4], "big"))
    if len(packet) >= 40 and packet[0] >> 4 == 6:
        return 40, packet[6], min(len(packet), 40 + int.from_bytes(packet[4:6], "big"))
    return 0, 0, len(packet)


def _word(packet: bytes | bytearray, at: int, end: int) -> int:
    """An odd last byte counts as one that a zero follows."""
    return packet[at] << 8 | (packet[at + 1] if at + 1 < end else 0)
