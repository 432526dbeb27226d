"""Hosts that are broken in every way that operators meet: each gives one clear line with a hint, in time, with the good host's results.

`tri` runs in the lab's clients place, as a user would run it, over an inventory of one good host and twelve others.
"""

from __future__ import annotations

import json
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tribulation.harness.hosts.base import Channel
from tribulation.harness.hosts.local import LocalProvider, launch
from tribulation.harness.hosts.ssh.remote import RemoteHost

ROOT = Path(__file__).parents[3]
LOGIN_S = 2
"""Of the hosts that never answer."""
GIVEN_UP_WITHIN_S = 40.0
"""The slowest of them may take each step of a login for as long, and a busy machine takes its time too."""

SILENT = """
import socket, time
with socket.create_server(("", 2201)) as server:
    print("ready", flush=True)
    kept = []
    while True: kept.append(server.accept())
"""
SLOW = """
import socket, threading, time
def carry(a, b):
    try:
        while chunk := a.recv(65536): b.sendall(chunk)
    except OSError: pass
    finally: b.close()
def serve(a):
    time.sleep(1.5)
    b = socket.create_connection(("127.0.0.1", 22))
    threading.Thread(target=carry, args=(a, b), daemon=True).start()
    carry(b, a)
with socket.create_server(("", 2201)) as server:
    print("ready", flush=True)
    while True: threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"""
ASKS = "#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n"
OLD = '#!/bin/sh\ncase "$*" in *version_info*) echo 3.8.19;; *) exec python3 "$@";; esac\n'
SSHD = """
Port {port}
HostKey /var/lib/sshd/host_key
PidFile none
UsePAM no
StrictModes no
{more}
"""


def sshd(host: RemoteHost, port: int, more: str) -> Channel:
    """Another server next to the host's own, for as long as the channel is open."""
    host.put(SSHD.format(port=port, more=more).encode(), f"/srv/sshd-{port}")
    serve = f"{shutil.which('sshd', path=launch.SEARCH_PATH)} -D -e -f /srv/sshd-{port} & cat >/dev/null; kill $!"
    return host.start(serve)


class Broken:
    """The lab, and a `tri` in its clients place."""

    def __init__(self, lab: LocalProvider) -> None:
        clients = lab.client_host()
        assert clients is not None and clients.target.key is not None and clients.target.host_key is not None
        self.clients, self.lab, self.user = clients, lab, clients.target.user
        if clients.run(["test", "-x", sys.executable, "-a", "-d", str(ROOT)], check=False).exit_code:
            pytest.skip(f"local hosts do not see {sys.executable} and {ROOT}: a place like /tmp is their own")
        clients.put(clients.target.key.read_bytes(), "/srv/key", mode=0o600)
        ports = ("", ":2201", ":2202", ":2203", ":2204", ":2206")
        names = [f"[{host.address}]{port}" if port else host.address for host in lab.hosts for port in ports]
        clients.put("".join(f"{name} {clients.target.host_key}" for name in names).encode(), "/srv/known_hosts")
        entries = "".join(f"  - {json.dumps(entry)}\n" for entry in self.entries())
        inventory = f"consent: true\nknown_hosts: known_hosts\nhosts:\n{entries}"
        clients.put(inventory.encode(), "/srv/broken.yaml")
        clients.put(
            b"name: cuts\nworkloads: [{register: {}}]\nfaults: [{partition: {shape: [halves], every: 8s, for: 4s}}]\n",
            "/srv/cuts.yaml",
        )
        good = json.dumps(next(iter(self.entries())))
        clients.put(f"consent: true\nknown_hosts: known_hosts\nhosts: [{good}]\n".encode(), "/srv/good.yaml")
        clients.put(
            b"name: jumps\nduration: 4s\nworkloads: [{register: {clients: 1}}]\n"
            b"faults: [{clock: {target: leader, offset: 20s, every: 2s, for: 1s}}]\n",
            "/srv/jumps.yaml",
        )

    def entries(self) -> Iterator[dict[str, Any]]:
        own = {"user": self.user, "key": "key"}
        at = [host.address for host in self.lab.hosts]
        yield {"name": "good", "address": at[0], **own}
        yield {"name": "asks", "address": at[1], "sudo": True, **own}
        yield {"name": "full", "address": at[2], "directory": "/srv/full/tri", **own}
        yield {"name": "old", "address": at[3], "python": "/srv/old/python3", **own}
        yield {"name": "read-only", "address": at[4], "directory": "/srv/fixed/tri", **own}
        yield {"name": "without", "address": at[5], "python": "/srv/no/python3", **own}
        yield {"name": "slow", "address": at[6], "port": 2201, **own}
        never = {"login": at[7], "login_timeout": f"{LOGIN_S}s", **own}
        for index, (name, port) in enumerate(
            {
                "silent": 2201,
                "hanging": 2202,
                "passwords": 2203,
                "wrong-key": 2204,
                "dropped": 2205,
                "no-shell": 2206,
            }.items()
        ):
            yield {"name": name, "address": f"192.0.2.{index + 1}", "port": port, **never}

    def tri(self, *arguments: str) -> tuple[int, str, str, float]:
        command = [
            "env",
            "HOME=/srv/home",
            f"PYTHONPATH={ROOT}",
            sys.executable,
            "-m",
            "tribulation.harness.cli",
            *arguments,
        ]
        began_s = time.monotonic()
        done = self.clients.run(f"cd /srv && {shlex.join(command)}", check=False, timeout_s=120)
        return done.exit_code, done.stdout, done.stderr, time.monotonic() - began_s


