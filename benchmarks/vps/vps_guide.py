"""The guide for rented machines, carried out as it stands on emulated machines that only SSH reaches, for an ordinary user with sudo.

make vps-test            (or: .venv/bin/python -P benchmarks/vps/vps_guide.py [--nodes 3] [--here] [--keep-log FILE] [--stay FOLDER [--first
SECTION]])

As root; half an hour, and more on a busy machine. A newcomer with a home of its own takes every command of the `sh` blocks in order, makes the files,
and replaces only the words that the guide says to replace. Every exit code that the guide states is compared. Where the guide says that a machine of
yours may die, the harness is killed while a partition, a delay, clocks and a pause are in force, and the machines are looked at by `ssh` alone until
they are whole. `--here` takes only the commands that need no machines. The exit code says whether all of it was as the guide says. The last commit is
tested, because the guide begins with a clone. With `--stay` the newcomer's home, in FOLDER, and the machines stay when a step goes wrong, so that
`--first 7` can go on with section 7; `git pull` there brings a repair.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

# ruff: noqa: E402
from benchmarks import ending
from benchmarks.vps.guide import Step, replaced, steps_of
from benchmarks.vps.newcomer import Newcomer, kill
from tribulation.harness.hosts.qemu import QemuProvider
from tribulation.harness.hosts.qemu.recipe import USER
from tribulation.harness.hosts.ssh.remote import RemoteHost
from tribulation.harness.nemesis.inject.injector import LEASE_S

PAGE = ROOT / "docs/guides/vps.md"
STAY_S = 12 * 3600.0
"""For how long machines stay."""
COMMAND_S = 1800.0
IN_FORCE_S = 900.0
HEALED_S = 120.0
"""How long is waited for a healed machine. The lease is `LEASE_S`; a busy emulated machine needs its time as well, and each look a login."""
PACKAGES = ("etcd-server", "adduser")
MIRROR = "/srv/mirror"
KILLED = """\
name: killed
duration: 300s
operation_timeout: 5s
workloads:
  - register: {keys: 2, clients: 2, rate: 4/s}
faults:
  - partition: {shape: isolate-one, after: 1s, for: 280s}
  - link: {shape: every-link, delay: 50ms, after: 1s, for: 280s}
  - clock: {target: all, offset: 1h, after: 1s, for: 280s}
  - pause: {target: [n1], after: 1s, for: 280s}
