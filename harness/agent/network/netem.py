"""Links shaped by the sender's kernel, if it has `netem`: a class and a netem for each peer, below an htb that passes all other packets at once.

Planning is pure (`plan`). The device's root qdisc is replaced only if it is the kernel's default (its handle is 0): then deleting ours restores
exactly that one. `netem` delays by a mean with a spread on both sides, so a delay with a random part up to the jitter has a mean that is larger by
half of the jitter.

netem is not used for copies (`duplicates`), clogs and flaps (`queue_thread`), and packets that are overtaken *and* late, because its `reorder` sends at once
the packets that it does not delay.
"""

from __future__ import annotations

import ipaddress
import json
import subprocess
from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]
HANDLE = "7133:"
OVERTAKEN_NS = 30_000_000
BACKLOG_S = 1
PACKET_BITS = 1500 * 8
PACKETS = 1 << 17
ICMP6 = 58


def possible() -> bool:
    """Return whether netem works, tried in a separate network namespace, so that nothing of the host is touched. False also if a device has a qdisc of
    another program.
    """
    command = ["unshare", "-n", "tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"]
    try:
        return subprocess.run(command, capture_output=True, timeout=10).returncode == 0 and is_free()
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False


def device_to(address: str) -> str:
    """Return the device to this address. Raises `RuntimeError` if there is no route."""
    done = subprocess.run(["ip", "-j", "route", "get", address], capture_output=True, text=True, timeout=10)
    if done.returncode:
        raise RuntimeError(f"no route to {address}: {done.stderr.strip()}")
    return str(json.loads(done.stdout)[0]["dev"])


def is_free(device: str | None = None) -> bool:
    """Return whether the root qdisc of the device (or of all devices) is the kernel's default, or ours."""
    of = ["dev", device] if device else []
    done = subprocess.run(["tc", "-j", "qdisc", "show", *of], capture_output=True, text=True, timeout=10)
    roots = [each for each in json.loads(done.stdout or "[]") if each.get("root")]
    return all(each.get("handle") in ("0:", HANDLE) for each in roots)


def plan(device: str, shapes: Mapping[str, Json], control: list[Any]) -> list[str]:
    """Return the lines for `tc -batch` that make the device shape exactly this; the first line replaces the root qdisc."""
    lines = [f"qdisc replace dev {device} root handle {HANDLE} htb default 0"]
    lines += _spared(device, control)
    for number, (_, shape) in enumerate(sorted(shapes.items()), 2):
        lines.append(
            f"class add dev {device} parent {HANDLE} classid {HANDLE}{number:x} htb rate 100gbit quantum 60000"
        )
        lines.append(f"qdisc add dev {device} parent {HANDLE}{number:x} netem {' '.join(arguments(shape))}")
        for address in shape["addresses"]:
            plain = ipaddress.ip_address(address.partition("%")[0])
            protocol, match, bits = ("ipv6", "ip6", 128) if plain.version == 6 else ("ip", "ip", 32)
            priority = 13 if plain.version == 6 else 12
            lines.append(
                f"filter add dev {device} parent {HANDLE} protocol {protocol} prio {priority} u32 match {match} dst {plain}/{bits} flowid {HANDLE}{number:x}"
            )
    return lines


def arguments(shape: Mapping[str, Any]) -> list[str]:
    jitter_ns = shape.get("jitter_ns", 0)
    delay_ns = shape.get("delay_ns", 0) + jitter_ns // 2
    words = []
    if reorder_ppm := shape.get("reorder_ppm"):
        words += ["delay", f"{OVERTAKEN_NS}ns", "reorder", _percent(1_000_000 - reorder_ppm)]
    elif delay_ns:
        words += ["delay", f"{delay_ns}ns", *([f"{jitter_ns // 2}ns"] if jitter_ns else [])]
    if loss_ppm := shape.get("loss_ppm"):
        words += ["loss", "random", _percent(loss_ppm)]
    if corrupt_ppm := shape.get("corrupt_ppm"):
        words += ["corrupt", _percent(corrupt_ppm)]
    limit = PACKETS
    if rate_bps := shape.get("rate_bps"):
        words += ["rate", f"{rate_bps}bit"]
        limit = max(10, rate_bps * BACKLOG_S // PACKET_BITS)
    return [*words, "limit", str(limit)]


def apply(device: str, shapes: Mapping[str, Json], control: list[Any]) -> None:
    if not shapes:
        remove(device)
        return
    remove(device)
    text = "\n".join([*plan(device, shapes, control), ""])
    done = subprocess.run(["tc", "-batch", "-"], input=text, capture_output=True, text=True, timeout=10)
    if done.returncode:
        raise RuntimeError(f"tc refused the shape of {device}: {done.stderr.strip()}")


def remove(device: str) -> bool:
    """Remove our qdisc from the device, and return whether there was one; the kernel restores its default."""
    done = subprocess.run(["tc", "-j", "qdisc", "show", "dev", device], capture_output=True, text=True, timeout=10)
    ours = [each for each in json.loads(done.stdout or "[]") if each.get("root") and each.get("handle") == HANDLE]
    if ours:
        gone = subprocess.run(["tc", "qdisc", "del", "dev", device, "root"], capture_output=True, text=True, timeout=10)
        if gone.returncode:
            raise RuntimeError(f"tc did not take the qdisc from {device}: {gone.stderr.strip()}")
    return bool(ours)


def _spared(device: str, control: list[Any]) -> list[str]:
    """The controlling connection, and ICMPv6 with its neighbour discovery, are not shaped: class 0 is htb's direct queue."""
    address, port = ipaddress.ip_address(control[0].partition("%")[0]), int(control[1])
    protocol, match, bits = ("ipv6", "ip6", 128) if address.version == 6 else ("ip", "ip", 32)
    start = f"filter add dev {device} parent {HANDLE} protocol"
    return [
        f"{start} {protocol} prio 10 u32 match {match} dst {address}/{bits} match {match} protocol 6 0xff match {match} sport {port} 0xffff flowid {HANDLE}0",
        f"{start} ipv6 prio 11 u32 match ip6 protocol {ICMP6} 0xff flowid {HANDLE}0",
    ]


def _percent(ppm: int) -> str:
    return f"{ppm / 10_000:g}%"
