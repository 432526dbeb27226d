"""Start of a node from a command line: options, configuration, lock, signals, exit codes.

    python3 -I node.pyz --config config.json                run in the foreground
    python3 -I node.pyz --supervise --config config.json    leave a supervisor behind that runs it
    … --supervise --foreground …                            be that supervisor, for a service manager (Type=notify)

The configuration is the core's (`node/config/node.py`) plus, all optional: `directory` (default: the folder of the file), `listen` ("host:port",
default: this node's address in `peers`), `seed`, `record_inputs`, `handlers` (a Python file with more handlers of tasks), `metrics`
("127.0.0.1:9101": serve metrics and health over HTTP there), `tls` ({"ca", "certificate", "key"}: paths of PEM files) and `datagram_key` (the path of
its file). The paths of the last two are relative to the configuration's folder; on SIGHUP their files are read again.

Exit codes: 0 stopped by SIGTERM or SIGINT · 2 the configuration is wrong · 3 the node halted itself (the log says why) · 4 the directory or the port
is not available · 1 a bug, with its traceback.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import stat
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...bounded import WIDE, read_json
from ...config.node import NodeConfig
from ...errors import ConfigError
from ..disk.home import Home, HomeError
from ..options import EXIT_CONFIG, EXIT_ENVIRONMENT, Address, RuntimeOptions, TlsFiles, resolve
from . import collector
from .supervisor import daemonise, foreground

LOCK_TIMEOUT_S = 3.0
MOST_CONFIG_BYTES = 4 << 20
_DESCRIPTORS = 4096
_RUNTIME_FIELDS = ("directory", "listen", "seed", "record_inputs", "handlers", "metrics", "tls", "datagram_key")
_TLS_FILES = tuple(TlsFiles.__dataclass_fields__)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    path = Path(options.config).absolute()
    try:
        config, runtime_options = load(path)
    except ConfigError as error:
        print(f"{path}: {error}", file=sys.stderr)
        return EXIT_CONFIG
    if options.supervise:
        supervise = foreground if options.foreground else daemonise
        return supervise(path.parent, Path(sys.argv[0]).absolute(), ["--config", str(path)])
    return run(config, runtime_options)


def run(config: NodeConfig, options: RuntimeOptions) -> int:
    """Run the node until a signal ends it."""
    # Imported here, because an archive's modules are compiled at each start: the supervisor does not need these.
    from ...core.core import Core
    from ..loop.loop import Runtime

    _raise_descriptor_limit()
    collector.adopt()
    try:
        Home(options.directory).acquire(LOCK_TIMEOUT_S)
        runtime = Runtime(options, Core(config))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda received, frame: runtime.stop())
        if options.tls is not None or options.datagram_key is not None:
            signal.signal(signal.SIGHUP, lambda received, frame: runtime.reload())
        return runtime.run()
    except ConfigError as error:
        print(f"{options.directory}: {error}", file=sys.stderr)
        return EXIT_CONFIG
    except (HomeError, OSError) as error:
        print(f"{options.directory}: {error}", file=sys.stderr)
        return EXIT_ENVIRONMENT


def load(path: Path) -> tuple[NodeConfig, RuntimeOptions]:
    """Read and validate the configuration. Raises `ConfigError`."""
    try:
        content = read_json(_regular_text(path), WIDE)
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read it: {error}", "give a readable JSON file with --config") from None
    if not isinstance(content, dict):
        raise ConfigError(f"it holds {str(content)[:80]!r}, not an object", 'write {"node": "n1", …}')
    config = NodeConfig.from_json({name: value for name, value in content.items() if name not in _RUNTIME_FIELDS})
    if config.membership is not None:
        # Names are resolved once, at boot: a name server must not block the loop later.
        found = [_resolve("membership.seeds", _join(host, port)).sockaddr for host, port in config.membership.seeds]
        seeds = tuple((str(sockaddr[0]), int(sockaddr[1])) for sockaddr in found)
        config = replace(config, membership=replace(config.membership, seeds=seeds))
    return config, _runtime_options(config, content, path)


def _regular_text(path: Path) -> str:
    """Read a regular file of bounded size: reading a pipe would block, and `/dev/zero` has no end. Raises `OSError`, or `ValueError`."""
    # Without O_NONBLOCK, opening a pipe waits for its writer.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(f"{path} is not a regular file")
        content = file.read(MOST_CONFIG_BYTES + 1)
    if len(content) > MOST_CONFIG_BYTES:
        raise ValueError(f"{path} has more than {MOST_CONFIG_BYTES} bytes")
    return content.decode("utf-8")


def _runtime_options(config: NodeConfig, content: Mapping[str, Any], path: Path) -> RuntimeOptions:
    directory = content.get("directory", str(path.parent))
    seed = content.get("seed")
    record_inputs = content.get("record_inputs", True)
    if not isinstance(directory, str) or not Path(directory).is_absolute():
        raise ConfigError(f"directory: {directory!r} is not an absolute path", "write the folder for the node's files")
    if seed is not None and (type(seed) is not int or seed < 0):
        raise ConfigError(
            f"seed: {seed!r} is not a non-negative integer", "leave it out for a random one at each start"
        )
    if type(record_inputs) is not bool:
        raise ConfigError(f"record_inputs: {record_inputs!r} is not true or false", "the default is true")
    handlers = content.get("handlers")
    if handlers is not None and (not isinstance(handlers, str) or not os.path.isfile(handlers)):
        raise ConfigError(f"handlers: {handlers!r} is not a file", "write the path of a Python file, or leave it out")
    metrics = content.get("metrics")
    addresses = {name: _resolve(f"peers.{name}", _join(host, port)) for name, (host, port) in config.peers.items()}
    own_host, own_port = config.peers[config.node]
    return RuntimeOptions(
        node=config.node,
        cluster=config.cluster,
        listen=_resolve("listen", content.get("listen", _join(own_host, own_port))),
        peers=addresses,
        directory=Path(directory),
        seed=seed,
        record_inputs=record_inputs,
        config=config.to_json(),
        udp_port=None if config.membership is None else config.membership.udp_port,
        metrics=None if metrics is None else _resolve("metrics", metrics).sockaddr[:2],
        handlers=None if handlers is None else Path(handlers),
        tls=_tls(content.get("tls"), path.parent),
        datagram_key=_file(content.get("datagram_key"), "datagram_key", path.parent),
        workers=0 if config.agents is None else config.agents.workers,
    )


def _tls(value: Any, folder: Path) -> TlsFiles | None:
    if value is None:
        return None
    if not isinstance(value, Mapping) or sorted(value) != sorted(_TLS_FILES):
        raise ConfigError(f"tls: {value!r} is not an object of {', '.join(_TLS_FILES)}", "leave it out for plaintext")
    files = {name: _file(value[name], f"tls.{name}", folder) for name in _TLS_FILES}
    return TlsFiles(**{name: file for name, file in files.items() if file is not None})


def _file(value: Any, field: str, folder: Path) -> Path | None:
    if value is None and not field.startswith("tls."):
        return None
    if not isinstance(value, str) or not os.path.isfile(folder / value):  # which knows that a name may be too long
        raise ConfigError(f"{field}: {value!r} is not a file", f"write a path, absolute or relative to {folder}")
    return folder / value


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _resolve(field: str, text: Any) -> Address:
    try:
        return resolve(str(text))
    except ValueError as error:
        message, _, hint = str(error).partition("\nhint: ")
        raise ConfigError(f"{field}: {message}", hint) from None


def _raise_descriptor_limit() -> None:
    """Raise the soft limit of descriptors, which is often 1024: a thousand clients need as many descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="node.pyz", description="One node of the reference cluster.")
    parser.add_argument("--config", required=True, metavar="FILE", help="its configuration, JSON")
    parser.add_argument("--supervise", action="store_true", help="leave a daemon behind that keeps the node running")
    parser.add_argument("--foreground", action="store_true", help="with --supervise: be that daemon, in this process")
    return parser
