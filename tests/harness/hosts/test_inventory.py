"""An inventory is refused with everything that is wrong in it, before any connection."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tribulation.harness.errors import CampaignError
from tribulation.harness.hosts.ssh.inventory import load_inventory
from tribulation.harness.hosts.ssh.provider import SshProvider


def written(tmp_path: Path, text: str) -> Path:
    (tmp_path / "vps.yaml").write_text(text)
    return tmp_path / "vps.yaml"


def test_defaults_and_relative_paths(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "consent: true\nknown_hosts: kh\nhosts:\n"
        "  - {name: n1, address: 203.0.113.1}\n"
        "  - {name: n2, address: n2.example, port: 2222, user: debian, key: ~/.ssh/id, sudo: true, directory: /opt/tri/, python: python3.12, clock: system}\n",
    )
    inventory = load_inventory(path)
    first, second = inventory.hosts
    assert inventory.known_hosts == tmp_path / "kh"
    assert (first.port, first.user, first.key, first.sudo) == (22, None, None, False)
    assert (first.directory, first.python) == ("/var/tmp/tribulation", "python3")
    assert (second.port, second.user, second.key) == (2222, "debian", Path.home() / ".ssh/id")
    assert (second.sudo, second.directory, second.python) == (True, "/opt/tri", "python3.12")
    assert (first.clock, second.clock) == ("library", "system")
    assert [host.clock for host in SshProvider(inventory).make_hosts()] == ["library", "system"]


def test_without_consent_nothing_goes(tmp_path: Path) -> None:
    hosts = "hosts: [{name: n1, address: 203.0.113.1}]\n"
    with pytest.raises(CampaignError, match=r"vps.yaml:1: consent: required, but missing"):
        load_inventory(written(tmp_path, hosts))
    with pytest.raises(
        CampaignError, match=r"vps.yaml:2: consent: must be `true`: faults will be injected .*\(got False\)"
    ):
        load_inventory(written(tmp_path, f"{hosts}consent: false\n"))


def test_everything_wrong_is_reported_at_once(tmp_path: Path) -> None:
    text = """\
consent: true
hosts:
  - {name: n1, address: 203.0.113.1}
  - {name: n1, address: 203.0.113.1}
  - {name: clients, adress: 203.0.113.3}
  - {name: N 4, address: root@203.0.113.4, port: 0, directory: /}
"""
    with pytest.raises(CampaignError) as caught:
        load_inventory(written(tmp_path, text))
    lines = [line.partition("vps.yaml:")[2] for line in caught.value.message.splitlines()]
    assert [line.split(": ")[:2] for line in lines] == [
        ["4", "hosts[1].name"],
        ["4", "hosts[1].address"],
        ["5", "hosts[2].name"],
        ["5", "hosts[2].address"],
        ["5", "hosts[2].adress"],
        ["6", "hosts[3].name"],
        ["6", "hosts[3].address"],
        ["6", "hosts[3].port"],
        ["6", "hosts[3].directory"],
    ]
    assert "did you mean 'address' instead of 'adress'?" in str(caught.value.hint)
    assert caught.value.exit_code == 2


def test_logins_bastions_and_ipv6(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "consent: true\njump: ops@gate.example:2222\nhosts:\n"
        '  - {name: n1, address: "[2001:db8::1]", login_timeout: 3s}\n'
        "  - {name: n2, address: 10.0.0.2, login: 203.0.113.9, port: 2202, jump: none}\n"
        "  - {name: n3, address: n3.example, login: n3, jump: '[2001:db8::9]:23'}\n",
    )
    inventory = load_inventory(path)
    assert [str(inventory.jump_of(host)) for host in inventory.hosts] == [
        "ops@gate.example:2222",
        "None",
        "[2001:db8::9]:23",
    ]
    hosts = SshProvider(inventory).make_hosts()
    assert [host.address for host in hosts] == ["2001:db8::1", "10.0.0.2", "n3.example"]
    assert [host.target.where for host in hosts] == ["n1 ([2001:db8::1]:22)", "n2 (203.0.113.9:2202)", "n3 (n3:22)"]
    assert [host.target.connect_timeout_s for host in hosts] == [3.0, 10.0, 10.0]
    assert [host.target.open_socket is not None for host in hosts] == [True, False, True]


def test_all_mistakes_about_ways_are_reported_at_once(tmp_path: Path) -> None:
    text = """\
