"""The agent as one file for the hosts: the sources of `agent/` zipped with a front end, byte-equal for equal sources."""

from __future__ import annotations

import functools
import io
import shlex
import zipfile
from pathlib import Path

from ...hosts.base import Host

PACKAGE = "tribulation_agent"
FRONT = f"from {PACKAGE}.main import main\n\nmain()\n"
FILES = "agent.pyz agent.lock force.json ledger.jsonl lease lock journal.jsonl watchdog.lock watchdog.log links.sock links.sock.log tribulation-hosts tribulation-resolv.conf ../boot.d/30-faults"
"""The agent's files, relative to its directory; `remove` deletes them."""
LONG_AGO = (1980, 1, 1, 0, 0, 0)


@functools.cache
def bundle() -> bytes:
    """The agent as a zip application, to be run with `python3 -I agent.pyz serve DIRECTORY`."""
    folder = Path(__file__).parents[2] / "agent"
    sources = sorted(folder.rglob("*.py"))
    files = {f"{PACKAGE}/{source.relative_to(folder)}": source.read_text(encoding="utf-8") for source in sources}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in {"__main__.py": FRONT, **files}.items():
            archive.writestr(zipfile.ZipInfo(name, LONG_AGO), text)
    return buffer.getvalue()


def agent_directory(directory: str) -> str:
    """The agent's directory below a host's directory."""
    return f"{directory}/nemesis"


def agent_program(directory: str) -> str:
    return f"{agent_directory(directory)}/agent.pyz"


def remove(host: Host) -> None:
    """Remove the agent's files from a host. The clock library's stay: processes that run under it, or are restarted, need them."""
    sudo, directory = shlex.join(host.sudo), shlex.quote(agent_directory(host.directory))
    host.run(
        f"if cd {directory} 2>/dev/null; then {sudo} rm -f {FILES}; cd /; {sudo} rmdir {directory} 2>/dev/null; fi; true"
    )
