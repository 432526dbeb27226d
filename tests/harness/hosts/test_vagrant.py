"""The vagrant provider without machines: what Vagrant says is understood, and what is missing is reported. A stand-in `vagrant` says it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tribulation.harness.errors import HostError
from tribulation.harness.hosts.ssh.inventory import load_inventory
from tribulation.harness.hosts.ssh.vagrant import (
    Described,
    Login,
    VagrantProvider,
    find_vagrantfile,
    parse_described,
    parse_ssh_config,
    parse_status,
)

SSH_CONFIG = """\
Host n1
  HostName 192.168.121.7
  User vagrant
  Port 22
  UserKnownHostsFile /dev/null
  StrictHostKeyChecking no
  PasswordAuthentication no
  IdentityFile "/srv/my project/.vagrant/machines/n1/libvirt/private_key"
  IdentitiesOnly yes
  LogLevel FATAL

Host n2
  HostName 127.0.0.1
  User admin
  Port 2200
  IdentityFile /keys/n2
"""
STATUS = """\
1700000000,n1,metadata,provider,libvirt
1700000000,n1,provider-name,libvirt
1700000000,n1,state,running
1700000000,n1,state-human-short,running
1700000000,n2,state,not_created
1700000000,,ui,info,Current machine states:
"""
DESCRIBED = "10.78.0.11\nssh-ed25519 AAAAC3Nz root@n1\necdsa-sha2-nistp256 AAAAE2 root@n1\n"


def test_logins_are_read_from_openssh_configuration() -> None:
    assert parse_ssh_config(SSH_CONFIG, ["n2", "n1"]) == [
        Login("n2", "admin", "/keys/n2"),
        Login("n1", "vagrant", "/srv/my project/.vagrant/machines/n1/libvirt/private_key"),
    ]


def test_a_machine_that_vagrant_does_not_report_is_named() -> None:
    with pytest.raises(HostError, match="n3") as caught:
        parse_ssh_config(SSH_CONFIG, ["n1", "n3"])
    assert caught.value.hint == "vagrant up n3"


def test_states_by_machine() -> None:
    assert parse_status(STATUS) == {"n1": "running", "n2": "not_created"}


def test_a_machine_reports_its_address_and_its_keys() -> None:
    assert parse_described("n1", DESCRIBED) == Described(
        "10.78.0.11", ["ssh-ed25519 AAAAC3Nz", "ecdsa-sha2-nistp256 AAAAE2"]
    )


@pytest.mark.parametrize("text", ["", "10.78.0.11\n", "ssh-ed25519 AAAA root@n1\n", "cat: no such file"])
def test_a_machine_of_another_vagrantfile_is_refused(text: str) -> None:
    with pytest.raises(HostError, match="n1 does not report") as caught:
        parse_described("n1", text)
    assert "vagrant provision n1" in str(caught.value.hint)


def test_the_nearest_vagrantfile_counts(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert find_vagrantfile(tmp_path / "a" / "b") == Path(__file__).parents[3]
    (tmp_path / "a" / "Vagrantfile").write_text("")
    assert find_vagrantfile(tmp_path / "a" / "b") == tmp_path / "a"


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a Vagrantfile, and a `vagrant` that answers from files in it and writes down what it was asked."""
    (tmp_path / "Vagrantfile").write_text("")
    (tmp_path / "bin").mkdir()
    vagrant = tmp_path / "bin" / "vagrant"
    vagrant.write_text(
        '#!/bin/sh\necho "TRI_NODES=$TRI_NODES $*" >>asked\n'
        'case $1 in up) sed -i s/not_created/running/ status;; ssh) sed "s/0[.]11$/0.1${2#n}/" ssh;; *) cat "$1" 2>/dev/null || { echo "no $1" >&2; exit 1; };; esac\n'
    )
    vagrant.chmod(0o755)
    for name, text in {"status": STATUS, "ssh-config": SSH_CONFIG, "ssh": DESCRIBED}.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.delenv("TRI_NODES", raising=False)
    # What follows is the ssh provider's, which has tests of its own.
    monkeypatch.setattr("tribulation.harness.hosts.ssh.provider.SshProvider.up", lambda self: ())
    return tmp_path


def test_missing_machines_are_brought_up_and_kept_as_an_inventory(machines: Path) -> None:
    provider = VagrantProvider(nodes=2, directory=machines, clock="system")
    provider.up()
    asked = (machines / "asked").read_text().splitlines()
    assert "TRI_NODES=2 up n1 n2" in asked and "TRI_NODES=2 ssh-config n1 n2" in asked
    inventory = load_inventory(provider.inventory)
    assert [(host.name, host.user, host.sudo, host.clock) for host in inventory.hosts] == [
        ("n1", "vagrant", True, "system"),
        ("n2", "admin", True, "system"),
    ]
    assert inventory.known_hosts is not None
    assert "10.78.0.11 ssh-ed25519 AAAAC3Nz" in inventory.known_hosts.read_text().splitlines()


def test_without_a_number_those_that_run_are_taken(machines: Path) -> None:
    provider = VagrantProvider(directory=machines)
    provider.up()
    assert [host.name for host in load_inventory(provider.inventory).hosts] == ["n1"]
    assert " up" not in (machines / "asked").read_text()


def test_none_running_is_reported_with_what_to_do(machines: Path) -> None:
    (machines / "status").write_text(STATUS.replace("state,running", "state,shutoff"))
    with pytest.raises(HostError, match=r"no machine of .* is running") as caught:
        VagrantProvider(directory=machines).up()
    assert caught.value.hint == "vagrant up"


def test_what_vagrant_refuses_is_reported(machines: Path) -> None:
    (machines / "status").unlink()
    with pytest.raises(HostError, match="`vagrant status --machine-readable` exited with 1: no status"):
        VagrantProvider(directory=machines).up()


def test_without_vagrant_there_is_a_hint(machines: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(machines))
    with pytest.raises(HostError, match="vagrant is not installed") as caught:
        VagrantProvider(directory=machines).up()
    assert "apt install vagrant" in str(caught.value.hint)


def test_what_vagrant_says_in_another_encoding_is_read(machines: Path) -> None:
    (machines / "status").write_bytes(STATUS.encode() + "1,n1,ui,über\n".encode("latin-1"))
    VagrantProvider(directory=machines).up()
    (machines / "status").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(HostError, match="no machine"):
        VagrantProvider(directory=machines).up()


def test_a_vagrant_that_prints_without_end_is_ended(machines: Path) -> None:
    """It held `tri doctor` for minutes, and all that it printed was kept."""
    program = machines / "bin" / "vagrant"
    program.write_text("#!/bin/sh\nexec yes\n")
    with pytest.raises(HostError, match="output"):
        VagrantProvider(2, machines).up()
