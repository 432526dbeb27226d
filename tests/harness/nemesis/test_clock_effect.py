"""Clock faults on systems that do not ask the preloaded library, and on systems that can be asked for their time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.hosts.base import Host
from harness.hosts.local import LocalProvider
from tests.harness.nemesis.clock_readers import compiled
from tests.harness.nemesis.lab_tools import deploy, fault, running
from tests.harness.nemesis.plain_service import Plain

MINUTE_NS = 60 * 10**9
ANSWERS = """
import socket, time
here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); here.bind(("127.0.0.1", 7070))
while True:
    asker = here.recvfrom(9)[1]
    here.sendto(b"%d" % (time.time_ns() - LIE), asker)
"""
ASK = 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b"?", ("127.0.0.1", 7070)); print(s.recv(99).decode())'


class Compiled(Plain):
    """A program that the C compiler made, beside a supervisor that keeps its input open."""

    def __init__(self, program: bytes) -> None:
        self._program = program

    def install(self, host: Host, cluster: object) -> None:
        host.put(self._program, f"{host.directory}/plain/program.py", mode=0o755)

    def start(self, host: Host, environment: Mapping[str, str]) -> None:
        if self.pid(host) is None:
            self._launch(host, environment, "sh -c 'while sleep 0.01; do echo; done | ./program.py' >log 2>&1 &")
            found = "for i in $(seq 200); do pgrep -x program.py >pid && exit 0; sleep 0.02; done; exit 1"
            host.run(f"cd {host.directory}/plain && {found}")


class Answering(Plain):
    """A system that says what time it is; `lie_ns`: it does not ask the clock that it was started under for that."""

    lie_ns = 0

    def install(self, host: Host, cluster: object) -> None:
        program = ANSWERS.replace("LIE", str(self.lie_ns))
        host.put(program.encode(), f"{host.directory}/plain/program.py")

    def clock(self, host: Host) -> int:
        return int(host.run([host.python, "-c", ASK]).stdout)


def taken_off(service: Plain, lab: LocalProvider) -> None:
    for host in lab.hosts:
        service.stop(host)
        service.uninstall(host)


def test_a_program_that_does_not_ask_the_library_is_not_verified(lab: LocalProvider, tmp_path: Path) -> None:
    service = Compiled(Path(compiled(tmp_path, "-DGO")).read_bytes())
    deploy(service, list(lab.hosts), clocks=True)
    try:
        with running(lab, service, tmp_path / "ledger.jsonl") as injector:
            jump = fault("clock", offsets_ns={"n1": MINUTE_NS})
            seen = injector.inject(jump)
            assert not seen.verified and seen.observed["affected"] == {"n1": False}
            assert "is a Go program: its runtime reads the vDSO" in seen.observed["unaffected"]["n1"][0]
            assert "clock: system" in seen.observed["hint"]
            assert injector.heal(jump).verified
    finally:
        taken_off(service, lab)


@pytest.mark.parametrize("lie_ns", [0, MINUTE_NS])
def test_the_word_of_the_system_itself_decides(lab: LocalProvider, tmp_path: Path, lie_ns: int) -> None:
    service = Answering()
    service.lie_ns = lie_ns
    deploy(service, list(lab.hosts), clocks=True)
    try:
        with running(lab, service, tmp_path / "ledger.jsonl") as injector:
            jump = fault("clock", offsets_ns={"n1": MINUTE_NS})
            seen = injector.inject(jump)
            assert seen.verified == (lie_ns == 0), seen
            assert seen.observed["said_ns"]["n1"] == pytest.approx(MINUTE_NS - lie_ns, abs=10**9)
            if lie_ns:
                assert "the system itself says" in seen.observed["unaffected"]["n1"][0]
            assert injector.heal(jump).verified
    finally:
        taken_off(service, lab)
