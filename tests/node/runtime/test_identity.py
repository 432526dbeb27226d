"""The name in a certificate is one name: no two identities share it, and nothing else is taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.node.runtime.security.identity import Identity, identity_of, parse

NAMES = st.text(min_size=1, max_size=20).filter(lambda text: not any(0xD800 <= ord(sign) < 0xE000 for sign in text))
IDENTITIES = st.builds(Identity, NAMES, st.sampled_from(["node", "client"]), NAMES)


@given(IDENTITIES, IDENTITIES)
def test_a_name_is_read_back_and_differs_where_the_identity_does(one: Identity, other: Identity) -> None:
    assert parse(one.uri) == one
    assert one.uri.isascii()
    assert (one.uri == other.uri) == (one == other)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "https://example.org",
        "tribulation:c:node",
        "tribulation:c:node:n1:n2",
        "tribulation:c:admin:n1",
        "tribulation:c:node:",
        "tribulation:c:node:%6e1",
        "Tribulation:c:node:n1",
    ],
)
def test_what_is_no_such_name_is_nobody(uri: str) -> None:
    assert parse(uri) is None


def test_a_certificate_with_two_names_is_nobodys() -> None:
    one, two = (("URI", f"tribulation:c:node:{name}") for name in ("n1", "n2"))
    assert identity_of({"subjectAltName": (one, ("DNS", "n1"), ("URI", "https://example.org"))}) == Identity(
        "c", "node", "n1"
    )
    assert identity_of({"subjectAltName": (one, two)}) is None
    assert identity_of({"subject": ()}) is None
    assert identity_of(None) is None