"""
LOOK = "sudo nft list tables | grep -c tribulation; /sbin/tc qdisc show | grep -c netem; date +%s; ps -eo stat= | grep -c ^T; true"
TRACES = """ls -d /var/tmp/tribulation /etc/systemd/system/tribulation-node* 2>/dev/null; getent passwd tribulation
systemctl list-units --all --no-legend "tribulation-node*"; sudo nft list tables | grep tribulation; ps -eo args | grep "[.]pyz"; true"""
"""Other units whose names begin so are those of the emulated machine itself, which stand for its provider."""
rows: list[tuple[str, str, str, float]] = []


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=3, choices=(3, 4, 5))
    parser.add_argument("--here", action="store_true", help="only what needs no machines")
    parser.add_argument("--keep-log", type=Path, help="a copy of all that was printed")
    parser.add_argument("--stay", type=Path, help="a folder for the newcomer's home; it and the machines stay")
    parser.add_argument("--first", type=int, default=1, help="the section with which a stay goes on")
    asked = parser.parse_args(arguments)
    steps = [step for step in steps_of(PAGE.read_text(encoding="utf-8")) if number_of(step) >= asked.first]
    with home_of(asked.stay) as home:
        newcomer = Newcomer(home)
        try:
            if asked.here:
                carry_out([step for step in steps if not step.needs_machines], newcomer, ["198.51.100.1"])
            else:
                with lab_of(asked.nodes, newcomer, asked.stay) as addresses:
                    carry_out(steps, newcomer, addresses)
        finally:
            newcomer.leave()
            if asked.keep_log and newcomer.log.exists():
                asked.keep_log.write_bytes(newcomer.log.read_bytes())
    print_table()
    return 0 if all_right() else 1


def number_of(step: Step) -> int:
    return int(step.section.split(".")[0])


@contextlib.contextmanager
def home_of(stay: Path | None) -> Iterator[Path]:
    if stay is not None:
        yield stay.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="tribulation-newcomer-") as folder:
        yield Path(folder)


@contextlib.contextmanager
def lab_of(nodes: int, newcomer: Newcomer, stay: Path | None) -> Iterator[list[str]]:
    """Addresses of machines on which root has no login any more; those of a stay are as the last attempt left them."""
    known = newcomer.home / "machines.json"
    if stay is None:
        lab = QemuProvider(nodes, f"vps-guide-{os.getpid()}")
    else:
        lab = QemuProvider(nodes, f"vps-guide-{stay.name}", lease_s=STAY_S, kept=True)

    def leave(lab: QemuProvider) -> None:
        if stay is None or all_right():
            lab.down()
            known.unlink(missing_ok=True)

    with ending.lab_of(lab, leave):
        if known.exists():
            yield json.loads(known.read_text())
        else:
            hosts = list(lab.up())
            newcomer.shown([fingerprint(lab.inventory.parent / "hosts" / host.name / "host_key.pub") for host in hosts])
            prepare(hosts, newcomer.public_key, newcomer.home)
            # The lab stays with its provider, which renews its lease; no login of root's stays.
            for host in hosts:
                host.close()
            known.write_text(json.dumps([host.address for host in hosts]))
            yield [host.address for host in hosts]


def all_right() -> bool:
    return bool(rows) and all(seen.startswith("ok") for _, _, seen, _ in rows)


def carry_out(steps: Sequence[Step], newcomer: Newcomer, addresses: Sequence[str]) -> None:
    for step in steps:
        text = replaced(step.text, addresses, USER, str(ROOT))
        if step.file is not None:
            newcomer.run(f"cat >{step.file} <<'END'\n{text}\nEND", COMMAND_S)
            continue
        if "tri doctor" in text:
            strangers(newcomer)
        if "tri heal" in text:
            killed(newcomer, addresses)
        began_s = time.monotonic()
        code, said = newcomer.run(text, COMMAND_S)
        right = code == step.exit_code
        if step is steps[-1]:
            traces(newcomer, addresses)
        row(step.section, text, f"ok, exit {code}" if right else f"EXIT {code}, not {step.exit_code}", began_s)
        if not right:
            print(said[-3000:], flush=True)
        if not right and number_of(step) < 3:
            return  # Without an installation nothing follows.


def strangers(newcomer: Newcomer) -> None:
    """A machine whose host key is not known, or is another one, gets no command."""
    known = newcomer.home / ".ssh/known_hosts"
    right = known.read_text()
    line = next(line for line in right.splitlines() if "ecdsa" in line)
    other = newcomer.home / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(other)], check=True)
    wrong = right.replace(line.split()[2], other.with_suffix(".pub").read_text().split()[1])
    for what, content in (("unknown", ""), ("wrong", wrong)):
        known.write_text(content)
        began_s = time.monotonic()
        code, said = newcomer.run("tri deploy status five.yaml", COMMAND_S)
        refused = code == 4 and "key" in said
        row(
            "host keys",
            f"{what}: tri deploy status five.yaml",
            "ok, refused" if refused else f"NOT REFUSED: {said[-300:]}",
            began_s,
        )
    known.write_text(right)


def traces(newcomer: Newcomer, addresses: Sequence[str]) -> None:
    """After the last step nothing of ours is on a machine."""
    for address in addresses:
        began_s = time.monotonic()
        code, said = newcomer.run(f"ssh {USER}@{address} '{TRACES}'", COMMAND_S)
        seen = "ok, no trace" if (code, said.strip()) == (0, "") else f"LEFT: {said[-1000:]}"
        row("12. Leave no trace", f"{address}: files, units, users, rules, processes", seen, began_s)


def killed(newcomer: Newcomer, addresses: Sequence[str]) -> None:
    """The harness is killed in mid-fault: when are the machines whole, as seen by `ssh`?"""
    clocks = "sed 's/sudo: true}/sudo: true, clock: system}/' five.yaml >clocks/five.yaml"
    newcomer.run(f"mkdir -p clocks && cat >killed.yaml <<'END'\n{KILLED}END\n{clocks}", COMMAND_S)
    said = newcomer.home / "killed"
    began_s = time.monotonic()
    process = newcomer.start("tri run killed.yaml --hosts clocks/five.yaml --attach", said)
    in_force: set[str] = set()
    try:
        while len(in_force) < 4 and process.poll() is None and time.monotonic() < began_s + IN_FORCE_S:
            in_force = {kind for address in addresses for kind in harmed(newcomer, address)} - {"?"}
    finally:
        kill(process)
    killed_s = time.monotonic()
    every = ", ".join(sorted(in_force))
    seen = f"ok, {every}" if len(in_force) == 4 else f"ONLY {every}: {said.read_text(errors='replace')[-1500:]}"
    row("11. harness killed", "faults in force, seen by ssh", seen, began_s)
    left: Mapping[str, set[str]] = {address: {"?"} for address in addresses}
    while any(left.values()) and time.monotonic() < killed_s + HEALED_S:
        for address in [address for address, kinds in left.items() if kinds]:
            left = {**left, address: harmed(newcomer, address)}
            if not left[address]:
                row("11. harness killed", f"{address} whole; lease {LEASE_S:g} s", "ok", killed_s)
    for address, kinds in left.items():
        if kinds:
            row("11. harness killed", f"{address} whole; lease {LEASE_S:g} s", f"STILL {sorted(kinds)}", killed_s)


def harmed(newcomer: Newcomer, address: str) -> set[str]:
    """The faults that a machine shows; `{"?"}` where it does not answer."""
    _, said = newcomer.run(f"ssh -o ConnectTimeout=20 {USER}@{address} '{LOOK}'", 60.0)
    try:
        tables, netem, clock_s, stopped = map(int, said.split()[-4:])
    except ValueError:
        return {"?"}
    seen = {"nft": tables, "tc": netem, "clock": abs(clock_s - time.time()) > 600, "stopped": stopped}
    return {kind for kind, there in seen.items() if there}


def prepare(hosts: Sequence[RemoteHost], public_key: str, folder: Path) -> None:
    """Prepare hosts as the provider does: the newcomer's key for the ordinary user, no login for root, and a mirror of packages in place of the internet."""
    mirror = folder / "mirror"
    mirror.mkdir()
    mirror.chmod(0o755)
    subprocess.run(["apt-get", "-q", "download", *PACKAGES], cwd=mirror, check=True, capture_output=True, timeout=300)
    index = ""
    for package in sorted(mirror.glob("*.deb")):
        control = subprocess.run(["dpkg-deb", "-f", package], check=True, capture_output=True, text=True).stdout
        digest = subprocess.run(["sha256sum", package], check=True, capture_output=True, text=True).stdout.split()[0]
        index += f"{control}Filename: ./{package.name}\nSize: {package.stat().st_size}\nSHA256: {digest}\n\n"
    (mirror / "Packages").write_text(index)
    for host in hosts:
        for path in mirror.iterdir():
            host.put(path.read_bytes(), f"{MIRROR}/{path.name}", timeout_s=300)
        host.put(f"deb [trusted=yes] file:{MIRROR} ./\n".encode(), "/etc/apt/sources.list")
        host.put(public_key.encode(), f"/home/{USER}/.ssh/authorized_keys", mode=0o600)
        host.put(b"PermitRootLogin no\n", "/etc/ssh/sshd_config.d/00-no-root.conf")
        owned = f"chown {USER}: /home/{USER}/.ssh/authorized_keys && rm -rf /etc/apt/sources.list.d/* /root/.ssh"
        host.run(f"{owned} && systemctl reload ssh", timeout_s=120)


def fingerprint(public_key: Path) -> str:
    return subprocess.run(["ssh-keygen", "-lf", public_key], check=True, capture_output=True, text=True).stdout.split()[
        1
    ]


def row(section: str, what: str, seen: str, began_s: float) -> None:
    rows.append((section, what, seen, time.monotonic() - began_s))
    print(f"{section} | {what[:100]} | {seen} | {rows[-1][3]:.1f} s", flush=True)


def print_table() -> None:
    print(f"\n{'section':<34}{'command':<62}{'s':>7}  seen")
    for section, what, seen, took_s in rows:
        print(f"{section[:32]:<34}{' '.join(what.split())[:60]:<62}{took_s:>7.1f}  {seen.splitlines()[0][:80]}")


if __name__ == "__main__":
    sys.exit(main())
