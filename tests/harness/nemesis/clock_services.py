"""Systems whose clocks are hard to move, and systems that say what time it is."""

from __future__ import annotations

from collections.abc import Mapping

from tests.harness.nemesis.plain_service import Plain
from tribulation.harness.hosts.base import Host

ANSWERS = """
import socket, time
here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); here.bind(("127.0.0.1", 7070))
while True:
    asker = here.recvfrom(9)[1]
    here.sendto(b"%d" % (time.time_ns() - LIE), asker)
"""
ASK = 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b"?", ("127.0.0.1", 7070)); print(s.recv(99).decode())'


class Compiled(Plain):
    """A program that the C compiler made, and a supervisor that keeps its input open."""

    def __init__(self, program: bytes) -> None:
        self._program = program

    def install(self, host: Host, cluster: object) -> None:
        host.put(self._program, f"{host.directory}/plain/program.py", mode=0o755)

    def start(self, host: Host, environment: Mapping[str, str]) -> None:
        if self.pid(host) is None:
            self._launch(host, environment, "sh -c 'while sleep 0.01; do echo; done | ./program.py' >log 2>&1 &")
            found = "for i in $(seq 200); do pgrep -x -r R,S,D program.py >pid && exit 0; sleep 0.02; done; exit 1"
            host.run(f"cd {host.directory}/plain && {found}")


class Answering(Plain):
    """A system that says what time it is; `lie_ns`: it does not ask the clock that it was started under for that."""

    lie_ns = 0

    def install(self, host: Host, cluster: object) -> None:
        program = ANSWERS.replace("LIE", str(self.lie_ns))
        host.put(program.encode(), f"{host.directory}/plain/program.py")

    def clock(self, host: Host) -> int:
        return int(host.run([host.python, "-c", ASK]).stdout)
