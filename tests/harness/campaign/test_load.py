"""Campaign files: what is accepted, and how everything wrong is reported at once with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tribulation.harness.campaign.load import dump_campaign, load_campaign
from tribulation.harness.errors import CampaignError
from tribulation.harness.nemesis.schedule.schedule import expand
from tribulation.harness.run.plan.build import default_voters, make_plan
from tribulation.harness.run.simulated import node_configs

CAMPAIGNS = sorted((Path(__file__).parents[3] / "campaigns").rglob("*.yaml"))

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


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "story.yaml"
    path.write_text(text)
    return path


def refusal(tmp_path: Path, text: str, *overrides: str) -> str:
    with pytest.raises(CampaignError) as caught:
        load_campaign(write(tmp_path, text), overrides)
    return str(caught.value)


@pytest.mark.parametrize("path", CAMPAIGNS, ids=lambda path: path.stem)
def test_every_campaign_of_the_library_loads_says_what_it_is_for_and_is_not_changed_by_a_round_trip(path, tmp_path):
    campaign = load_campaign(path)
    assert campaign.description
    assert path.read_text().startswith("#"), "it names what the campaign attacks, and what must hold"
    again = load_campaign(write(tmp_path, dump_campaign(campaign)))
    assert again == campaign


def test_a_good_campaign_gives_a_plan_with_everything_in_it(tmp_path):
    plan = make_plan(load_campaign(write(tmp_path, GOOD)), tmp_path)
    assert plan.nodes == ["n1", "n2", "n3"]
    assert [slot.node for slot in plan.slots] == ["n1", "n2", "n3"]
    assert [intent.kind for intent in plan.intents] == ["cut", "cut"]
    assert plan.to_json()["workloads"]["register"]["rate"] == "1.5/s"


def test_every_problem_is_reported_at_once_with_file_line_and_hint(tmp_path):
    text = GOOD.replace("keys: 2", "keyz: 2").replace("nodes: 3", "nodes: 0").replace("for: 4s", "for: 4")
    message = refusal(tmp_path, text)
    assert "story.yaml:2: hosts.nodes" in message
    assert "story.yaml:6: workloads[0].register.keyz: unknown field" in message or "keyz" in message
    assert "story.yaml:8" in message
    assert "did you mean 'keys'" in message
    assert "hint:" in message


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("shape: halves", "shape: halfs"), "story.yaml:8"),
        (("register:", "registers:"), "register, set"),
        (("seed: 7", "seed: 7\nsystem: {flaws: [ack-before-majorty]}"), "ack-before-majority"),
        (("seed: 7", "seed: 7\ncheckers: [linearisable]"), "linearizable"),
        (("seed: 7", "seed: 7\nsystem: {voters: {n9: 1}}"), "no node 'n9'"),
        (("shape: halves", "shape: grudge, edges: [[n1, n7]]"), "no node 'n7'"),
        (("for: 4s", "for: 9s"), "story.yaml:8"),
        (("rate: 90/m", "rate: fast"), "400/s"),
        (("rate: 90/m", "rate: 90/m, clients_at: [n1, n9]"), "no node 'n9'"),
        (("name: story", "name: story\nname: again"), "duplicate key"),
        (("provider: sim", "provider: ssh"), "inventory"),
        (("duration: 20s", "duration: 2s"), "story.yaml"),
    ],
)
def test_each_mistake_is_refused_with_what_would_do(tmp_path, change, expected):
    assert expected in refusal(tmp_path, GOOD.replace(*change))


def test_overrides_reach_nested_fields_and_list_items_by_their_key(tmp_path):
    path = write(tmp_path, GOOD)
    overrides = ["duration=30s", "hosts.nodes=5", "workloads.register.clients=9", "system.flaws=[ack-before-fsync]"]
    campaign = load_campaign(path, overrides)
    assert campaign.duration == 30_000_000_000
    assert campaign.hosts.nodes == 5
    assert campaign.workload_specs["register"].clients == 9
    assert campaign.system.flaws == ["ack-before-fsync"]
    assert "key=value" in refusal(tmp_path, GOOD, "duration")
    assert "not a mapping" in refusal(tmp_path, GOOD, "duration.x=1")


def test_the_hosts_option_keeps_the_number_of_nodes(tmp_path):
    campaign = load_campaign(write(tmp_path, GOOD), hosts="local")
    assert (campaign.hosts.provider, campaign.hosts.nodes) == ("local", 3)
    with pytest.raises(CampaignError, match="inventory"):
        load_campaign(write(tmp_path, GOOD), hosts="somewhere")


def test_the_seed_determines_the_schedule_and_removing_a_fault_leaves_the_others(tmp_path):
    text = GOOD + "  - kill: {target: one, every: 6s, for: 1s, stagger: 1s}\n"
    both = load_campaign(write(tmp_path, text))
    kills = [i for i in expand(both.faults, seed=1, load_ns=both.duration) if i.kind == "kill"]
    alone = [i for i in expand(both.faults[1:], seed=1, load_ns=both.duration) if i.kind == "kill"]
    assert kills == alone
    assert kills != [i for i in expand(both.faults, seed=2, load_ns=both.duration) if i.kind == "kill"]


def test_of_an_even_number_of_nodes_the_first_counts_double():
    assert default_voters(["a", "b", "c", "d"]) == {"a": 2, "b": 1, "c": 1, "d": 1}
    assert default_voters(["a", "b", "c"]) == {"a": 1, "b": 1, "c": 1}


UNLIKE = GOOD.replace(
    "seed: 7",
    """system:
  membership: {broadcast: false, capacity: {slots: 8}}
  seeds: [n1]
  learners: [n3]
  capacities: {n2: {cpu_percent: 25}}
