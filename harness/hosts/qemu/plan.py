"""Names, addresses and command lines of emulated machines: pure, shared by the supervisor and the provider.

    10.79.<k>.1 … 99   n1 … n99      the machines
    10.79.<k>.254      triq<k>       this machine's end of the one cable into the lab

Every lab has its own <k>, since this machine reaches all of them. Nothing is forwarded: the machines' default route ends on their own link,
so that only limited broadcast and multicast leave the machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

BRIDGE = "br0"
UPLINK = "up0"
CONTROLLER = 254
SSH_PORT = 22
SUBNETS = range(1, 255)
MEMORY_MIB = 512
DIRECTORY = "/srv/tribulation"
"""Where all our files are on a machine: on its own disk."""
UNATTENDED = "tribulation.unattended"
"""On a machine's kernel command line when no caller asked for this boot: its lease had run out."""
SEED_DISK = "/dev/nvme0n2"
# NVMe is what Debian's kernel for clouds has built in: it finds its disk without a first stage, which takes a quarter of a minute under emulation.
_KERNEL = "root=/dev/nvme0n1 rootwait rw console=ttyS0 net.ifnames=0 quiet audit=0 mitigations=off panic=5 systemd.firstboot=off"


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine of a lab. `tap` is the end of its cable at the switch; the other end is its `eth0`."""

    name: str
    address: str
    mac: str
    tap: str


@dataclass(frozen=True, slots=True)
class Boot:
    """The kernel files for QEMU, and the means of emulation (`kvm` or `tcg`)."""

    kernel: Path
    accelerator: str


def machines(nodes: int, subnet: int) -> tuple[Machine, ...]:
    """Return the machines `n1 … n<nodes>`."""
    return tuple(
        Machine(f"n{i}", f"10.79.{subnet}.{i}", f"52:54:00:79:{subnet:02x}:{i:02x}", f"tap{i}")
        for i in range(1, nodes + 1)
    )


def controller(subnet: int) -> str:
    return f"10.79.{subnet}.{CONTROLLER}"


def link_of(subnet: int) -> str:
    """Return the name of this machine's end of the cable."""
    return f"triq{subnet}"


def switch_lines(taps: Sequence[str]) -> list[str]:
    """Return the lines for `ip -batch` inside the lab's own network namespace."""
    lines = ["link set lo up", f"link add {BRIDGE} type bridge mcast_snooping 0 forward_delay 0"]
    lines.append(f"link set {BRIDGE} up")
    for tap in taps:
        lines += [f"tuntap add {tap} mode tap", f"link set {tap} master {BRIDGE} up"]
    return lines


def cable_lines(subnet: int, supervisor_pid: int) -> list[str]:
    """Return the lines for `ip -batch` in this machine's own namespace: a cable whose other end is in the namespace of that process, and ends with it."""
    link = link_of(subnet)
    return [
        f"link add {link} type veth peer name {UPLINK} netns {supervisor_pid}",
        f"link set {link} addrgenmode none",
        f"addr add {controller(subnet)}/24 brd + dev {link}",
        f"link set {link} up",
    ]


def machine_id(lab: str, name: str) -> str:
    """Return the machine's id: the same at each boot, and unique."""
    return hashlib.sha256(f"tribulation {lab} {name}".encode()).hexdigest()[:32]


def qemu_command(machine: Machine, lab: Path, boot: Boot, unattended: bool = False) -> list[str]:
    """Return the command that runs a machine. Its files are in `lab/hosts/<name>`: `disk.raw`, `seed.tar`, `console.log`.

    Killing QEMU drops what is in the guest's memory, as a pulled plug would. The disk is a plain file, because what the guest has written must not
    wait in QEMU's memory: the tables of a qcow2 do, and a sync of the guest by FUA alone does not write them.
    """
    own = lab / "hosts" / machine.name
    identity = machine_id(lab.name, machine.name)
    words = f"{_KERNEL} systemd.hostname={machine.name} systemd.machine_id={identity} {UNATTENDED}={int(unattended)}"
    cpu = "host" if boot.accelerator == "kvm" else "max"
    return [
        *("qemu-system-x86_64", "-name", f"tribulation-{lab.name}-{machine.name}", "-nodefaults", "-no-user-config"),
        *("-display", "none", "-accel", boot.accelerator, "-cpu", cpu, "-smp", "1", "-m", str(MEMORY_MIB)),
        *("-kernel", str(boot.kernel), "-append", words),
        *("-drive", f"file={_escaped(own / 'disk.raw')},format=raw,if=none,id=disk,cache=writeback"),
        *("-drive", f"file={_escaped(own / 'seed.tar')},format=raw,if=none,id=seed,readonly=on"),
        *("-device", f"nvme,id=nvme0,serial={machine.name}", "-device", "nvme-ns,drive=disk,bus=nvme0,nsid=1"),
        *("-device", "nvme-ns,drive=seed,bus=nvme0,nsid=2"),
        *("-netdev", f"tap,id=net,ifname={machine.tap},script=no,downscript=no"),
        *("-device", f"virtio-net-pci,netdev=net,mac={machine.mac},romfile="),
        *("-device", "virtio-rng-pci", "-rtc", "base=utc,clock=host"),
        *("-chardev", f"file,id=console,path={_escaped(own / 'console.log')},append=on", "-serial", "chardev:console"),
    ]


def trial_command(boot: Boot) -> list[str]:
    """Return a command that ends by itself where the accelerator works: a kernel without a disk panics, and QEMU exits."""
    return [
        *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-m", "256"),
        *("-accel", boot.accelerator, "-cpu", "host", "-kernel", str(boot.kernel), "-append", "panic=-1 quiet"),
    ]


def _escaped(path: Path) -> str:
    """A comma in an option's value is doubled."""
    return str(path).replace(",", ",,")
