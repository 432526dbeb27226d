"""Three emulated machines from nothing to nothing: booted, looked at by `tri doctor`, one of them robbed of its power, all taken down, and nothing
left.

    make machines            (or: .venv/bin/python -P benchmarks/machines.py [--nodes 3] [--campaign])

As root; minutes, and more where the image is built first. What is compared: a file that was synced before the power went, and one that was not; each
machine's clock, moved, and this machine's, not; namespaces, links, mounts, firewall and QEMU processes of this machine before and after. With
`--campaign`, `campaigns/machines.yaml` runs in between. The exit code says whether all of it was as it should be.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.ending import ended_with, lab_of
from benchmarks.soak.leftovers import left_over, snapshot
from tribulation.harness.hosts.qemu import QemuProvider
from tribulation.harness.hosts.ssh.remote import RemoteHost

LAB = "machines-check"
CAMPAIGN = "campaigns/machines.yaml"
WHOLE_S = 3600.0
failed: list[str] = []
T = TypeVar("T")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--campaign", action="store_true", help=f"also run {CAMPAIGN}")
    asked = parser.parse_args(arguments)
    before, processes = snapshot(), qemu_processes()
    lab = QemuProvider(asked.nodes, LAB, clock="system")
    with lab_of(lab, lambda lab: timed("down", lab.down)):
        hosts = list(timed("up (with the image, if it was not built)", lab.up))
        print(f"{asked.nodes} machines by {lab.accelerator}, inventory {lab.inventory}")
        for host in hosts:
            print(
                f"  {host.name} {host.address} {host.run('uname -sr; cat /proc/1/comm; systemctl is-system-running || true').stdout.split()}"
            )
        check("the inventory is enough for doctor", tri("doctor", "--hosts", str(lab.inventory)) == 0)
        power(lab, hosts[0])
        clock(hosts[-1])
        if asked.campaign:
            check(
                "the campaign is valid",
                tri("run", CAMPAIGN, "--set", f"hosts.lab={LAB}", "--set", f"hosts.nodes={asked.nodes}") == 0,
            )
    left = left_over(before, snapshot())
    check(f"nothing is left: {left or 'no namespace, mount, link, rule, qdisc or group'}", not left)
    check("no QEMU process of ours is left", not qemu_processes() - processes)
    check("no file of the lab is left", not lab.inventory.parent.exists())
    print(f"failed: {failed}" if failed else "all of it was as it should be")
    return 1 if failed else 0


def power(lab: QemuProvider, host: RemoteHost) -> None:
    """Check that after a power loss only what was synced is there: nothing that was only written, and nothing in memory."""
    boot = host.run("cat /proc/sys/kernel/random/boot_id").stdout
    host.run(
        "cd /root && echo kept >synced && sync synced . && echo lost >unsynced && echo lost >/run/in-memory && cat synced unsynced"
    )
    timed("power off", lambda: lab.power_off(host.name))
    check("a machine without power does not answer", not answers(lab, host))
    timed("boot, until one can log in and its hooks have ended", lambda: lab.boot(host.name))
    check("it is another boot", host.run("cat /proc/sys/kernel/random/boot_id").stdout != boot)
    seen = host.run(
        "cd /root; for f in synced unsynced /run/in-memory; do echo $f:$(cat $f 2>/dev/null); done"
    ).stdout.split()
    print(f"  after the power loss: {seen}")
    check("what was synced is there", "synced:kept" in seen)
    check("what was not synced is gone", "unsynced:" in seen and "/run/in-memory:" in seen)


def clock(host: RemoteHost) -> None:
    """Check that setting a machine's clock leaves this machine's clock alone."""
    set_clock = "import time; time.clock_settime(time.CLOCK_REALTIME, time.time() + {})"
    before_s = time.time() - time.monotonic()
    host.run([host.python, "-c", set_clock.format(3600)])
    ahead_s = float(host.run("date +%s.%N").stdout) - time.time()
    host.run([host.python, "-c", set_clock.format(-3600)])
    moved_s = abs(time.time() - time.monotonic() - before_s)
    check(f"its clock went {ahead_s:.1f} s ahead", 3500 < ahead_s < 3700)
    check(f"this machine's stayed ({moved_s * 1000:.3f} ms)", moved_s < 1)


def answers(lab: QemuProvider, host: RemoteHost) -> bool:
    try:
        lab.dial(host.address, 22, timeout_s=4.0).close()
    except OSError:
        return False
    return True


def tri(*words: str) -> int:
    print(f"$ tri {' '.join(words)}", flush=True)
    return ended_with(subprocess.Popen([sys.executable, "-m", "tribulation.harness.cli", *words]), WHOLE_S)


def timed(what: str, act: Callable[[], T]) -> T:
    began_s = time.monotonic()
    try:
        return act()
    finally:
        print(f"{what}: {time.monotonic() - began_s:.1f} s", flush=True)


def check(what: str, right: bool) -> None:
    print(f"{'ok' if right else 'NOT OK'}: {what}", flush=True)
    if not right:
        failed.append(what)


def qemu_processes() -> set[str]:
    """Return the pids of this machine's emulators, no matter which process started them; those of labs are in PID namespaces below it."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/comm"):
        try:
            if path.read_text().startswith("qemu-system"):
                found.add(path.parent.name)
        except OSError:
            continue
    return found


if __name__ == "__main__":
    sys.exit(main())
