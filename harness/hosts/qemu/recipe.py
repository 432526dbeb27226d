"""The contents of the machines' disk image: Debian packages and a few files. Pure; `image.py` builds it, once for each recipe.

systemd is process 1. At each boot the machine takes its own files (keys, names, network) from a second disk, a plain tar archive (`seed.py`), and runs
the boot hooks that faults and services left in `<directory>/boot.d`, each as the user that owns it, as local hosts do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from .plan import DIRECTORY, SEED_DISK, UNATTENDED

USER = "debian"
"""A login that needs sudo; root can log in as well."""
PACKAGES = (
    *("systemd-sysv", "dbus", "udev", "kmod", "openssh-server", "sudo", "python3", "procps", "iproute2", "nftables"),
    *("iputils-ping", "dmsetup", "fuse3", "linux-image-cloud-amd64"),
)
MASKED = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "fstrim.timer", "e2scrub_all.timer"),
    *("getty@tty1.service", "serial-getty@ttyS0.service", "systemd-logind.service", "e2scrub_reap.service"),
    *("systemd-udevd.service", "systemd-udevd-control.socket", "systemd-udevd-kernel.socket"),
    *("systemd-udev-trigger.service", "systemd-networkd.service", "systemd-networkd.socket"),
    *("modprobe@configfs.service", "modprobe@drm.service", "modprobe@efi_pstore.service", "modprobe@fuse.service"),
    *("dev-hugepages.mount", "dev-mqueue.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount"),
    *("sys-kernel-config.mount", "sys-fs-fuse-connections.mount", "systemd-random-seed.service", "ldconfig.service"),
)
"""Services that a machine of three virtual devices does not need: under emulation each costs a second of its boot."""
DISK_GIB = 8
SEED_UNIT = "tribulation-seed.service"
HOOKS_UNIT = "tribulation-boot.service"
LIBRARY = "/usr/local/lib/tribulation"
HOOKS = f"{LIBRARY}/boot-hooks"
SEED = f"{LIBRARY}/seed"
NETWORK = "/etc/tribulation/network"
"""Lines for `ip -batch`, from the seed."""

_SEED_SERVICE = f"""\
[Unit]
Description=This machine's own keys, names and network
DefaultDependencies=no
After=local-fs.target
Before=sysinit.target network-pre.target ssh.service
Wants=network-pre.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={SEED}

[Install]
WantedBy=sysinit.target
"""

_SEED_SCRIPT = f"""\
#!/bin/sh
set -eu
modprobe -a virtio_net virtio_rng
tar --extract --directory=/ --same-owner --file={SEED_DISK}
ip -batch {NETWORK}
"""

_HOOKS_SERVICE = f"""\
[Unit]
Description=Boot hooks of Tribulation
After=network.target ssh.service

[Service]
Type=oneshot
RemainAfterExit=yes
TimeoutStartSec=600
ExecStart={HOOKS}

[Install]
WantedBy=multi-user.target
"""

# As a local host's init does it (hostinit.sh): in name order, each to its end. What they leave running stays.
_HOOKS_SCRIPT = f"""\
#!/bin/sh
grep -q '{UNATTENDED}=1' /proc/cmdline && unattended=yes || unattended=
path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
: >/run/booting
for hook in {DIRECTORY}/boot.d/*; do
    if [ -f "$hook" ] && [ -x "$hook" ]; then
        owner=$(stat -c %U "$hook")
        home=$(getent passwd "$owner" | cut -d: -f6)
        timeout 120 setpriv --reuid "$owner" --regid "$owner" --init-groups env -i PATH=$path HOME="$home" \\
            UNATTENDED="$unattended" "$hook" || echo "$hook: exit $?" | tee -a /run/booting
    fi
done
mv /run/booting /run/booted
"""

_SSHD = """\
UseDNS no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
HostKey /etc/ssh/ssh_host_ecdsa_key
PrintMotd no
PrintLastLog no
MaxStartups 100:30:200
MaxSessions 100
# Faults break connections half-way, and so does a look at whether a machine is up.
PerSourcePenalties no
"""

FILES: Mapping[str, tuple[int, str]] = {
    f"/etc/systemd/system/{SEED_UNIT}": (0o644, _SEED_SERVICE),
    f"/etc/systemd/system/{HOOKS_UNIT}": (0o644, _HOOKS_SERVICE),
    HOOKS: (0o755, _HOOKS_SCRIPT),
    SEED: (0o755, _SEED_SCRIPT),
    "/etc/ssh/sshd_config.d/tribulation.conf": (0o644, _SSHD),
    f"/etc/sudoers.d/{USER}": (0o440, f"{USER} ALL=(ALL) NOPASSWD: ALL\n"),
}
COMMANDS = (
    f"useradd --create-home --shell /bin/bash {USER}",
    # Root's, the login of the lab's inventory: a directory of another user is refused.
    f"install -d {DIRECTORY} {DIRECTORY}/boot.d",
    f"systemctl enable ssh.service {SEED_UNIT} {HOOKS_UNIT}",
    f"systemctl mask {' '.join(MASKED)}",
    "rm -f /etc/ssh/ssh_host_*",
    # Nothing is newer than the image: no caches are rebuilt at the first boot.
    "touch /etc/.updated /var/.updated",
)
"""Run in the image, in this order, when packages and files are there."""


def debootstrap_command(target: Path, overlay: Path, suite: str, sources: Sequence[Path]) -> list[str]:
    """Build the root of the image in the directory `target`; `overlay` has `FILES`. Without `sources`, packages come from mmdebstrap's default."""
    hooks = [f"--customize-hook=copy-in {overlay / name} /" for name in ("etc", "usr")]
    hooks += [f'--customize-hook=chroot "$1" {command}' for command in COMMANDS]
    packages = f"--include={','.join(PACKAGES)}"
    return ["mmdebstrap", "--variant=minbase", packages, *hooks, suite, str(target), *map(str, sources)]


def digest(suite: str, sources: Sequence[Path]) -> str:
    """The name of the image, derived from the recipe, so that the same recipe is built only once."""
    inputs = [suite, [str(path) for path in sources], PACKAGES, FILES, COMMANDS, DISK_GIB]
    return hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:16]
