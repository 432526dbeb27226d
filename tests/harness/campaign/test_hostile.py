"""Hostile campaigns and inventories: each is refused with its place and a hint, and at once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pydantic import BaseModel

from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.errors import CampaignError
from tribulation.harness.hosts.ssh.inventory import load_inventory
from tribulation.harness.user_files.bounded_model import BoundedModel

GOOD = """\
name: story
hosts: {provider: sim, nodes: 3}
seed: 7
duration: 20s
workloads:
  - register: {keys: 2, clients: 3, rate: 90/m}
faults:
  - partition: {shape: halves, every: 8s, for: 4s}
"""
BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
MANY = "faults:\n" + "  - kill: {target: one, every: 3s, for: 1s, overlap: true}\n" * 201
PARTITION = "  - partition: {shape: halves, every: 8s, for: 4s}\n"

REFUSED = [
    (
        ("rate: 90/m}", "rate: 90/m, levels: {linearisable: 1}}"),
        6,
        "did you mean 'linearizable' instead of 'linearisable'",
    ),
    (("rate: 90/m}", "rate: 90/m, levels: {stale: -1}}"), 6, "the weight of stale is -1"),
    (("duration: 20s", "duration: 99999999999999999999h"), 4, "is more than"),
    (("duration: 20s", "duration: 1001h"), 4, "longer than 1000h"),
    (("duration: 20s", "duration: " + "1h" * 20_000), 4, "is not a valid duration"),
    (("seed: 7", "seed: true"), 3, "valid integer (got True)"),
    (("seed: 7", "seed: '7'"), 3, "valid integer (got '7')"),
    (("seed: 7", "seed: 18446744073709551616"), 3, "64 bits"),
    (("seed: 7", "seed: " + "9" * 100), 3, "64 bits"),
    (("seed: 7", "seed: -1"), 3, "greater than or equal to 0"),
    (("nodes: 3", "nodes: true"), 2, "valid integer (got True)"),
    (("name: story", "name: " + "n" * 300), 1, "at most 64 characters"),
    (("rate: 90/m", "rate: 100000000000000000/s"), 6, "is not between"),
    (("rate: 90/m", "rate: .inf"), 6, "is not between"),
    (("rate: 90/m", "rate: .nan"), 6, "is not between"),
    (("rate: 90/m", "rate: 1e-300"), 6, "is not between"),
    (("keys: 2", "keys: 2, operations: 9999999999999"), 6, "less than or equal to"),
    (("shape: halves, every: 8s, for: 4s", "shape: halves, every: 1ns, for: 1ns"), 7, "more than 100000 starts"),
    ((PARTITION, "  - recovery: {every: 1ns, for: 1ns}\n"), 7, "more than 1000 windows"),
    ((PARTITION, "  - kill: {target: random(99), after: 1s}\n"), 8, "random(99) of 3 nodes"),
    ((PARTITION, "  - kill: {target: random(00), after: 1s}\n"), 8, "random(00)"),
    ((PARTITION, "  - kill: {target: [n9], after: 1s}\n"), 8, "no node 'n9'"),
    ((PARTITION, "  - clock: {target: one, bump: 1000000000000h, after: 1s, for: 1s}\n"), 8, "is more than"),
    ((PARTITION, "  - clock: {target: one, offset: -1000000000000h, after: 1s, for: 1s}\n"), 8, "is more than"),
    ((PARTITION, "  - kill: {target: one, on: leader-elected, for: 1s, times: 9999999}\n"), 8, "less than or equal"),
    ((PARTITION, "  - memory-limit: {target: one, limit: 99999999999GiB, after: 1s}\n"), 8, "is more than"),
    (("faults:\n" + PARTITION, MANY), 7, "at most 200 items"),
    (("faults:\n" + PARTITION, "faults: {swarm: {for: 1ns, rest: 1ns}}\n"), 7, "less than 2s"),
    (("faults:\n" + PARTITION, "faults: all\nsettle: 1s\n"), 7, "less than 2s"),
    (("seed: 7", "checkers: [set, set]"), 3, "named twice"),
    (("seed: 7", "system: {membership: {}, learners: [n1, n2, n3]}"), 3, "no node votes"),
    (("seed: 7", "seed: !!int 7"), 3, "the tag '!!int'"),
    (("seed: 7", "seed: &a [*a]"), 3, "the alias *a"),
    (("seed: 7", BOMB), 14, "more than 10000 values"),
    (("seed: 7", "description: " + "x" * 5000), 3, "at most 4096 characters"),
    (("seed: 7", "x" * 1000 + ": 1"), 3, "unknown field"),
    (("seed: 7", "\n".join(f"k{n}: 1" for n in range(400))), 3, "and 380 more"),
    (("seed: 7", "system: {voters: {n1: 99999999999999999999999}}"), 3, "64 bits"),
    (("seed: 7", "system: {snapshot_threshold: 99999999999999}"), 3, "less than or equal to"),
    (("seed: 7", "final: 1ns\nsettle: 99999h"), 4, "longer than 1000h"),
    (("name: story\n", "- name\n"), 2, "not valid YAML"),
]


def refusal(path: Path, overrides: tuple[str, ...] = ()) -> str:
    begun_s = time.process_time()
    with pytest.raises(CampaignError) as caught:
        load_campaign(path, overrides)
    assert time.process_time() - begun_s < 1.0
    assert caught.value.hint and len(str(caught.value)) < 10_000
    return caught.value.message


@pytest.mark.parametrize(("change", "line", "what"), REFUSED, ids=[f"{case[0][1][:50]}" for case in REFUSED])
def test_each_is_refused_with_its_line_and_a_hint(tmp_path: Path, change: tuple[str, str], line: int, what: str):
    path = tmp_path / "story.yaml"
    path.write_text(GOOD.replace(*change))
    assert path.read_text() != GOOD
    message = refusal(path)
    assert what in message
    assert f"{path}:{line}: " in message


OVERRIDES = [
    ("duration=[", "--set duration: the value '[' is not valid YAML"),
    ("duration=" + "[" * 100_000, "--set duration: the value '[[["),
    ("duration=!!python/name:os.system x", "--set duration: the value '!!python/name:os.system x' is the tag"),
    ("duration=&a [*a]", "--set duration: the value '&a [*a]' is the alias *a"),
    ("seed=" + "9" * 5000, "--set seed: the value"),
    ("duration=soon", "--set duration: duration: 'soon' is not a valid duration"),
    ("hosts.nodes=99", "--set hosts.nodes: hosts.nodes: "),
    ("nodes=3", "--set nodes: nodes: unknown field"),
    ("faults.partition.for=9s", "story.yaml:8 with --set faults.partition.for: faults[0]"),
    ("faults.0.partition.every=1ns", "with --set faults.0.partition.every"),
    ("duration=1s", "story.yaml:7 with --set duration: these faults cannot be scheduled"),
    (".".join("a" * 2000) + "=1", "there is no field"),
    ("faults.0.0.x=1", "faults[0]"),
    ("faults.partition=x", "--set faults.partition: faults[0].partition"),
    ("workloads.0.register.0=1", "--set workloads.0.register.0: workloads[0].register.0: "),
    ("name.x.y=1", "--set name.x.y: 'name' is a value"),
    ("=1", "is not key=value"),
    ("...=1", "unknown field"),
    ("faults=[a0]", "--set faults: faults[0]"),
]


@pytest.mark.parametrize(("given", "what"), OVERRIDES, ids=[case[0][:40] for case in OVERRIDES])
def test_the_option_is_blamed_for_what_it_says_wrong(tmp_path: Path, given: str, what: str):
    path = tmp_path / "story.yaml"
    path.write_text(GOOD)
    assert what in refusal(path, (given,))


def test_an_override_of_an_aliased_value_changes_that_one_alone(tmp_path: Path):
    path = tmp_path / "story.yaml"
    path.write_text(
        GOOD.replace("keys: 2,", "bursts: &b {every: 9s, for: 1s, rate: 9/s},") + "  - kill: {target: one, after: 1s}\n"
    )
    text = path.read_text().replace(
        "  - register", "  - set: {bursts: &s {every: 9s, for: 1s, rate: 900/s}}\n  - register"
    )
    path.write_text(text.replace("&b {every: 9s, for: 1s, rate: 9/s}", "*s"))
    specs = load_campaign(path, ["workloads.register.bursts.for=2s"]).workload_specs
    assert [specs[name].bursts.for_ns for name in ("set", "register")] == [10**9, 2 * 10**9]


def test_mistakes_of_names_and_of_fields_are_reported_together(tmp_path: Path):
    path = tmp_path / "story.yaml"
    path.write_text(
        GOOD.replace("seed: 7", "seed: x\ncheckers: [sett]\nsystem: {flaws: [none]}").replace("keys", "keyz")
    )
    message = refusal(path)
    for line, what in ((3, "seed: "), (4, "checkers[0]: no checker 'sett'"), (5, "no flaw 'none'"), (8, "keyz")):
        assert f":{line}: " in message and what in message


INVENTORIES = [
    ("root:x:0:0:root:/root:/bin/bash\n" * 2000, "document: "),
    ("consent: true\nhosts: &h [*h]\n", "the alias *h"),
    (f"consent: true\nhosts: [{{name: {'n' * 300}, address: 10.0.0.1}}]\n", "name"),
    ("consent: true\nhosts: [{name: n1, address: 10.0.0.1, port: true}]\n", "valid integer"),
    ("consent: true\nhosts: [{name: n1, address: 10.0.0.1, login_timeout: 9999999h}]\n", "is more than"),
]


@pytest.mark.parametrize(("text", "what"), INVENTORIES, ids=[case[1] for case in INVENTORIES])
def test_what_is_no_inventory_is_refused_and_never_printed_whole(tmp_path: Path, text: str, what: str):
    path = tmp_path / "hosts.yaml"
    path.write_text(text)
    with pytest.raises(CampaignError) as caught:
        load_inventory(path)
    assert what in caught.value.message and str(path) in caught.value.message
    assert len(str(caught.value)) < 2000


def test_every_model_of_what_users_write_has_bounds():
    below, models = [BaseModel], []
    while below:
        models += (made := [each for model in below for each in model.__subclasses__()])
        below = made
    ours = [model for model in models if model.__module__.startswith("tribulation.harness.")]
    assert len(ours) > 30 and [model for model in ours if not issubclass(model, BoundedModel)] == []


def test_the_command_exits_2_with_place_and_hint(tmp_path: Path):
    good, pipe = tmp_path / "story.yaml", tmp_path / "pipe.yaml"
    good.write_text(GOOD)
    os.mkfifo(pipe)
    for words, place in (
        ([str(good), "--set", "duration=["], "--set duration: "),
        ([str(good), "--hosts", str(pipe)], f"{pipe}: cannot be read: it is a pipe"),
    ):
        command = [sys.executable, "-m", "tribulation.harness.cli", "run", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert place in done.stderr.replace("\n", "") and "hint:" in done.stderr
