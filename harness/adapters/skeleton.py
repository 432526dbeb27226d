"""Files that `tri new system NAME` writes: an adapter with comments that runs as it is, a small server for it, and a campaign."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from importlib.metadata import packages_distributions
from keyword import iskeyword
from pathlib import Path

import yaml

from tribulation.histories.files.replacing import replacing

from ..errors import CampaignError

ADAPTER = '''"""@NAME@: how Tribulation installs it, starts it and speaks to it. `tri try @MODULE@.py` says what is wrong with this file."""

from __future__ import annotations

import http.client
from pathlib import Path

from tribulation.testing import Daemon, DriverClient, Outcome


class @CLASS@(Daemon):
    port = 8500  # Where clients connect, on every host.
    data = None  # The folder below `self.path(host)` with all that must survive a power loss; None: nothing is on disk.
    programs = ()  # Programs that each host must have, and in `packages` the Debian packages that have them.

    def runs_on(self, host, cluster):
        return host.name == cluster[0].name  # This example has one server. Leave the method out for a process on each host.

    def files(self, host, cluster):
        # Configuration files by name; here, the server itself. Peers are `other.address for other in cluster`.
        return {"@MODULE@_server.py": Path(__file__).with_name("@MODULE@_server.py").read_text()}

    def command(self, host, cluster):
        # Replace it with your program. It must stay in the foreground.
        return [host.python, self.path(host, "@MODULE@_server.py"), str(self.port)]


class @CLASS@Client(DriverClient):
    to_node = "n1"  # Leave it out where each client speaks to its own node.
    definite = ()  # Exceptions of your driver that say that nothing happened. Every other one is `info`: in doubt.

    def connect(self, address, timeout_s):
        # Your driver's connection, to this address and no other: faults cut it.
        return http.client.HTTPConnection(*address, timeout=timeout_s)

    def ask(self, method, key, body=None):
        self.connection.request(method, f"/{key}", body)
        answer = self.connection.getresponse()
        text = answer.read().decode()
        return answer.status, int(text) if text else None

    # One method per operation; docs/reference/workloads.md lists those of each workload. This client has the ones of `register`.

    def read(self, op):
        return self.ask("GET", op.key)[1]

    def write(self, op):
        self.ask("PUT", op.key, str(op.value))

    def cas(self, op):
        status, seen = self.ask("POST", op.key, "{},{}".format(*op.value))
        return Outcome("ok") if status == 200 else Outcome("fail", seen, error="mismatch")


service, client = @CLASS@, @CLASS@Client
'''
SERVER = '''"""A server of registers over HTTP, to be replaced by yours."""

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

values, lock = {}, threading.Lock()


class Handler(BaseHTTPRequestHandler):
    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        status = 200
        with lock:
            if self.command == "PUT":
                values[self.path] = body
            elif self.command == "POST":
                expected, new = body.split(",")
                if values.get(self.path, "None") == expected:
                    values[self.path] = new
                else:
                    status = 409
            text = values.get(self.path, "").encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_PUT = do_POST = answer

    def log_message(self, format, *arguments):
        pass


ThreadingHTTPServer(("", int(sys.argv[1])), Handler).serve_forever()
'''
CAMPAIGN = """# What @NAME@ must keep while its clients are cut off and it is paused.
name: @NAME@
system: {file: @MODULE@.py}
hosts: {provider: local, nodes: 2}
duration: 10s
workloads:
  - register: {clients: 4, keys: 3, rate: 60/s}
faults:
  - partition: {shape: clients-cut, target: [n1], after: 2s, for: 2s}
  - pause: {target: [n1], after: 6s, for: 1s}
"""


USED = ("Path", "Daemon", "DriverClient", "Outcome")
"""Names that the adapter imports."""


def _taken(name: str, module: str, class_name: str) -> str | None:
    """Return why files, classes or a campaign of this name would not work."""
    if iskeyword(module) or iskeyword(class_name):
        return f"{module if iskeyword(module) else class_name} is a word of Python"
    if {class_name, f"{class_name}Client"} & set(USED):
        return f"the adapter imports {class_name if class_name in USED else class_name + 'Client'}"
    # Not `find_spec`: adapters that this process has loaded are no modules of others.
    known = {"tribulation", *sys.stdlib_module_names, *packages_distributions()}
    for hidden in (module, f"{module}_server"):
        if hidden in known:
            return f"{hidden}.py would hide Python's module {hidden}"
    if name == "latest" or yaml.safe_load(name) != name:
        return f"{name} means something else as the name of a campaign"
    return None


def write_system(name: str, folder: Path) -> list[Path]:
    """Write the files of a new system, and return their paths. Raises `CampaignError` for an impossible name, and for a file that exists. All are
    written, or none.
    """
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,40}", name):
        raise CampaignError(
            f"{name!r} is not a name for a system", hint="small letters, digits and dashes: my-database"
        )
    module = name.replace("-", "_")
    class_name = "".join(part.capitalize() for part in name.split("-"))
    if why := _taken(name, module, class_name):
        raise CampaignError(f"{name!r} cannot be the name of a system: {why}", hint=f"for example {name}-database")
    texts = {f"{module}.py": ADAPTER, f"{module}_server.py": SERVER, f"{name}.yaml": CAMPAIGN}
    paths = [folder / file for file in texts]
    if there := [path for path in paths if path.exists()]:
        raise CampaignError(f"{there[0]} exists already", hint="choose another name or folder")
    made = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in zip(paths, texts.values(), strict=True):
            filled = text.replace("@NAME@", name).replace("@MODULE@", module).replace("@CLASS@", class_name)
            with replacing(path) as file:
                file.write(filled.encode())
    except BaseException:
        for path in paths:
            path.unlink(missing_ok=True)
        with suppress(OSError):
            for parent in made:
                parent.rmdir()
        raise
    return paths
