"""Emulated machines without a boot: their command lines, image recipe, seed, subnets, and the supervisor with a QEMU that is only a sleeping process."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tribulation.harness.errors import HostError
from tribulation.harness.hosts.qemu import image, recipe
from tribulation.harness.hosts.qemu.plan import Boot, Machine, cable_lines, machines, qemu_command, switch_lines
from tribulation.harness.hosts.qemu.provider import QemuProvider, free_subnet
from tribulation.harness.hosts.qemu.seed import seed
from tribulation.harness.hosts.qemu.supervisor import EmulatedHost

BOOT = Boot(Path("/images/a/vmlinuz"), "tcg")


def option(command: list[str], name: str) -> str:
    return command[command.index(name) + 1]


def test_a_machine_boots_its_own_disk_on_its_own_cable() -> None:
    n1, n2 = machines(2, 7)
    first, second = (qemu_command(machine, Path("/labs/a,b"), BOOT) for machine in (n1, n2))
    assert (n1.address, n2.address) == ("10.79.7.1", "10.79.7.2") and n1.mac != n2.mac
    # A comma would begin the next part of an option's value.
    assert option(first, "-drive").startswith("file=/labs/a,,b/hosts/n1/disk.raw,format=raw")
    assert option(second, "-netdev").startswith("tap,id=net,ifname=tap2,")
    # What the guest syncs must be on this machine's disk, or at least out of QEMU.
    assert "cache=writeback" in option(first, "-drive") and "unsafe" not in " ".join(first)
    identities = {
        word for command in (first, second) for word in option(command, "-append").split() if "machine_id" in word
    }
    assert len(identities) == 2


def test_a_machine_knows_whether_anybody_waits_for_its_boot() -> None:
    (machine,) = machines(1, 1)
    asked, alone = (qemu_command(machine, Path("/lab"), BOOT, unattended) for unattended in (False, True))
    assert "tribulation.unattended=0" in option(asked, "-append")
    assert "tribulation.unattended=1" in option(alone, "-append")
    assert "tribulation.unattended=1" in recipe.FILES[recipe.HOOKS][1]


def test_the_only_way_into_a_lab_is_one_cable_that_forwards_nothing() -> None:
    lines = [*switch_lines(["tap1"]), *cable_lines(3, 4711)]
    assert (
        "link add triq3 type veth peer name up0 netns 4711" in lines
        and "addr add 10.79.3.254/24 brd + dev triq3" in lines
    )
    assert not [line for line in lines if "route" in line or ("forward" in line and "forward_delay" not in line)]


def test_the_seed_has_this_machines_names_keys_and_network() -> None:
    both = machines(2, 1)
    content = seed(both[0], both, 1, "ssh-ed25519 AAAA me\n", "PRIVATE\n")
    assert len(content) % 512 == 0
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        read = {entry.name: (entry, archive.extractfile(entry)) for entry in archive if entry.isfile()}
        texts = {name: file.read().decode() for name, (_, file) in read.items() if file is not None}
    assert texts["etc/hostname"] == "n1\n" and "10.79.1.2 n2" in texts["etc/hosts"]
    assert (
        "addr add 10.79.1.1/24" in texts["etc/tribulation/network"] and " via " not in texts["etc/tribulation/network"]
    )
    for name in ("root/.ssh/authorized_keys", f"home/{recipe.USER}/.ssh/authorized_keys"):
        assert texts[name] == "ssh-ed25519 AAAA me\n" and read[name][0].mode == 0o600
    assert read[f"home/{recipe.USER}/.ssh/authorized_keys"][0].uid == 1000
    assert read["etc/ssh/ssh_host_ecdsa_key"][0].mode == 0o600


def test_another_recipe_is_another_image(monkeypatch: pytest.MonkeyPatch) -> None:
    before = recipe.digest("trixie", ())
    assert recipe.digest("trixie", ()) == before != recipe.digest("bookworm", ())
    monkeypatch.setattr(recipe, "COMMANDS", (*recipe.COMMANDS, "true"))
    assert recipe.digest("trixie", ()) != before


def test_the_recipe_as_a_command_line() -> None:
    command = recipe.debootstrap_command(Path("/w/root"), Path("/w/files"), "trixie", [Path("/etc/a.sources")])
    assert command[-3:] == ["trixie", "/w/root", "/etc/a.sources"]
    (included,) = (word for word in command if word.startswith("--include="))
    # Faults need these on a machine of whatever make.
    assert {"python3", "nftables", "iproute2", "sudo", "openssh-server", "kmod"} <= {
        *included.partition("=")[2].split(",")
    }
    assert command.index("--customize-hook=copy-in /w/files/etc /") < command.index(
        '--customize-hook=chroot "$1" useradd --create-home --shell /bin/bash debian'
    )


@pytest.mark.parametrize("name", [recipe.HOOKS, recipe.SEED])
def test_scripts_of_the_image_are_shell(name: str) -> None:
    subprocess.run(["sh", "-n"], input=recipe.FILES[name][1], text=True, check=True, timeout=20)


def test_labs_at_the_same_time_have_addresses_of_their_own() -> None:
    assert free_subnet('[{"addr_info": [{"local": "10.0.0.1"}]}]') == 1
    assert free_subnet('[{"addr_info": [{"local": "10.79.1.254"}, {"local": "10.79.11.1"}]}, {}]') == 2
    full = ",".join(f'{{"local": "10.79.{k}.254"}}' for k in range(256))
    with pytest.raises(HostError, match=r"10\.79"):
        free_subnet(f'[{{"addr_info": [{full}]}}]')


def test_all_that_is_missing_is_one_line_for_apt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        shutil, "which", lambda program, path=None: None if program in ("mke2fs", "mmdebstrap") else program
    )
    with pytest.raises(HostError, match="mmdebstrap, mke2fs: not found") as caught:
        image.check_machine()
    assert caught.value.hint == "apt install --no-install-recommends e2fsprogs mmdebstrap"


def test_a_lab_that_is_not_up_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="no lab 'mine' is up"):
        QemuProvider.find("mine", tmp_path)


@pytest.fixture
def sleeping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatedHost]:
    """A host whose QEMU is a process that sleeps."""
    (tmp_path / "hosts" / "n1").mkdir(parents=True)
    monkeypatch.setattr("tribulation.harness.hosts.qemu.supervisor.qemu_command", lambda *_: ["sleep", "600"])
    host = EmulatedHost(Machine("n1", "10.79.1.1", "52:54:00:79:01:01", "tap1"), tmp_path, BOOT)
    host.spawn(unattended=False)
    yield host
    host.kill()


def state_of(host: EmulatedHost) -> str:
    assert host._qemu is not None
    # A signal is on its way for a moment.
    os.waitid(os.P_PID, host._qemu.pid, os.WSTOPPED | os.WCONTINUED | os.WNOWAIT)
    return Path(f"/proc/{host._qemu.pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_machine_is_frozen_goes_on_and_loses_its_power(sleeping: EmulatedHost) -> None:
    assert sleeping.on and not sleeping.frozen and sleeping.boots == 1
    sleeping.freeze()
    assert state_of(sleeping) == "T" and sleeping.frozen
    sleeping.thaw()
    assert not sleeping.frozen and sleeping.on
    sleeping.freeze()
    sleeping.kill()
    assert not sleeping.on and not sleeping.frozen
    sleeping.spawn(unattended=True)
    assert sleeping.on and not sleeping.frozen and sleeping.boots == 2
