"""Names, addresses and bastions as people write them; what is none is refused with what to write instead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.harness.hosts.ssh.places import Jump, at_peers, beside_port, normal, place


@given(st.ip_addresses(), st.integers(1, 65535), st.sampled_from([None, "ops", "a.b-c"]))
def test_a_bastion_is_read_back_as_it_is_shown(address: object, port: int, user: str | None) -> None:
    jump = Jump(str(address), port, user)
    assert Jump.parse(str(jump)) == jump
    assert place(f"[{address}]") == place(str(address)) == str(address)
    assert normal(f"[{address}]") == normal(str(address).upper())


def test_a_bastion_without_a_port_or_a_user() -> None:
    assert Jump.parse("gate.example") == Jump("gate.example", 22, None)
    assert Jump.parse("ops@[2001:db8::1]") == Jump("2001:db8::1", 22, "ops")
    assert (beside_port("gate", 22), beside_port("::1", 22)) == ("gate:22", "[::1]:22")


@pytest.mark.parametrize("text", ["", "a b", "root@gate", "gate:22", "10.0.0.256", "fd78:::1", "[gate]", "1.2.3", "-x"])
def test_no_places(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a host name or an IP address|not an IP address"):
        place(text)


@pytest.mark.parametrize("text", ["gate:0", "gate:65536", "a@b@c", "fd78::1", "ops@", "gate:ssh", "a,b"])
def test_no_bastions(text: str) -> None:
    with pytest.raises(ValueError):
        Jump.parse(text)


@pytest.mark.parametrize("text", ["fe80::1", "::", "0.0.0.0", "224.0.0.1", "ff02::1"])
def test_addresses_that_mean_no_one_machine(text: str) -> None:
    with pytest.raises(ValueError, match="address"):
        at_peers(text)


def test_two_spellings_of_one_place() -> None:
    assert normal("[FD78:0::1]") == normal("fd78::1") and normal("Gate.Example.") == normal("gate.example")