seed: 7""",
)


def test_seeds_are_named_by_node_and_unlike_capacities_by_node_too(tmp_path):
    configs = node_configs(make_plan(load_campaign(write(tmp_path, UNLIKE)), tmp_path))
    sections = {name: config.membership for name, config in configs.items()}
    port = sections["n1"].udp_port
    address = configs["n1"].peers["n1"][0]
    assert sections["n1"].seeds == () and sections["n3"].seeds == ((address, port),)
    offers = {name: (section.capacity.slots, section.capacity.cpu_percent) for name, section in sections.items()}
    assert offers == {"n1": (8, 100), "n2": (8, 25), "n3": (8, 100)}
    assert [section.join for section in sections.values()] == [False, False, True]


def test_unlike_nodes_are_members_that_there_are_with_capacities_that_can_be(tmp_path):
    assert "no node 'n9'" in refusal(tmp_path, UNLIKE.replace("seeds: [n1]", "seeds: [n9]"))
    assert "no node 'n7'" in refusal(tmp_path, UNLIKE.replace("{n2:", "{n7:"))
    assert "slots" in refusal(tmp_path, UNLIKE.replace("{cpu_percent: 25}", "{slots: 17}"))
    alone = UNLIKE.replace("  membership: {broadcast: false, capacity: {slots: 8}}\n", "")
    assert "`learners` and `seeds` and `capacities` without members: add `membership: {}`" in refusal(tmp_path, alone)


OPTIONS = [
    ("checker_options: {max_recovery: 5}", "checker_options.max_recovery: no checker and no option", "max_recovery_s"),
    ("checker_options: {max_recovery_s: -5}", "checker_options.max_recovery_s: must be 0 or more (got -5)", "first ok"),
    ("checker_options: {max_recovery_s: .nan}", "must be a finite number (got nan)", "first ok"),
    ("checker_options: {max_recovery_s: true}", "must be a finite number (got True)", "first ok"),
    (
        "checker_options: {agents: {max_pause: 1}}",
        "checker_options.agents.max_pause: checker 'agents' has no",
        "max_pause_s",
    ),
    ("checker_options: {agents: 1}", "the options of checker 'agents' must be a mapping", "max_pause_s: …"),
    (
        "checkers: [set]\nchecker_options: {agents: {max_pause_s: 1}}",
        "checker 'agents' is not among `checkers`",
        "add agents",
    ),
    ("checkers: []", "checkers: the list of checkers is empty", "remove `checkers`"),
    ("checkers: [set, set]", "checkers[1]: checker 'set' is named twice", "remove"),
    ("checkers: [sett]", "checkers[0]: no checker 'sett'", "did you mean 'set'"),
    (
        "system: {memory: {}}\nchecker_options: {memory: {conflicts: latest-wins}}",
        "checker_options.memory.conflicts: another section of this campaign sets 'merge' (got 'latest-wins')",
        "remove it",
    ),
    (
        "liveness: {within: 5s}\nchecker_options: {recovery: {within_ms: 1}}",
        "checker_options.recovery.within_ms: another section of this campaign sets 5000.0 (got 1)",
        "remove it",
    ),
]


@pytest.mark.parametrize(("text", "message", "hint"), OPTIONS, ids=[case[0] for case in OPTIONS])
def test_options_that_no_checker_would_apply_are_refused_with_their_place(text, message, hint, tmp_path):
    with pytest.raises(CampaignError) as caught:
        load_campaign(write(tmp_path, f"{GOOD}{text}\n"))
    last = len(f"{GOOD}{text}".splitlines())
    assert f"story.yaml:{last}: " in str(caught.value)
    assert message in str(caught.value)
    assert hint in (caught.value.hint or "")


def test_options_of_a_section_and_of_check_options_are_joined(tmp_path):
    text = (
        f"{GOOD}system: {{memory: {{conflicts: latest-wins}}}}\nchecker_options: {{memory: {{overwritten: counted}}}}\n"
    )
    plan = make_plan(load_campaign(write(tmp_path, text)), tmp_path)
    assert plan.options["checker_options"] == {"memory": {"conflicts": "latest-wins", "overwritten": "counted"}}


@pytest.mark.parametrize("value", ["{a", "k\udcc3rze", "'"])
def test_an_override_that_is_no_yaml_is_refused(tmp_path: Path, value: str):
    path = tmp_path / "short.yaml"
    path.write_text("name: short\nworkloads: [register: {}]\n")
    with pytest.raises(CampaignError, match=r"--set description: the value .* is not valid YAML"):
        load_campaign(path, [f"description={value}"])
