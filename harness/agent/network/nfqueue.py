"""Packets that the kernel queues for a program, over netlink, with only the standard library.

A packet waits in the kernel until its verdict; this module reads its number, its family and the requested number of its first bytes. Packets come
segmented and with their checksums filled in, because the queue does not declare that it can do without. The kernel does not trust a payload that is
given back: the receiver's checksum finds a flipped bit, as if it had flipped on the wire.

See linux/netfilter/nfnetlink_queue.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections import deque
from dataclasses import dataclass

NETLINK_NETFILTER = 12
SOL_NETLINK = 270
NETLINK_NO_ENOBUFS = 5
SUBSYSTEM = 3 << 8
MSG_PACKET, MSG_VERDICT, MSG_CONFIG = SUBSYSTEM | 0, SUBSYSTEM | 1, SUBSYSTEM | 2
NLMSG_ERROR = 2
REQUEST, ACK = 1, 4
DROP, ACCEPT = 0, 1
CFG_CMD, CFG_PARAMS, CFG_QUEUE_MAXLEN = 1, 2, 3
CMD_BIND = 1
COPY_PACKET = 2
A_PACKET_HDR, A_VERDICT_HDR, A_PAYLOAD = 1, 2, 10
IPV4, IPV6 = 0x0800, 0x86DD
HEADERS = 64
"""Bytes that hold the addresses and the length, whatever the family."""
WHOLE = 0xFFFF
HELD_AT_MOST = 1 << 16
"""The most packets in the queue, the maximum of the kernel, so that a clogged link loses none before."""
BUFFER_BYTES = 16 << 20
HEADER = struct.Struct("=IHHII")
TOO_MANY_BYTES = 1 << 17


@dataclass(frozen=True, slots=True)
class Packet:
    number: int
    payload: bytes
    source: bytes
    length: int
    """The length of the whole packet, even if `payload` has only a part of it."""


class Queue:
    """One queue of this network namespace. Raises `OSError` if the kernel has no such queues, or another program uses it."""

    def __init__(self, number: int) -> None:
        self.number, self.copied = number, 0
        self._sequence = 0
        self._early: deque[Packet] = deque()
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
        try:
            self._socket.bind((0, 0))
            self._socket.settimeout(5.0)
            self._configure(CFG_CMD, struct.pack(">BxH", CMD_BIND, 0))
            self._configure(CFG_QUEUE_MAXLEN, struct.pack(">I", HELD_AT_MOST))
            self.copy(HEADERS)
            # A burst must wait in the buffer, not be dropped by the kernel, and never be reported as an error.
            self._socket.setsockopt(SOL_NETLINK, NETLINK_NO_ENOBUFS, 1)
            _enlarge(self._socket)
            self._socket.setblocking(False)
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        return self._socket.fileno()

    def copy(self, length: int) -> None:
        """Set how much of each packet is read from now on."""
        if length != self.copied:
            self._configure(CFG_PARAMS, struct.pack(">IB", length, COPY_PACKET))
            self.copied = length

    def read(self) -> Packet | None:
        """Return the next packet, or None if none waits."""
        if self._early:
            return self._early.popleft()
        while True:
            try:
                data = self._socket.recv(TOO_MANY_BYTES)
            except BlockingIOError:
                return None
            packet = parse(data)
            if packet is not None:
                return packet

    def verdict(self, number: int, verdict: int, payload: bytes | None = None) -> None:
        body = _attribute(A_VERDICT_HDR, struct.pack(">II", verdict, number))
        if payload is not None:
            body += _attribute(A_PAYLOAD, payload)
        self._socket.send(self._message(MSG_VERDICT, REQUEST, body))

    def close(self) -> None:
        """Close the queue. The kernel drops packets that still wait for a verdict."""
        self._socket.close()

    def _configure(self, kind: int, value: bytes) -> None:
        blocking = self._socket.gettimeout()
        self._socket.settimeout(5.0)
        try:
            self._socket.send(self._message(MSG_CONFIG, REQUEST | ACK, _attribute(kind, value)))
            self._await_ack()
        finally:
            self._socket.settimeout(blocking)

    def _await_ack(self) -> None:
        while True:
            data = self._socket.recv(TOO_MANY_BYTES)
            _, kind, _, _, _ = HEADER.unpack_from(data)
            if kind == NLMSG_ERROR:
                (code,) = struct.unpack_from("=i", data, HEADER.size)
                if code:
                    raise OSError(-code, f"queue {self.number}: {os.strerror(-code)}")
                return
            packet = parse(data)
            if packet is not None:
                # It came between the question and its answer, and has its turn.
                self._early.append(packet)

    def _message(self, kind: int, flags: int, body: bytes) -> bytes:
        self._sequence += 1
        payload = struct.pack(">BBH", 0, 0, self.number) + body
        return HEADER.pack(HEADER.size + len(payload), kind, flags, self._sequence, 0) + payload


def parse(data: bytes) -> Packet | None:
    """Return the packet in a message from the kernel; None if the message is about something else."""
    if len(data) < HEADER.size + 4 or HEADER.unpack_from(data)[1] != MSG_PACKET:
        return None
    at, end = HEADER.size + 4, HEADER.unpack_from(data)[0]
    number, protocol, payload = None, 0, b""
    while at + 4 <= end:
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            break
        if kind & 0x7FFF == A_PACKET_HDR:
            number, protocol = struct.unpack_from(">IH", data, at + 4)
        elif kind & 0x7FFF == A_PAYLOAD:
            payload = data[at + 4 : at + length]
        at += (length + 3) & ~3
    if number is None:
        return None
    if protocol == IPV4 and len(payload) >= 20:
        return Packet(number, payload, payload[12:16], int.from_bytes(payload[2:4], "big"))
    if protocol == IPV6 and len(payload) >= 40:
        return Packet(number, payload, payload[8:24], 40 + int.from_bytes(payload[4:6], "big"))
    return Packet(number, payload, b"", len(payload))


def available(number: int) -> bool:
    """Return whether such a queue is available: no other program uses it, and the kernel supports queues."""
    try:
        Queue(number).close()
    except OSError as error:
        if error.errno in (errno.EBUSY, errno.EPERM, errno.EINVAL, errno.EPROTONOSUPPORT, errno.ENOENT):
            return False
        raise
    return True


def _attribute(kind: int, value: bytes) -> bytes:
    padding = b"\0" * (-len(value) % 4)
    return struct.pack("=HH", 4 + len(value), kind) + value + padding


def _enlarge(each: socket.socket) -> None:
    try:
        each.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_RCVBUFFORCE", 33), BUFFER_BYTES)
    except OSError:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
