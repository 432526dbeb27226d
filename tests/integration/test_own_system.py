"""Another system under test is one Python file: on real local hosts, over SSH, with faults that its clients feel."""

from __future__ import annotations

CAMPAIGN = "tests/systems/register-server.yaml"


def test_a_system_from_a_file_is_deployed_cut_off_paused_and_found_linearizable(tri):
    ended = tri("run", CAMPAIGN, "--json", "--set", "checks=[linearizable, availability]")
    assert ended.exit_code == 0, ended.stderr
    document = ended.document
    assert document["verdict"] == "valid" and document["expected"]
    assert [(fault["kind"], fault["verified"]) for fault in document["faults"]] == [("cut", True), ("pause", True)]
    assert document["ops"]["ok"] > 200
    assert document["ops"]["info"] + document["ops"]["fail"] > 0, "the faults were felt"


def test_its_planted_bug_is_found(tri):
    ended = tri(
        "run", CAMPAIGN, "--json", "--set", "system.options={stale: true}", "--set", "load=7s", "--set", "faults=[]"
    )
    assert ended.exit_code == 1, ended.stderr
    anomalies = ended.document["checkers"]["linearizable"]["anomalies"]
    assert anomalies and 2 <= len(anomalies[0]["ops"]) <= 6 and anomalies[0]["explanation"]
