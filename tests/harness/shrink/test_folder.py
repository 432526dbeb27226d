"""`tri shrink` of a simulated run, from its folder to a smaller one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.cli.main import main
from tribulation.harness.errors import CampaignError
from tribulation.harness.failures.signature import Signature
from tribulation.harness.run.outcome.verdict import judge
from tribulation.harness.run.settings import Settings
from tribulation.harness.run.simulated import run_in_simulator
from tribulation.harness.shrink.corpus import find_again, read_entry
from tribulation.harness.shrink.folder import choose, read_recorded, read_source

CAMPAIGN = """
name: small
hosts: {provider: sim, nodes: 3}
system: {flaws: [FLAW]}
seed: 3
duration: 3s
settle: 500ms
workloads:
  - register: {keys: 2, clients: 4, rate: 60/s}
faults:
  - partition: {shape: leader-minority, after: 1s, for: 1500ms}
  - kill: {target: follower, after: 300ms, for: 200ms}
"""


def run(folder: Path, flaw: str) -> Path:
    path = folder / "small.yaml"
    path.write_text(CAMPAIGN.replace("FLAW", flaw), encoding="utf-8")
    settings = Settings("tri run small.yaml", folder, folder / "runs", lambda phase, detail: None)
    return Path(run_in_simulator(load_campaign(path), settings).document["run"])


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("failing"), "ack-before-majority")


def tri(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    reported = capsys.readouterr()
    return int(ended.value.code or 0), reported.out, reported.err


def test_a_shrunk_run_is_a_run_that_says_how_it_came_about(
    failing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, printed, _ = tri(
        capsys, "shrink", str(failing), "--failure", "linearizable", "--runs", str(tmp_path), "--json",
        "--add-to-corpus", "small", "--corpus", str(tmp_path / "corpus"),
    )  # fmt: skip
    assert code == 0
    reported = json.loads(printed)
    small = Path(reported["run"])
    assert small.parent == tmp_path / "small"
    written = json.loads((small / "shrink.json").read_text(encoding="utf-8"))
    assert written.items() <= reported.items()
    assert reported["signature"]["checker"] == "linearizable" and reported["source"] == str(failing.resolve())
    assert reported["one_minimal"] and reported["after"]["faults"] == 1 < reported["before"]["faults"]
    assert reported["after"]["operations"] <= 4 and reported["before"]["operations"] > 100
    assert reported["stability"]["repeats"] == [3, 3] and reported["stability"]["without_flaws"] is False
    judged = judge(small)
    assert judged.document["verdict"] == "invalid"
    page = (small / "report.html").read_text(encoding="utf-8")
    assert "What happens" in page and "partition leader-minority" in page
    campaign = load_campaign(small / "campaign.yaml")
    assert "faults and operations are those of plan.json" in campaign.description
    assert campaign.hosts.nodes == 3
    assert tri(capsys, "replay", str(small))[0] == 0
    kept = read_entry(tmp_path / "corpus" / "small")
    assert kept.signature.checker == "linearizable" and kept.flaws == ("ack-before-majority",)
    assert find_again(kept) is not None


def test_without_an_allowance_what_was_reached_is_reported(
    failing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, printed, _ = tri(capsys, "shrink", str(failing), "--tries", "5", "--runs", str(tmp_path))
    assert code == 0
    assert "5 runs in" in printed and "the time ended before everything was tried" in printed
    assert "everything is healed" in printed and "before" in printed


def test_a_run_that_did_not_fail_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    passing = run(tmp_path, "")
    code, _, said = tri(capsys, "shrink", str(passing))
    assert code == 2 and "did not fail" in said and "hint:" in said


def test_a_failure_that_is_not_there_is_refused_with_those_that_are(
    failing: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, said = tri(capsys, "shrink", str(failing), "--failure", "queue/lost")
    assert code == 2 and "'queue/lost'" in said and "linearizable/" in said


def test_a_run_that_fails_no_more_is_unknown(failing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As when the core was fixed meanwhile: here its plan lost the flaw."""
    for path in failing.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    text = (tmp_path / "plan.json").read_text(encoding="utf-8")
    (tmp_path / "plan.json").write_text(text.replace('"ack-before-majority"', ""), encoding="utf-8")
    code, _, said = tri(capsys, "shrink", str(tmp_path), "--failure", "linearizable")
    assert code == 3 and "when it is repeated" in said


def test_a_plan_alone_is_enough(failing: Path, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_bytes((failing / "plan.json").read_bytes())
    alone, whole = read_source(tmp_path), read_source(failing)
    assert alone.signatures() == whole.signatures()
    assert alone.size() == whole.size()
    wanted = alone.signatures()[0]
    assert alone.clue(wanted) == whole.clue(wanted)


def test_a_failure_is_chosen_by_checker_kind_or_both() -> None:
    found = [Signature("linearizable", "stale-read", "a"), Signature("set", "lost-write"), Signature("quorum", "Q1")]
    assert choose(found, None, "r").checker == "linearizable"
    assert choose(found, "set", "r").kind == "lost-write"
    assert choose(found, "Q1", "r").checker == "quorum"
    assert choose(found, "set/lost-write", "r").checker == "set"
    with pytest.raises(CampaignError, match="did not fail: there is no failure to look for"):
        choose([], None, "r")


def test_a_spoilt_verdict_is_refused_with_its_place(failing: Path, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_bytes((failing / "plan.json").read_bytes())
    (tmp_path / "verdict.json").write_text("{}", encoding="utf-8")
    with pytest.raises(CampaignError, match=r"verdict\.json: not a verdict"):
        read_recorded(tmp_path)


@pytest.mark.parametrize(
    ("place", "value", "wrong"),
    [
        (("checkers",), ["nope"], "no checker 'nope'"),
        (("checker_options",), {"linearizable": {"x": 1}}, "has no option 'x'"),
        (("system", "flaws"), ["no-such"], "no flaw 'no-such'"),
    ],
)
@pytest.mark.parametrize("command", [("shrink",), ("explain",), ("replay",), ("replay", "--tier", "c")])
def test_a_plan_that_cannot_be_carried_out_is_refused_and_not_unknown(
    failing: Path,
    tmp_path: Path,
    place: tuple[str, ...],
    value: object,
    wrong: str,
    command: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each trial of it counted as one that fails otherwise."""
    shutil.copytree(failing, tmp_path / "run")
    path = tmp_path / "run" / "plan.json"
    plan = json.loads(path.read_text(encoding="utf-8"))
    within = plan["options"]
    for name in place[:-1]:
        within = within[name]
    within[place[-1]] = value
    path.write_text(json.dumps(plan), encoding="utf-8")
    code, _, said = tri(capsys, *command, str(tmp_path / "run"))
    assert code == 2 and wrong in said