@pytest.fixture(scope="module")
def broken(namespaces: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broken]:
    lab = LocalProvider(nodes=8, name="broken", directory=tmp_path_factory.mktemp("labs", numbered=True))
    channels: list[Channel] = []
    try:
        _, asks, full, old, fixed, _, slow, never = lab.up()
        asks.put(ASKS.encode(), "/srv/bin/sudo", mode=0o755)
        # The first place in which a login's programs are looked for.
        asks.run("mount --bind /srv/bin /usr/local/bin")
        full.run("mkdir /srv/full && mount -t tmpfs -o size=64k tmpfs /srv/full && ! head -c 1m /dev/zero >/srv/full/x")
        old.put(OLD.encode(), "/srv/old/python3", mode=0o755)
        fixed.run("mkdir /srv/fixed && mount -t tmpfs -o ro tmpfs /srv/fixed")
        channels += [host.start([host.python, "-c", what]) for host, what in ((slow, SLOW), (never, SILENT))]
        assert [channel.read_line(20) for channel in channels] == ["ready", "ready"]
        keys = "AuthorizedKeysFile /var/lib/sshd/authorized_keys"
        channels.append(sshd(never, 2202, f"{keys}\nForceCommand sleep 600"))
        channels.append(sshd(never, 2206, f"{keys}\nForceCommand echo This account is not available.; exit 1"))
        channels.append(sshd(never, 2203, "PubkeyAuthentication no\nPasswordAuthentication yes"))
        channels.append(sshd(never, 2204, "AuthorizedKeysFile /dev/null\nPasswordAuthentication no"))
        never.run("nft add table inet away; nft add chain inet away in '{ type filter hook input priority 0; }'")
        never.run("nft add rule inet away in tcp dport 2205 drop")
        yield Broken(lab)
    finally:
        for channel in channels:
            channel.close()
        lab.down()


WHY = {
    "asks": ("`sudo -n` is refused: sudo: a password is required", "NOPASSWD"),
    "old": ("/srv/old/python3 is Python 3.8.19; the node needs 3.10 or later", "`python:`"),
    "without": ("there is no Python: /srv/no/python3 is not found", "apt install python3"),
    "silent": (f"connected, but no SSH banner came within {LOGIN_S} s", "does an SSH server listen"),
    "hanging": (f"did not end within {LOGIN_S} s", "is the host overloaded"),
    "passwords": ("the host takes no keys, only: password", "ssh-copy-id"),
    "wrong-key": ("login refused with the key /srv/key", "authorized_keys"),
    "dropped": (f"no connection within {LOGIN_S} s", "does a firewall drop the SSH port"),
    "no-shell": ("does not behave like a shell: This account is not available.", "a login shell"),
    "full": ("No space left on device", "another `directory`"),
    "read-only": ("Read-only file system", "another `directory`"),
}


def test_each_broken_host_is_reported_in_one_line_beside_the_good_ones_results(broken: Broken) -> None:
    with ThreadPoolExecutor(2) as pool:
        probing = pool.submit(broken.tri, "doctor", "--hosts", "/srv/broken.yaml", "--json", "/srv/cuts.yaml")
        looking = pool.submit(broken.tri, "deploy", "status", "/srv/broken.yaml", "--json")
        for reported in (probing.result(), looking.result()):
            assert reported[0] == 4 and reported[3] < GIVEN_UP_WITHIN_S, reported
        rows = json.loads(probing.result()[1])["probes"]
        seen = {row["host"]: row for row in json.loads(looking.result()[1])["hosts"]}
    for name, (why, hint) in WHY.items():
        (failed, *_) = [row for row in rows if row["host"] == name and row["required"] and not row["ok"]]
        assert why in failed["detail"] and hint in failed["hint"] and "\n" not in failed["detail"], failed
        if name not in ("full", "read-only"):
            assert why in seen[name]["detail"] and hint in seen[name]["error"], seen[name]
    for good in ("good", "slow"):
        assert [row for row in rows if row["host"] == good and row["required"] and not row["ok"]] == []
        assert "not running" in seen[good]["detail"]
    assert [row["probe"] for row in rows if row["host"] == "dropped"] == ["ssh login"]


def test_neither_the_doctor_nor_a_run_leaves_a_folder_that_it_made(broken: Broken) -> None:
    good = broken.lab.hosts[0]
    assert good.run(["test", "-e", "/var/tmp/tribulation"], check=False).exit_code
    code, out, err, _ = broken.tri("doctor", "--hosts", "/srv/good.yaml", "--json")
    clocks = [row for row in json.loads(out)["faults"] if row["ability"] == "clock-drift" and row["host"] == "good"]
    assert [row["ok"] for row in clocks] == [True], (code, err, clocks)
    assert good.run("find /var/tmp/tribulation", check=False).stdout == ""
    code, out, err, _ = broken.tri("run", "jumps.yaml", "--hosts", "good.yaml", "--runs", "/srv/runs", "--json")
    assert any(fault["verified"] for fault in json.loads(out)["faults"]), (code, out, err)
    assert good.run("find /var/tmp/tribulation", check=False).stdout == ""


def test_a_deployment_reports_each_that_cannot_be_used_beside_the_others(broken: Broken) -> None:
    code, out, err, elapsed_s = broken.tri("deploy", "up", "/srv/broken.yaml", "--timing", "fast", "--json")
    assert code == 4 and elapsed_s < GIVEN_UP_WITHIN_S, err
    rows = {row["host"]: row for row in json.loads(out)["hosts"]}
    assert rows["good"]["ok"] and rows["slow"]["ok"], rows
    for name, (why, _) in WHY.items():
        if name not in ("full", "read-only"):
            assert not rows[name]["ok"] and why in rows[name]["detail"] and "\n" not in rows[name]["detail"], rows[name]
    assert " of 13 hosts" in err and "hint:" in err
