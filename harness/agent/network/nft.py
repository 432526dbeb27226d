"""The host's firewall tool, nft: rules are loaded in one transaction; on a host without nft, queries return that there are none."""

from __future__ import annotations

import subprocess

TIMEOUT_S = 10


def load(text: str, what: str) -> None:
    """Load the whole text or nothing. Raises `RuntimeError`, which names `what` was to be loaded."""
    done = _run(["-f", "-"], text)
    if done.returncode != 0:
        raise RuntimeError(f"nft refused {what}: {done.stderr.strip()}")


def accepts(text: str) -> bool:
    """Return whether nft accepts these rules; nothing is loaded."""
    try:
        return _run(["-c", "-f", "-"], text).returncode == 0
    except FileNotFoundError:
        return False


def tables() -> list[str]:
    """List the family and name of every table: `inet tribulation`, …. Empty on a host without nft, where there cannot be any."""
    try:
        listed = _run(["list", "tables"]).stdout.splitlines()
    except FileNotFoundError:
        return []
    return [line.removeprefix("table ") for line in listed]


def _run(words: list[str], text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["nft", *words], input=text, capture_output=True, text=True, timeout=TIMEOUT_S)
