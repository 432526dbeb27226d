"""Answers of hosts that are nonsense: each is an error of the host, with its name and what it printed, and nothing else fails."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tribulation.harness.deploy.observe import observe
from tribulation.harness.deploy.plan import _foreign_cluster
from tribulation.harness.deploy.wanted import deployed_timing
from tribulation.harness.errors import HostError, TribulationError
from tribulation.harness.hosts.base import CommandResult
from tribulation.harness.hosts.printed import parsed_json
from tribulation.harness.hosts.selection import probe
from tribulation.harness.hosts.ssh import admission, claims, reach
from tribulation.harness.nemesis.agent_client.answers import parsed
from tribulation.harness.nemesis.cluster.following import _line_of
from tribulation.harness.nemesis.kinds.clocks.abilities import sets
from tribulation.harness.run.plan.attached import AttachedService, _config_of, _size_of
from tribulation.harness.systems.reference.system import ReferenceService

HARNESS = Path(__file__).resolve().parents[3] / "harness"
NONSENSE = (
    "", "Last login: Tue", "null", "7", "[1]", "{}", '{"done": 1}', '{"done": false, "found": {"pid": "../.."}}', "[" * 100_000, "9" * 400,
    '{"a": ' + "9" * 5000 + "}", '{"a": NaN}', '{"a": 1e999}', "9" * 5000 + ".1.1", "\x00\x1b[31m", '{"peers": 1, "voters": 2}', '{"nearest": 7, "made": "", "ports": []}',
    '{"done": true, "folders": "x"}', "CapEff:\tzz", "CapEff: " + "f" * 99, "a\nb\nc\nd e f g",
)  # fmt: skip


class Nonsense(SimpleNamespace):
    """Prints the same to everything."""

    def run(self, command: Any, **_: Any) -> CommandResult:
        return CommandResult(0, self.text, "", 0.0)


def _host(text: str) -> Any:
    return Nonsense(
        text=text, name="n1", address="10.0.0.1", directory="/var/tmp/x", python="python3", sudo=(), control=("10.0.0.9", 22), clock="system",
        connection=SimpleNamespace(connect=lambda timeout_s: None), target=SimpleNamespace(where="n1 (10.0.0.1)"),
    )  # fmt: skip


SERVICE = ReferenceService({"cluster": "test"})
ATTACHED = AttachedService({"cluster": "test"})
QUESTIONS = {
    "claim": lambda host: claims.Claims([host], "x")._take_one(host),
    "observe": lambda host: observe(host, SERVICE, [], []),
    "reach": lambda host: reach._dial_others(host, ["10.0.0.2"], 7000),
    "capabilities": probe._privileges,
    "free space": lambda host: probe._disk(Nonsense(**vars(host), put=lambda *_: None)),
    "admit": lambda host: admission.admit(host, 1.0),
    "python": admission.python_version,
    "clock": sets,
    "config": lambda host: _config_of(ATTACHED, host),
    "size": lambda host: _size_of(ATTACHED, host),
    "pid": SERVICE.pid,
    "take over": SERVICE._take_over,
    "kept files": SERVICE.kept_files,
    "kept files, attached": ATTACHED.kept_files,
    "agent": lambda host: parsed("n1", "hello", host.text),
}


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS.keys())
@pytest.mark.parametrize("text", NONSENSE, ids=range(len(NONSENSE)))
def test_nonsense_is_the_hosts_error(text: str, question: Any) -> None:
    try:
        question(_host(text))
    except TribulationError as error:
        assert error.exit_code == 4 and error.hint
        assert len(error.message) < 1000


FACTS = {
    "executable": "/usr/bin/python3",
    "missing": [],
    "nearest": "/",
    "files": {},
    "ports": [],
    "made": "",
    "rules": "",
}
CHAIN = {"family": "inet", "table": "filter", "name": "in", "type": "filter", "hook": "input", "policy": "drop"}


@pytest.mark.parametrize(
    "rules",
    [
        "nonsense",
        "[" * 100_000,
        "[]",
        "{}",
        '{"nftables": 7}',
        '{"nftables": [7]}',
        '{"nftables": [{"rule": {}}]}',
        '{"nftables": [{"rule": {"family": "inet", "table": "t", "chain": "c", "comment": "tribulation: x"}}]}',
        '{"nftables": [{"chain": {"family": []}}]}',
        json.dumps({"nftables": [{"chain": {**CHAIN, "table": 7}}]}),
        json.dumps({"nftables": [{"chain": CHAIN}, {"rule": {**CHAIN, "chain": "in", "expr": 7}}]}),
    ],
)
def test_a_firewall_that_is_nonsense_is_the_hosts_error(rules: str) -> None:
    with pytest.raises(HostError, match=r"printed .* where the state of the host was asked for"):
        observe(_host(json.dumps({**FACTS, "rules": rules})), SERVICE, [], [])


@pytest.mark.parametrize("config", ["[" * 100_000, "[]", "7", '{"timing": ' + "9" * 5000 + "}"])
def test_a_configuration_that_is_nonsense_is_no_bug(config: str) -> None:
    observed = observe(_host(json.dumps({**FACTS, "config": config})), SERVICE, [], [])
    assert deployed_timing([observed]) is None
    assert _foreign_cluster(SimpleNamespace(cluster="c"), observed) is None  # type: ignore[arg-type]


def test_what_is_asked_for_is_named_and_what_was_printed_is_shown() -> None:
    with pytest.raises(
        HostError, match=r"n1: printed 'zzz.*\(999 characters\)' where the size of its trace was asked for\n\nhint: "
    ):
        _size_of(ATTACHED, _host("z" * 999))


def test_numbers_are_of_64_bits() -> None:
    assert parsed_json('{"a": [18446744073709551615, -1.5]}') == {"a": [2**64 - 1, -1.5]}
    for wrong in ("9" * 21, "1e999", "NaN", "-Infinity"):
        with pytest.raises(ValueError):
            parsed_json(wrong)


@pytest.mark.parametrize("address", ["10.0.0.1; drop", "n1", "10.0.0.1%eth0", "", "::1}", 7])
def test_what_goes_into_firewalls_of_others_is_an_address(address: Any) -> None:
    good = {"ok": True, "port": 7, "addresses": ["10.0.0.1", "fe80::1"]}
    assert parsed("n1", "hello", json.dumps(good))["port"] == 7
    for wrong in ({"addresses": [address]}, {"port": 1 << 16}, {"addresses": ["10.0.0.1"] * 65}):
        with pytest.raises(TribulationError, match="without a proper"):
            parsed("n1", "hello", json.dumps({**good, **wrong}))


def test_no_source_reads_a_number_or_json_of_a_command_by_itself() -> None:
    """`understood` stands around what takes an answer apart, and `whole` and `parsed_json` have bounds."""
    found = []
    for path in HARNESS.rglob("*.py"):
        if "agent" in path.relative_to(HARNESS).parts or path.name == "look.py":
            continue  # they run on the host
        for node in ast.walk(ast.parse(path.read_text())):
            reads = isinstance(node, ast.Call) and ast.unparse(node.func) in ("int", "float", "json.loads")
            if reads and any(isinstance(part, ast.Attribute) and part.attr == "stdout" for part in ast.walk(node)):
                found.append(f"{path.relative_to(HARNESS)}:{node.lineno}")
    assert found == []


@pytest.mark.parametrize("text", [text for text in NONSENSE if text.startswith(("[", "{", "9"))])
def test_a_line_of_a_follower_that_is_nonsense_is_no_bug(text: str) -> None:
    """`Following` takes `ValueError` for a host that is off, and every other exception for a bug of this program."""
    with pytest.raises(ValueError):
        _line_of(text)