consent: true
jump: ops@gate:ssh
hosts:
  - {name: n1, address: fe80::1, login: 'root@n1'}
  - {name: n2, address: 10.0.0.300, jump: fd00::1, login_timeout: 0s}
  - {name: n3, address: fd00::3, login: gate, port: 2203}
  - {name: n4, address: 'FD00:0::3', login: gate, port: 2203}
"""
    with pytest.raises(CampaignError) as caught:
        load_inventory(written(tmp_path, text))
    lines = [line.partition("vps.yaml:")[2] for line in caught.value.message.splitlines()]
    assert [line.split(": ")[:2] for line in lines] == [
        ["2", "jump"],
        ["4", "hosts[0].address"],
        ["4", "hosts[0].login"],
        ["5", "hosts[1].address"],
        ["5", "hosts[1].jump"],
        ["5", "hosts[1].login_timeout"],
        ["7", "hosts[3].address"],
        ["7", "hosts[3].login"],
    ]


def test_a_host_with_a_mistake_is_not_called_missing(tmp_path: Path) -> None:
    with pytest.raises(CampaignError) as caught:
        load_inventory(written(tmp_path, "consent: true\nhosts:\n  - {name: n1, address: 10.0.0.1, port: 0}\n"))
    assert "hosts[0].port" in caught.value.message and "at least 1 item" not in caught.value.message


def test_no_hosts_is_no_inventory(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match=r"vps.yaml:2: hosts: .*at least 1 item"):
        load_inventory(written(tmp_path, "consent: true\nhosts: []\n"))
    with pytest.raises(CampaignError, match=r"vps.yaml:1: document: input should be"):
        load_inventory(written(tmp_path, "just text\n"))


@pytest.mark.parametrize("field", ["directory", "python", "user"])
@pytest.mark.parametrize("text", ["/var/a\nb/c", "/var/\x1b[31m/c", "/var/a\\b/c", "/var/a\x00/c"])
def test_what_goes_into_lines_on_hosts_has_no_control_characters(tmp_path: Path, field: str, text: str) -> None:
    path = tmp_path / "hosts.yaml"
    host = {"name": "n1", "address": "10.0.0.1", field: text}
    path.write_text(json.dumps({"consent": True, "hosts": [host]}))
    with pytest.raises(CampaignError, match=f"(?s){field}.*control character|NUL"):
        load_inventory(path)


@pytest.mark.parametrize("field", ["key", "known_hosts"])
@pytest.mark.parametrize("made", [os.mkfifo, Path.mkdir, lambda path: path.write_bytes(b"x" * (1 << 20) + b"x")])
def test_a_key_that_is_no_file_of_a_key_is_refused(tmp_path: Path, field: str, made: Callable[[Path], object]) -> None:
    made(tmp_path / "odd")
    host = "{name: n1, address: 203.0.113.1, key: odd}" if field == "key" else "{name: n1, address: 203.0.113.1}"
    known = "known_hosts: odd\n" if field == "known_hosts" else ""
    with pytest.raises(CampaignError, match=r"vps.yaml: odd (is not a regular file|has more than 1048576 bytes)"):
        load_inventory(written(tmp_path, f"consent: true\n{known}hosts: [{host}]\n"))


@pytest.mark.parametrize("given", ["é" * 300, "~no-such-user-here/key"])
def test_a_path_that_the_system_refuses_is_named_with_the_reason(tmp_path: Path, given: str) -> None:
    with pytest.raises(CampaignError, match=r"vps.yaml: '.*is not a path that can be read: ") as refused:
        load_inventory(written(tmp_path, f"consent: true\nhosts: [{{name: n1, address: 203.0.113.1, key: {given}}}]\n"))
    assert len(refused.value.message) < 300
