"""A flood from one address, until it is killed: `flood.py OWN HOST TCP_PORT UDP_PORT`. Silent connections, garbage, handshakes that go no further, and datagrams."""

from __future__ import annotations

import socket
import ssl
import sys
import time
from collections import deque

HELD = 400
DATAGRAMS = 50


def main(own: str, host: str, tcp_port: int, udp_port: int) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context.wrap_bio(incoming, outgoing).do_handshake()
    except ssl.SSLWantReadError:
        first = outgoing.read()
    held: deque[socket.socket] = deque()
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((own, 0))
    turn = 0
    while True:
        turn += 1
        for _ in range(DATAGRAMS):
            udp.sendto(b"x" * 1400, (host, udp_port))
        sock = socket.socket()
        sock.bind((own, 0))
        sock.settimeout(1.0)
        try:
            sock.connect((host, tcp_port))
            sock.setblocking(False)
            sock.send((b"", first, b"\xff" * 4096)[turn % 3])
        except OSError:
            time.sleep(0.001)
        held.append(sock)
        if len(held) > HELD:
            held.popleft().close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
