"""Distances between the regions of a lab while it is up: rates and delays of packets routed from one bridge to another.

A rate is a `tbf` of the kernel at the bridge that packets leave by; the sender's region selects it there. A delay is a `netem` next to it, where the kernel
has that; otherwise packets wait in a kernel queue for `delays.py`, which releases them in time. Neither affects traffic inside a region,
or from the controller or a client.

No host can undo it: it is in the supervisor's namespaces. Planning is pure (`shaping_lines`, `queue_numbers`, `nft_rules`, `iptables_rules`).
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ....agent.network import netem
from ....wan import OPEN, Regions, Way
from ..layout.layout import Subnet
from .machinery import MachineError, command

HANDLE = "7134:"
FIRST_QUEUE = 7200
TABLE = "tribulation_between"
_START_S = 30.0
_BURST_NS = 10_000_000
_LEAST_BURST = 3200
"""Bytes: two packets. With less, tbf would never pass a whole packet."""

Ways = Mapping[tuple[Subnet, Subnet], Way]


@dataclass(frozen=True, slots=True)
class Between:
    """The means in use, for display, and the process that delays, if there is one."""

    means: Mapping[str, str]
    delays: subprocess.Popen[bytes] | None = None


def ways_between(subnets: Sequence[Subnet], regions: Regions | None) -> Ways:
    """Each directed pair of regions' subnets with a limit or a delay."""
    placed = [(subnet, subnet.region) for subnet in subnets if subnet.region is not None]
    found = {(a, b): regions.way(one, two) for a, one in placed for b, two in placed if a != b} if regions else {}
    return {pair: way for pair, way in found.items() if way != OPEN}


def burst_bytes(way: Way) -> int:
    """Bytes that may pass at once after a pause."""
    return max(_LEAST_BURST, way.rate_bps * _BURST_NS // 8_000_000_000)


def shaping_lines(ways: Ways, by_netem: bool) -> list[str]:
    """Lines for `tc -batch`: at each bridge an htb that only sorts packets by their source; other packets pass at once."""
    lines: list[str] = []
    for sink in dict.fromkeys(sink for _, sink in ways):
        lines.append(f"qdisc add dev {sink.bridge} root handle {HANDLE} htb default 0")
        for source, way in [(source, way) for (source, to), way in ways.items() if to == sink]:
            queue = _queue(way, by_netem)
            if queue is not None:
                number = f"{source.number + 1:x}"
                parent = f"dev {sink.bridge} parent {HANDLE}"
                lines += [
                    f"class add {parent} classid {HANDLE}{number} htb rate 100gbit quantum 60000",
                    f"qdisc add {parent}{number} {queue}",
                    f"filter add {parent} protocol ip prio 12 u32 match ip src {source.network} flowid {HANDLE}{number}",
                    f"filter add {parent} protocol ipv6 prio 13 u32 match ip6 src {source.network6} flowid {HANDLE}{number}",
                ]
    return lines


def _queue(way: Way, by_netem: bool) -> str | None:
    """The queue of a way. A packet that would wait longer than a second is lost, as in the full buffer of a router."""
    if by_netem:
        amounts = {"delay_ns": way.delay_ns, "jitter_ns": way.jitter_ns, "rate_bps": way.rate_bps}
        return f"netem {' '.join(netem.arguments(amounts))}"
    if way.rate_bps:
        return f"tbf rate {way.rate_bps}bit burst {burst_bytes(way)} limit {max(_LEAST_BURST, way.rate_bps // 8)}"
    return None


def queue_numbers(ways: Ways) -> dict[tuple[Subnet, Subnet], int]:
    """The queue number of each way with a delay."""
    late = [pair for pair, way in ways.items() if way.delay_ns or way.jitter_ns]
    return {pair: FIRST_QUEUE + number for number, pair in enumerate(late)}


def nft_rules(numbers: Mapping[tuple[Subnet, Subnet], int]) -> str:
    lines = [f"table inet {TABLE} {{", "  chain routed {", "    type filter hook forward priority -150;"]
    for (source, sink), number in numbers.items():
        lines.append(f"    ip saddr {source.network} ip daddr {sink.network} queue num {number}")
        lines.append(f"    ip6 saddr {source.network6} ip6 daddr {sink.network6} queue num {number}")
    return "\n".join([*lines, "  }", "}", ""])


def iptables_rules(numbers: Mapping[tuple[Subnet, Subnet], int], version: int) -> str:
    lines = ["*mangle"]
    for (source, sink), number in numbers.items():
        ends = (source.network6, sink.network6) if version == 6 else (source.network, sink.network)
        lines.append(f"-A FORWARD -s {ends[0]} -d {ends[1]} -j NFQUEUE --queue-num {number}")
    return "\n".join([*lines, "COMMIT", ""])


def build(ways: Ways, ipv6: bool) -> Between:
    """Make it active; the process that delays may still be starting (`await_delays`)."""
    if not ways:
        return Between({})
    by_netem = _has_netem()
    if lines := shaping_lines(ways, by_netem):
        command(["tc", "-batch", "-"], "\n".join(lines) + "\n")
    means = {"rate": "netem" if by_netem else "tbf"} if any(way.rate_bps for way in ways.values()) else {}
    numbers = queue_numbers(ways)
    if not numbers or by_netem:
        return Between({**means, **({"delay": "netem"} if numbers else {})})
    delays = _start_delays({numbers[pair]: ways[pair] for pair in numbers})
    # No bypass: while no process holds the queue, packets are dropped instead of passing at once.
    return Between({**means, "delay": _queue_packets(numbers, ipv6)}, delays)


def _has_netem() -> bool:
    """Check by using it, in this namespace that belongs to the lab."""
    try:
        command(["tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"])
    except MachineError:
        return False
    command(["tc", "qdisc", "del", "dev", "lo", "root"])
    return True


def _queue_packets(numbers: Mapping[tuple[Subnet, Subnet], int], ipv6: bool) -> str:
    """Queue by nft where the kernel has its `queue`, else by iptables."""
    try:
        command(["nft", "-f", "-"], nft_rules(numbers))
        return "nft queue"
    except MachineError as error:
        refused = error
    try:
        command(["iptables-restore", "-w", "5", "--noflush"], iptables_rules(numbers, 4))
        if ipv6:
            command(["ip6tables-restore", "-w", "5", "--noflush"], iptables_rules(numbers, 6))
    except MachineError as error:
        raise MachineError(
            f"a delay between regions needs netem, nft's queue or iptables (apt install iptables): {refused}; {error}"
        ) from None
    return "iptables NFQUEUE"


def _start_delays(ways: Mapping[int, Way]) -> subprocess.Popen[bytes]:
    asked = json.dumps({number: [way.delay_ns, way.jitter_ns] for number, way in ways.items()})
    return subprocess.Popen(
        [sys.executable, "-m", f"{__package__}.delays", asked],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=dict(os.environ),
        cwd="/",
        start_new_session=True,
    )


def await_delays(between: Between) -> None:
    """Wait until the process holds its queues. Raises `MachineError`."""
    if between.delays is None:
        return
    assert between.delays.stdout is not None
    ready, _, _ = select.select([between.delays.stdout], [], [], _START_S)
    if not ready or between.delays.stdout.readline() != b"ready\n":
        raise MachineError("the process that delays packets between regions did not start; supervisor.log says why")
    between.delays.stdout.close()
