"""Words that changed after version 0.1: refused with the new one, rewritten by `tri upgrade`, and still read in the folders of its runs."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.checkers.registry import CHECKERS
from tribulation.checkers.registry import RENAMED as OLD_CHECKERS
from tribulation.harness.campaign.load import load_campaign, load_recorded
from tribulation.harness.campaign.upgrade import upgraded
from tribulation.harness.cli.main import main
from tribulation.harness.errors import CampaignError
from tribulation.harness.failures.folder import read_plan
from tribulation.harness.nemesis.specs.specs import FAULT_NAMES
from tribulation.harness.report import write_report
from tribulation.harness.report.load import load_run
from tribulation.harness.run.outcome.verdict import judge
from tribulation.harness.run.plan.build import make_plan
from tribulation.harness.run.simulated import simulate
from tribulation.harness.shrink.folder import read_source
from tribulation.harness.user_files.renamed import (
    CAMPAIGN,
    FAULTS,
    PLAN,
    SCHEMA,
    SCHEMA_VERSION,
    VERDICT,
    UnknownVersion,
    current,
    old_words,
    renewed,
    written,
)

RUN = Path(__file__).parent / "version_0_1"
"""A run of version 0.1 in the simulator, and the campaign as it was written for it (`written.yaml`)."""

BASE = "name: old\nworkloads: [register: {}]\n"
SPELLINGS = [
    ("load: 20s", "load", "duration"),
    ("quiet: 1s", "quiet", "settle"),
    ("checks: [set]", "checks", "checkers"),
    ("check_time: 20s", "check_time", "checker_timeout"),
    ("check_options: {max_recovery_s: 5}", "check_options", "checker_options"),
    ("system: {membership: {}, discover: true}", "discover", "peer_discovery"),
    ("faults: [power: {target: one, after: 1s}]", "power", "power-loss"),
    ("faults: [cpu: {target: one, share: 10%, after: 1s}]", "cpu", "cpu-limit"),
    ("faults: [memory: {target: one, limit: 24MiB, after: 1s}]", "memory", "memory-limit"),
    ("faults: [descriptors: {target: one, limit: 8, after: 1s}]", "descriptors", "fd-limit"),
    ("faults: [clock: {target: one, jump: 1s, after: 1s}]", "jump", "bump"),
    ("faults: {swarm: {without: [power]}}", "power", "power-loss"),
    ("faults: [all: {kinds: [kill, jump]}]", "jump", "bump"),
    ("checkers: [fencing]", "fencing", "fenced-mutex"),
    ("checkers: [append-list]", "append-list", "list"),
]


def saved(folder: Path, text: str) -> Path:
    path = folder / "old.yaml"
    path.write_bytes(text.encode())
    return path


def tri(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return int(ended.value.code or 0)


@pytest.mark.parametrize(("line", "old", "new"), SPELLINGS)
def test_an_old_word_is_refused_with_its_place_and_the_new_one(line: str, old: str, new: str, tmp_path: Path) -> None:
    path = saved(tmp_path, f"{BASE}{line}\n")
    with pytest.raises(CampaignError) as refused:
        load_campaign(path)
    assert "old.yaml:3: " in refused.value.message and f"`{old}` is now `{new}`" in refused.value.message
    assert len(refused.value.message.splitlines()) == 1, "nothing else is said of words that are gone"
    assert refused.value.hint == f"`tri upgrade {path}` rewrites a campaign and keeps its comments"
    text, found = upgraded(path.read_text(), path)
    assert [(one.old, one.new) for one in found] == [(old, new)]
    assert text == BASE + line.replace(old, new, 1) + "\n"
    load_campaign(saved(tmp_path, text))


def test_every_word_of_the_table_is_known_today_and_no_old_one_is() -> None:
    assert set(FAULTS.values()) <= set(FAULT_NAMES) and not set(FAULTS) & set(FAULT_NAMES)
    assert set(OLD_CHECKERS.values()) <= set(CHECKERS) and not set(OLD_CHECKERS) & set(CHECKERS)
    spelt = {old for _, old, _ in SPELLINGS}
    assert {path.rpartition(".")[2] for path in CAMPAIGN.keys} | set(OLD_CHECKERS) <= spelt, (
        "each is in the table above"
    )


@pytest.mark.parametrize(
    ("given", "new"),
    [
        ("load=5s", "duration"),
        ("system.discover=true", "peer_discovery"),
        ("faults.0.clock.jump=1s", "bump"),
        ("faults.power.after=1s", "power-loss"),
        ("check_options.max_recovery_s=1", "checker_options"),
    ],
)
def test_an_old_word_of_an_option_is_blamed_on_the_option(given: str, new: str, tmp_path: Path) -> None:
    path = saved(tmp_path, f"{BASE}faults: [kill: {{target: one, after: 1s}}]\n")
    with pytest.raises(CampaignError, match=rf"--set {re.escape(given.partition('=')[0])}: `\w+` is now `{new}`"):
        load_campaign(path, [given])
    with pytest.raises(CampaignError, match=r"--set faults: .*`power` is now `power-loss`"):
        load_campaign(path, ["faults=[power: {target: one, after: 1s}]"])


LAYOUT = (
    "# load: of a comment stays\r\n"
    'name: old   # and load: 3s here\n"load" : 3s\n'
    "workloads:\n- memory: {clients: 2}   # a workload of that name\n- register:\n    keys: 1\n\n\n"
    "faults:\n- {memory: {target: one, limit: 24MiB,   after: 1s, name: memory}}\n"
    "- clock:\n    jump:    500ms # jump\n    target: one\n    after: 2s\n"
    "system: {memory: {}}\n'checks':   [ 'append-list' , linearizable,]\n"
)


def test_comments_layout_and_the_same_words_elsewhere_stay_byte_for_byte(tmp_path: Path) -> None:
    text, found = upgraded(LAYOUT, "old.yaml")
    expected = LAYOUT.replace('"load"', '"duration"').replace("{memory: {target", "{memory-limit: {target")
    expected = (
        expected.replace("jump:  ", "bump:  ").replace("'checks'", "'checkers'").replace("'append-list'", "'list'")
    )
    assert text == expected and len(found) == 5
    assert upgraded(text, "old.yaml") == (text, [])
    load_campaign(saved(tmp_path, text))


@given(st.text(alphabet="abc #:é'\"\t", max_size=20), st.sampled_from(["\n", "\r\n"]))
def test_whatever_a_comment_says_it_stays(comment: str, end: str) -> None:
    text = f"#{comment}{end}name: a # {comment}{end}load: 3s{end}workloads: [register: {{}}]{end}"
    assert upgraded(text, "old.yaml")[0] == text.replace("load: 3s", "duration: 3s")


def test_an_old_word_beside_its_new_one_is_refused() -> None:
    with pytest.raises(CampaignError, match=r"duplicate key"):
        upgraded("name: a\nload: 3s\nduration: 4s\n", "old.yaml")


def test_the_command_rewrites_files_and_only_looks_with_check(tmp_path: Path) -> None:
    path = tmp_path / "old.yaml"
    shutil.copy(RUN / "written.yaml", path)
    before = path.read_bytes()
    assert tri("upgrade", "--check", str(path)) == 1 and path.read_bytes() == before
    assert tri("upgrade", str(path)) == 0 and path.read_bytes() != before
    assert tri("upgrade", "--check", str(path)) == 0
    assert path.read_bytes().startswith(b"# A campaign in the words of 0.1.\n")


@pytest.mark.parametrize(
    ("words", "new"),
    [
        (["search", "quickstart", "--zoo"], "--zoo is now --all-flaws"),
        (["search", "quickstart", "--keep", "0"], "--keep is now --folders"),
        (["replay", str(RUN), "--keep"], "--keep is now --save"),
        (["shrink", str(RUN), "--keep", "name"], "--keep is now --add-to-corpus"),
    ],
)
def test_an_old_option_is_refused_with_the_new_one(
    words: list[str], new: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tri(*words) == 2
    assert new in capsys.readouterr().err


def test_an_upgraded_campaign_and_the_plan_of_its_old_run_are_one_plan(tmp_path: Path) -> None:
    text, _ = upgraded((RUN / "written.yaml").read_text(), "written.yaml")
    plan = read_plan(RUN).to_json()
    assert make_plan(load_campaign(saved(tmp_path, text)), tmp_path).to_json() == plan
    recorded = make_plan(load_recorded(RUN / "campaign.yaml"), RUN).to_json()
    assert recorded == plan and plan[SCHEMA] == SCHEMA_VERSION


def test_a_run_of_the_version_before_is_judged_as_it_was() -> None:
    before = current(json.loads((RUN / "verdict.json").read_text()), VERDICT)
    judgement = judge(RUN)
    assert {name: result.verdict.value for name, result in judgement.results.items()} == {
        name: result["verdict"] for name, result in before["checkers"].items()
    }
    assert judgement.document["verdict"] == before["verdict"] and judgement.document["gaps"] == []
    assert {"list", "fenced-mutex"} <= set(judgement.results)
    assert judgement.document[SCHEMA] == SCHEMA_VERSION


def test_it_is_replayed_and_reported(tmp_path: Path) -> None:
    plan = read_plan(RUN)
    done = simulate(plan)
    for now, then in zip(done.record.history, load_run(RUN).history, strict=True):
        # The last look at the system has facts that the old release did not record.
        value = {name: now.value[name] for name in then.value} if isinstance(then.value, dict) else now.value
        if isinstance(then.value, dict) and isinstance(then.value.get("observed"), dict):
            value["observed"] = {name: now.value["observed"][name] for name in then.value["observed"]}
        assert value == then.value
    assert read_source(RUN).size().faults == 2
    folder = Path(shutil.copytree(RUN, tmp_path / "run"))
    write_report(folder)
    assert (folder / "report.html").stat().st_size > 0


def test_without_run_json_its_plan_says_what_was_asked(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(RUN, tmp_path / "run"))
    (folder / "run.json").unlink()
    assert set(judge(folder).results) >= {"linearizable", "fenced-mutex", "list", "availability"}


def test_keys_of_an_old_verdict_and_plan_are_mapped() -> None:
    old = {"covered": {"a": ["b"]}, "left_out": [], "checkers": {"vacuity": {"stats": {"covered": {}}}, "fencing": {}}}
    assert current(old, VERDICT) == {
        "masked": {"a": ["b"]},
        "skipped": [],
        "checkers": {"vacuity": {"stats": {"masked": {}}}, "fenced-mutex": {}},
    }
    assert renewed({"options": {"checks": ["fencing"], "system": {"discover": True}}}, PLAN) == {
        "options": {"checkers": ["fenced-mutex"], "system": {"peer_discovery": True}}
    }
    new = written({"covered": 1})
    assert current(new, VERDICT) == {"covered": 1}, "a document of this version is left as it is"


@pytest.mark.parametrize("version", [0, SCHEMA_VERSION + 1, "2", None, True])
def test_a_version_that_is_not_known_is_refused(version: object) -> None:
    with pytest.raises(UnknownVersion, match="schema_version is"):
        current({SCHEMA: version}, VERDICT)


def test_nothing_old_is_found_where_the_word_means_something_else() -> None:
    data = {"workloads": [{"memory": {}}], "system": {"memory": {}}, "faults": [{"kill": {"name": "power"}}]}
    assert list(old_words(data)) == []
