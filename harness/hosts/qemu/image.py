"""Builder of the machines' disk image from Debian packages; it is built once and kept: `<labs>/.images/<digest>/{root.raw, vmlinuz}`.

Takes one to three minutes, and root; every lab then starts with a copy of it for each machine.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ...errors import HostError
from ..local.launch import SEARCH_PATH, environment
from ..local.layout import state
from ..programs import end_of, run_program
from . import recipe
from .plan import Boot, trial_command

PROGRAMS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "ip": "iproute2",
    "unshare": "util-linux",
}
"""Programs that emulated machines need, and the Debian package of each."""
BUILD_S = 1800.0
TRIAL_S = 15.0
DEFAULT_SUITE = "trixie"
_SOURCES = (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list"))


def check_machine() -> None:
    """Raise `HostError`, with a hint, if no machine can be emulated here."""
    missing = [program for program in PROGRAMS if shutil.which(program, path=SEARCH_PATH) is None]
    if missing:
        packages = " ".join(sorted({PROGRAMS[program] for program in missing}))
        what = f"emulated machines need {', '.join(missing)}: not found on this machine"
        raise HostError(what, hint=f"apt install --no-install-recommends {packages}")
    if os.geteuid() != 0:
        what = f"emulated machines need root, for their image and their network; this is uid {os.geteuid()}"
        raise HostError(what, hint="run as root, or use local hosts, which need no root")
    if platform.machine() != "x86_64":
        raise HostError(f"emulated machines are made for x86_64, not {platform.machine()}", hint="use local hosts")
    if not os.access("/dev/net/tun", os.W_OK):
        raise HostError("emulated machines need /dev/net/tun for their network", hint="modprobe tun")


def image(base: Path) -> Path:
    """The directory of the image, built if this recipe was not built before."""
    suite, sources = origin()
    made = base / ".images" / recipe.digest(suite, sources)
    with state.exclusive(base, ".image", timeout_s=BUILD_S):
        if not made.exists():
            made.parent.mkdir(exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".building-", dir=made.parent) as folder:
                _build(Path(folder), suite, sources)
                (Path(folder) / "image").rename(made)
    return made


def exists(base: Path) -> bool:
    return (base / ".images" / recipe.digest(*origin())).exists()


def origin() -> tuple[str, Sequence[Path]]:
    """The suite, and the lists of package sources: on Debian the machine's own, elsewhere mmdebstrap's."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    if release.get("ID") != "debian" or "VERSION_CODENAME" not in release:
        return DEFAULT_SUITE, ()
    return release["VERSION_CODENAME"], [path for path in _SOURCES if path.is_file() and path.stat().st_size][:1]


def boot_of(image_directory: Path) -> Boot:
    """Return how to boot: by KVM where it can boot this kernel (a device file alone guarantees nothing), else emulated."""
    boot = Boot(image_directory / "vmlinuz", "kvm")
    if os.access("/dev/kvm", os.R_OK | os.W_OK):
        try:
            if run_program(trial_command(boot), env=environment(), timeout_s=TRIAL_S).exit_code == 0:
                return boot
        except HostError:
            pass
    return Boot(boot.kernel, "tcg")


def _build(folder: Path, suite: str, sources: Sequence[Path]) -> None:
    overlay, root, made = folder / "overlay", folder / "root", folder / "image"
    # Users other than root must be able to read it while packages are configured.
    folder.chmod(0o755)
    made.mkdir()
    for name, (mode, text) in recipe.FILES.items():
        path = overlay / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
    _run(recipe.debootstrap_command(root, overlay, suite, sources), folder)
    shutil.copy(max((root / "boot").glob("vmlinuz-*")), made / "vmlinuz")
    raw = made / "root.raw"
    with raw.open("wb") as file:
        file.truncate(recipe.DISK_GIB << 30)
    _run(["mke2fs", "-q", "-t", "ext4", "-L", "root", "-d", str(root), str(raw)], folder)


def _run(command: list[str], folder: Path) -> None:
    log = folder / "log"
    try:
        with log.open("wb") as file:
            done = subprocess.run(
                command, env={**environment(), "TMPDIR": str(folder)}, stdout=file, stderr=file, timeout=BUILD_S
            )
    except subprocess.TimeoutExpired:
        raise HostError(
            f"{command[0]} did not end within {BUILD_S:g} s", hint="is the source of packages reachable?"
        ) from None
    if done.returncode:
        said = end_of(log, 800)
        hint = "packages come from this machine's own apt sources: does `apt-get update` work? Elsewhere than on Debian: apt install debian-archive-keyring"
        raise HostError(f"the machines' image was not built: {command[0]} exited with {done.returncode}: {said}", hint)
