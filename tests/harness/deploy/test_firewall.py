"""Rules that let a cluster in: put where something refuses, found again by their comments, and all of them taken away. By nft itself where there is one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest

from tribulation.harness.deploy.firewall import Opening, closing_commands, opening_commands
from tribulation.harness.errors import HostError
from tribulation.harness.hosts.local import launch

OPENINGS = [
    Opening("192.0.2.1", "tcp", 10000),
    Opening("2001:db8::1", "tcp", 10000),
    Opening("192.0.2.1", "udp", 10001),
]


def ruleset(*items: dict[str, object]) -> str:
    return json.dumps({"nftables": [{"metainfo": {}}, *items]})


def chain(
    table: str, policy: str, family: str = "inet", hook: str = "input", kind: str = "filter"
) -> dict[str, object]:
    found = {"family": family, "table": table, "name": "in", "type": kind, "hook": hook, "policy": policy}
    return {"chain": found}


def rule(table: str, *expressions: dict[str, object], family: str = "inet", **more: object) -> dict[str, object]:
    return {"rule": {"family": family, "table": table, "chain": "in", "handle": 4, "expr": list(expressions), **more}}


def test_where_nothing_refuses_nothing_is_opened() -> None:
    assert opening_commands("", OPENINGS) == []
    assert opening_commands(ruleset(chain("filter", "accept")), OPENINGS) == []
    assert opening_commands(ruleset(chain("filter", "drop", hook="forward")), OPENINGS) == []


@pytest.mark.parametrize(
    "refuses",
    [
        [chain("filter", "drop")],
        [chain("filter", "accept"), rule("filter", {"match": {}}, {"drop": None})],
        [chain("filter", "accept"), rule("filter", {"reject": {"type": "icmpx"}})],
        [chain("filter", "accept"), rule("filter", {"jump": {"target": "further"}})],
    ],
)
def test_a_chain_that_may_refuse_gets_a_rule_for_each_source_and_port(refuses: list[dict[str, object]]) -> None:
    assert opening_commands(ruleset(*refuses), OPENINGS) == [
        'insert rule inet filter in ip saddr 192.0.2.1 tcp dport 10000 accept comment "tribulation: 192.0.2.1 tcp 10000"',
        'insert rule inet filter in ip saddr 192.0.2.1 udp dport 10001 accept comment "tribulation: 192.0.2.1 udp 10001"',
        'insert rule inet filter in ip6 saddr 2001:db8::1 tcp dport 10000 accept comment "tribulation: 2001:db8::1 tcp 10000"',
    ]


def test_a_chain_of_one_family_hears_only_of_that() -> None:
    (only,) = opening_commands(ruleset(chain("filter", "drop", family="ip6")), OPENINGS)
    assert only.startswith("insert rule ip6 filter in ip6 saddr 2001:db8::1 ")


def test_faults_go_on_dropping() -> None:
    assert (
        opening_commands(ruleset(chain("tribulation", "accept"), rule("tribulation", {"drop": None})), OPENINGS) == []
    )


def test_only_our_own_rules_are_removed() -> None:
    theirs = rule("filter", {"accept": None}, comment="ours for ever")
    ours = rule("filter", {"accept": None}, comment="tribulation: 192.0.2.1 tcp 10000")
    assert closing_commands(ruleset(theirs, ours)) == ["delete rule inet filter in handle 4"]


@pytest.fixture
def nft() -> Callable[[str], str]:
    """Runs a script with nft in a network namespace of its own that lives as long as the script."""
    try:
        launch.check_programs()
        launch.check_namespaces()
    except HostError as error:
        pytest.skip(str(error))

    def run(script: str) -> str:
        command = launch.isolate("sh", "-euc", script)
        done = subprocess.run(command, env=launch.environment(), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


BASE = """nft -f - <<'END'
table inet filter {
  chain in { type filter hook input priority 0; policy drop; tcp dport 22 accept; }
}
END
"""


def test_nft_takes_them_opens_once_and_is_as_before_afterwards(nft: Callable[[str], str]) -> None:
    before = nft(BASE + "nft -j list ruleset")
    opening = "\n".join(opening_commands(before, OPENINGS))
    opened = nft(f"{BASE}nft -f - <<'END'\n{opening}\nEND\nnft -j list ruleset")
    assert opening_commands(opened, OPENINGS) == [], "a second deployment finds them open"
    closing = "\n".join(closing_commands(opened))
    assert len(closing.splitlines()) == 3
    script = f"{BASE}nft list ruleset; echo ==; nft -f - <<'END'\n{opening}\nEND\nnft -f - <<'END'\n{closing}\nEND\nnft list ruleset"
    found, _, left = nft(script).partition("==\n")
    assert found == left and "policy drop" in found
