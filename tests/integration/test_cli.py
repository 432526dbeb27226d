"""The command's manners: exit codes, errors with hints, one JSON document on stdout."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from tribulation.harness.cli.main import COMMANDS, cli


def test_help_names_every_command(tri):
    ended = tri("--help")
    assert ended.exit_code == 0
    assert all(name in ended.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name):
    ended = CliRunner().invoke(cli, [name, "--help"])
    assert ended.exit_code == 0 and "Usage" in ended.output


def test_a_bad_campaign_is_refused_with_everything_at_once_and_nothing_is_made(tri, tmp_path: Path):
    path = tmp_path / "bad.yaml"
    path.write_text("name: bad\nduration: 5\nworkloads:\n  - register: {keyz: 3}\nfaultz: []\n")
    ended = tri("run", str(path))
    assert ended.exit_code == 2
    for place in (f"{path}:2", f"{path}:4", f"{path}:5", "hint:"):
        assert place in ended.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "no-such.yaml"), "no-such.yaml"),
        (("check", "no-such-folder"), "no-such-folder"),
        (("check", ".", "--checker", "linearisable"), "did you mean 'linearizable'"),
        (("list", "nonsense"), "nonsense"),
        (("run",), "CAMPAIGN"),
        (("doctor", "--hosts", "nowhere"), "nowhere"),
    ],
)
def test_usage_errors_exit_2_and_name_the_value(tri, words, said):
    ended = tri(*words)
    assert ended.exit_code == 2
    assert said in ended.stderr and "Traceback" not in ended.stderr


@pytest.mark.parametrize("what", ["campaigns", "workloads", "faults", "checkers", "flaws", "runs"])
def test_lists_are_json_documents_too(tri, what):
    document = tri("list", what, "--json").document
    assert what == "runs" or (document and all(row["name"] and row["about"] for row in document))


def test_check_judges_a_bare_history(tri, tmp_path: Path):
    history = tmp_path / "history.jsonl"
    lines = [
        '{"index":0,"time":0,"process":0,"type":"invoke","f":"write","key":"k","value":1}',
        '{"index":1,"time":1,"process":0,"type":"ok","f":"write","key":"k","value":1}',
        '{"index":2,"time":2,"process":1,"type":"invoke","f":"read","key":"k","value":null}',
        '{"index":3,"time":3,"process":1,"type":"ok","f":"read","key":"k","value":null}',
    ]
    history.write_text("\n".join(lines) + "\n")
    ended = tri("check", str(history), "--checker", "linearizable", "--json")
    assert ended.exit_code == 1
    (anomaly,) = ended.document["checkers"]["linearizable"]["anomalies"]
    assert anomaly["kind"] in ("stale-read", "lost-write")
    assert set(anomaly["ops"]) <= {0, 1, 2, 3}
    history.write_text("\n".join([*lines[:2], "not json", *lines[2:]]) + "\n")
    ended = tri("check", str(history))
    assert ended.exit_code == 2 and f"{history}:3" in ended.stderr


def test_a_run_says_little_before_its_result_and_the_whole_plan_only_when_asked(tri, tmp_path: Path):
    path = tmp_path / "small.yaml"
    path.write_text("name: small\nduration: 1s\nhosts: {provider: sim, nodes: 3}\nworkloads: [{register: {}}]\n")
    said = {word: tri("run", str(path), "--seed", "3", *word.split()).stderr for word in ("", "-q", "-v")}
    assert said["-q"] == ""
    assert "needs no root · 3 simulated nodes" in said[""]
    # The first two lines name the campaign's file.
    assert max(map(len, said[""].splitlines()[2:])) < 100 and "{" not in said[""]
    assert '"intents":' in said["-v"] and "latency_min_ns=" in said["-v"]


def test_quiet_and_verbose_exclude_each_other(tri):
    ended = tri("run", "quickstart", "-q", "-v")
    assert ended.exit_code == 2 and "--quiet and --verbose" in ended.stderr


def test_a_run_is_written_for_a_ci_server(tri, tmp_path: Path):
    path, junit = tmp_path / "small.yaml", tmp_path / "junit.xml"
    path.write_text("name: small\nduration: 1s\nhosts: {provider: sim, nodes: 3}\nworkloads: [{register: {}}]\n")
    assert tri("run", str(path), "--seed", "3", "--junit", str(junit)).exit_code == 0
    assert 'testcase classname="tribulation.small" name="linearizable"' in junit.read_text()


def test_a_run_moves_to_another_folder_with_its_verdict(tri, tmp_path: Path):
    path, packed = tmp_path / "small.yaml", tmp_path / "run.tar.gz"
    path.write_text("name: small\nduration: 1s\nhosts: {provider: sim, nodes: 3}\nworkloads: [{register: {}}]\n")
    ran = tri("run", str(path), "--seed", "3", "--json")
    assert tri("export", ran.document["run"], str(packed)).exit_code == 0
    there = tri("import", str(packed), "--runs", str(tmp_path / "there")).stdout.strip()
    judged = tri("check", there, "--json")
    assert (judged.exit_code, judged.document["verdict"]) == (0, ran.document["verdict"])
    assert tri("import", str(path)).exit_code == 2
