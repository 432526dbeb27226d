"""The ssh provider against machines that it reaches by plain sockets: it runs in the lab's clients place, the lab's hosts are its machines."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tribulation.harness.hosts.local import LocalProvider
from tribulation.harness.hosts.ssh.remote import RemoteHost

ROOT = Path(__file__).parents[3]
SCRIPT = """
import json, socket, sys
from tribulation.harness.errors import TribulationError
from tribulation.harness.hosts.ssh.provider import SshProvider
try:
    provider = SshProvider.from_file("/srv/vps.yaml")
    hosts = provider.up()
    assert provider.up() is hosts
    with provider.dial("10.77.0.2", 22, timeout_s=5) as sock:
        dialled = [sock.recv(7).decode(), sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0]
    hosts[0].put(b"content", hosts[0].directory + "/file")
    print(json.dumps({
        "names": [host.run("hostname").stdout.strip() for host in hosts],
        "control": [host.control for host in hosts],
        "clients": {name: list(addresses) for name, addresses in provider.client_addresses.items()},
        "dialled": dialled,
        "file": hosts[0].get(hosts[0].directory + "/file").decode(),
        "shell": hosts[0].run("echo 'a  b' \\"$((6*7))\\"").stdout,
        "clients_host": provider.client_host(),
    }))
    provider.down()
except TribulationError as error:
    print(error)
    sys.exit(error.exit_code)
"""


@pytest.fixture
def outside(lab: LocalProvider) -> RemoteHost:
    """A place with the lab's key and nothing else."""
    clients = lab.client_host()
    assert clients is not None and clients.target.key is not None and clients.target.host_key is not None
    if clients.run(["test", "-x", sys.executable, "-a", "-d", str(ROOT)], check=False).exit_code:
        pytest.skip(f"local hosts do not see {sys.executable} and {ROOT}: a place like /tmp is their own")
    clients.put(clients.target.key.read_bytes(), "/srv/key", mode=0o600)
    known = "".join(f"{host.address} {clients.target.host_key}" for host in lab.hosts)
    clients.put(known.encode(), "/srv/known_hosts")
    return clients


def provide(outside: RemoteHost, inventory: str) -> tuple[int, str]:
    outside.put(inventory.encode(), "/srv/vps.yaml")
    done = outside.run(["env", f"PYTHONPATH={ROOT}", sys.executable, "-c", SCRIPT], check=False, timeout_s=60)
    assert not done.stderr, done.stderr
    return done.exit_code, done.stdout


def inventory_of(outside: RemoteHost, more: str = "") -> str:
    entries = "".join(
        f"  - {{name: m{i}, address: 10.77.0.{i}, user: {outside.target.user}, key: key{more}}}\n" for i in (1, 2)
    )
    return f"consent: true\nknown_hosts: known_hosts\nhosts:\n{entries}"


def test_an_inventory_gives_hosts_and_how_they_see_us(outside: RemoteHost) -> None:
    exit_code, out = provide(outside, inventory_of(outside))
    assert exit_code == 0, out
    assert json.loads(out) == {
        "names": ["n1", "n2"],
        "control": [["10.77.0.200", 22], ["10.77.0.200", 22]],
        "clients": {"clients": ["10.77.0.200"]},
        "dialled": ["SSH-2.0", True],
        "file": "content",
        "shell": "a  b 42\n",
        "clients_host": None,
    }


def test_every_host_that_fails_is_reported(outside: RemoteHost) -> None:
    text = (
        inventory_of(outside).replace("10.77.0.2,", "10.77.0.2, port: 23,")
        + "  - {name: m3, address: 10.77.0.3, key: absent}\n"
    )
    exit_code, out = provide(outside, text)
    assert exit_code == 4
    assert "logging in failed on 2 of 3 hosts" in out
    assert "m2 (" in out and "connection refused" in out
    assert "/srv/absent cannot be read" in out


def test_jump_hosts_of_the_users_configuration_are_used_and_their_keys_checked(outside: RemoteHost) -> None:
    config = f"Host 10.77.0.2\n  ProxyJump {outside.target.user}@10.77.0.1\nHost 10.77.0.1\n  IdentityFile /srv/key\n"
    outside.put(config.encode(), "/srv/home/.ssh/config")
    try:
        exit_code, out = provide(outside, inventory_of(outside))
        assert exit_code == 0, out
        assert json.loads(out)["control"] == [["10.77.0.200", 22], ["10.77.0.1", 22]]
        outside.run("grep -v '^10.77.0.1 ' /srv/known_hosts >/srv/few && mv /srv/few /srv/known_hosts")
        only_second = inventory_of(outside).replace("  - {name: m1", "#", 1)
        exit_code, out = provide(outside, only_second)
        assert exit_code == 4 and "the host's key is not known" in out
    finally:
        outside.run("rm /srv/home/.ssh/config")


def test_a_directory_that_others_may_write_is_refused(outside: RemoteHost, lab: LocalProvider) -> None:
    lab.hosts[1].run("mkdir -p -m 777 '/srv/open to all'")
    exit_code, out = provide(outside, inventory_of(outside, ", directory: /srv/open to all"))
    assert exit_code == 4 and "logging in failed on 1 of 2 hosts" in out
    assert "the directory /srv/open to all may be written by others (777)" in out and "another `directory`" in out
    if outside.target.user == "root":
        lab.hosts[1].run(
            "mkdir /srv/anybody && chmod 1777 /srv/anybody && mkdir /srv/anybody/s && chown 7 /srv/anybody/s"
        )
        exit_code, out = provide(outside, inventory_of(outside, ", directory: /srv/anybody/s"))
        assert exit_code == 4 and "was made by user number 7, in a place where every user may make one" in out
        # It is not there yet, and the owner of the directory above it can replace it at any time.
        for above in (
            "mkdir -p /srv/seven && chown 7 /srv/seven",
            "ln -sfn /srv/anybody /srv/link && chown -h 7 /srv/link",
        ):
            lab.hosts[1].run(above)
        for place in ("/srv/seven", "/srv/link"):
            exit_code, out = provide(outside, inventory_of(outside, f", directory: {place}/deep/tribulation"))
            assert exit_code == 4 and f"the directory {place} belongs to user number 7" in out
        lab.hosts[1].run("mkdir -m 777 /srv/all && mkdir /srv/goal && ln -s /srv/goal /srv/way")
        exit_code, out = provide(outside, inventory_of(outside, ", directory: /srv/all/tribulation"))
        assert exit_code == 4 and "the directory /srv/all may be written by others (777)" in out
        exit_code, out = provide(outside, inventory_of(outside, ", directory: /srv/way/tribulation"))
        assert exit_code == 0, out


def test_unknown_hosts_are_refused(outside: RemoteHost) -> None:
    exit_code, out = provide(outside, inventory_of(outside).replace("known_hosts: known_hosts\n", ""))
    assert exit_code == 4 and "the host's key is not known" in out


@pytest.mark.parametrize(
    ("more", "said"),
    [(", sudo: true", "sudo"), (", python: /usr/bin/false", "false"), (", python: python9", "not found")],
)
def test_missing_sudo_or_python_is_reported_at_once(outside: RemoteHost, more: str, said: str) -> None:
    if "sudo" in more and outside.run("command -v sudo", check=False).exit_code == 0:
        pytest.skip("sudo is installed here, and root may use it")
    exit_code, out = provide(outside, inventory_of(outside, more))
    assert exit_code == 4 and said in out and "hint:" in out
