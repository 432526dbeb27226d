"""Mounting and unmounting by system calls, without libfuse's helper."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import subprocess
import sys

TYPE = "fuse.tribulation"
_NOSUID, _NODEV, _DETACH = 2, 4, 2
_libc = ctypes.CDLL(None, use_errno=True)


def mount(directory: str) -> int:
    """Mount over this directory and return the descriptor of the connection. Raises `OSError` with a reason."""
    try:
        connection = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise OSError(
            error.errno, f"/dev/fuse: {error.strerror} (modprobe fuse, or give the container this device)"
        ) from None
    options = [
        f"fd={connection}",
        f"rootmode={os.stat(directory).st_mode:o}",
        f"user_id={os.geteuid()}",
        f"group_id={os.getegid()}",
    ]
    if os.geteuid() == 0:
        # The service may run as another user; the kernel then judges by owners and modes, as on any disk.
        options += ["allow_other", "default_permissions"]
    done = _libc.mount(
        b"tribulation", os.fsencode(directory), TYPE.encode(), _NOSUID | _NODEV, ",".join(options).encode()
    )
    if done != 0:
        number = ctypes.get_errno()
        os.close(connection)
        raise OSError(number, f"mounting over {directory}: {os.strerror(number)}")
    return connection


def unmount(directory: str) -> bool:
    """Unmount as soon as no process uses it any more; returns whether there was something to unmount."""
    if not mounted(directory):
        return False
    if _libc.umount2(os.fsencode(directory), _DETACH) != 0:
        number = ctypes.get_errno()
        if number != errno.EINVAL:
            raise OSError(number, f"unmounting {directory}: {os.strerror(number)}")
    return True


def unmount_from_outside(directory: str) -> subprocess.Popen[bytes]:
    """Unmount in a separate process, because the kernel may send requests to the daemon meanwhile."""
    program = "import ctypes, sys; sys.exit(ctypes.CDLL(None).umount2(sys.argv[1].encode(), 2) != 0)"
    return subprocess.Popen([sys.executable, "-I", "-S", "-c", program, directory])


def unescaped(point: str) -> str:
    """Decode a path of mountinfo, in which the kernel writes spaces, tabs, line ends and backslashes as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), point)


def mounted(directory: str) -> bool:
    """Return whether a fault disk is mounted over this directory, with or without a living daemon."""
    wanted = os.path.abspath(directory)
    with open("/proc/self/mountinfo", errors="surrogateescape") as file:
        for line in file:
            before, _, after = line.partition(" - ")
            point = unescaped(before.split()[4])
            if point == wanted and after.split()[0] == TYPE:
                return True
    return False
