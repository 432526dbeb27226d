"""What is reported of a host by looking at it: whose the ports are, at which address, what is missing, and whose processes run."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tribulation.harness.deploy.look import look


def asked(tmp_path: Path, *ports: tuple[str, int, str], directory: str = "") -> dict[str, object]:
    where = directory or str(tmp_path / "tribulation")
    return {
        "directory": where,
        "folder": f"{where}/reference",
        "names": ["node.pyz", "absent"],
        "ports": ports,
        "unit": "/nowhere/a.service",
        "user": "root",
        "certificate": "c.pem",
        "made": f"{where}/deployed.json",
    }


@pytest.mark.parametrize(
    ("bound", "wanted", "taken"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "", True),
        ("", "127.0.0.1", True),
        ("127.0.0.2", "127.0.0.1", False),
        ("::1", "127.0.0.1", False),
        ("::1", "::1", True),
        ("::", "127.0.0.1", True),
        ("::ffff:127.0.0.1", "127.0.0.1", True),
    ],
)
@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_is_taken_where_the_node_could_not_have_it(
    kind: socket.SocketKind, bound: str, wanted: str, taken: bool, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_INET6 if ":" in bound else socket.AF_INET, kind) as other:
        other.bind((bound, 0))
        if kind is socket.SOCK_STREAM:
            other.listen()
        name, port = "tcp" if kind is socket.SOCK_STREAM else "udp", other.getsockname()[1]
        found = look(asked(tmp_path, (name, port, wanted)))["ports"]
        assert [(row["kind"], row["port"], row["ours"]) for row in found] == ([(name, port, False)] if taken else [])
        assert not taken or f"pid {os.getpid()}" in found[0]["who"]
        other.close()
        assert look(asked(tmp_path, (name, port, wanted)))["ports"] == []


def test_a_connection_from_that_port_is_no_listener(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert look(asked(tmp_path, ("tcp", client.getsockname()[1], "127.0.0.1")))["ports"] == []


def test_a_process_that_names_the_folder_is_ours(tmp_path: Path) -> None:
    folder = tmp_path / "tribulation/reference"
    folder.mkdir(parents=True)
    code = 'import socket, sys; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1], flush=True); sys.stdin.read()'
    command = [sys.executable, "-c", code, f"{folder}/config.json"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as node:
        assert node.stdout is not None
        port = int(node.stdout.readline())
        (folder / "node.pid").write_text(f"{node.pid}\n")
        (folder / "supervisor.pid").write_text(f"{os.getpid()}\n")
        found = look(asked(tmp_path, ("tcp", port, "127.0.0.1")))
        node.communicate()
    assert found["ports"][0]["ours"] and found["node"] == node.pid and 0 <= found["node_s"] < 600
    assert found["supervisor"] is None, "a number that another process has now"
    assert look(asked(tmp_path))["node"] is None


def test_what_is_missing_and_what_is_there(tmp_path: Path) -> None:
    deep = tmp_path / "a/b"
    found = look(asked(tmp_path, directory=str(deep)))
    assert (found["missing"], found["nearest"]) == ([str(tmp_path / "a"), str(deep)], str(tmp_path))
    assert (found["folder"], found["files"], found["config"], found["user"]) == (False, {}, "", True)
    (deep / "reference").mkdir(parents=True)
    (deep / "reference/node.pyz").write_bytes(b"x")
    found = look(asked(tmp_path, directory=str(deep)))
    assert found["missing"] == [] and found["folder"]
    assert found["files"] == {"node.pyz": "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"}
    deep.chmod(0o700)
    assert look(asked(tmp_path, directory=str(deep)))["entered"] is False
