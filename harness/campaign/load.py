"""Loader from a campaign file to a `Campaign`, or to one `CampaignError` that lists everything wrong with file and line.

Checks what the schema alone cannot: workload options, names of nodes, flaws and checkers, and that the faults can be scheduled.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pydantic
import yaml

from tribulation.checkers import campaign_options
from tribulation.checkers.registry import CHECKERS
from tribulation.node.flaws.switch import FLAWS

from ..errors import CampaignError, shown
from ..hosts.selection.chosen import described
from ..hosts.ssh.inventory import load_inventory
from ..nemesis.faults.fault import CLIENTS
from ..nemesis.faults.power_models import with_model
from ..nemesis.faults.targets import drawn_nodes
from ..nemesis.kinds.members.membership import Action, MembershipSpec
from ..nemesis.schedule.mix import changes_voters, planned
from ..plugins.loading import file_of_system, load_installed, load_plugin
from ..plugins.trust import plugins_of, require_trust
from ..user_files.opening import read_text
from ..user_files.quantities import format_ns
from ..user_files.renamed import old_words
from ..user_files.yaml_bounds import MOST_BYTES
from ..user_files.yaml_loader import Positions, Problem, load_yaml, parse_yaml, refuse, suggest, validate
from ..workloads import WORKLOADS
from .model import PROCESSES, Campaign, default_voters
from .overrides import override
from .simulable import HINT as NOT_SIMULATED
from .simulable import why_not as why_not_simulated
from .upgrade import upgraded


def load_campaign(path: str | Path, overrides: Sequence[str] = (), hosts: str | None = None) -> Campaign:
    """Read `path`, apply `--set key=value` overrides and `--hosts`, and check everything."""
    data, positions = load_yaml(path)
    campaign = _loaded(data, positions, path, overrides, hosts)
    refuse_early_deadlines(campaign, positions, path)
    return campaign


def refuse_early_deadlines(campaign: Campaign, positions: Positions, path: str | Path) -> None:
    """Refuse deadlines that a healthy system misses: every operation times out, and the system looks as if it did not answer.

    A confirmed read may take the reference cluster two heartbeats. Runs that were recorded are read as they are.
    """
    least_ns = LEAST_OPERATION_TIMEOUT_NS
    if campaign.system.file is None:
        least_ns = max(least_ns, 2 * campaign.system.heartbeat_ns)
    if campaign.operation_timeout < least_ns:
        reported = (
            f"{format_ns(campaign.operation_timeout)} is too short as a deadline: a healthy system may answer later"
        )
        problem = Problem(("operation_timeout",), reported, hint=f"give {format_ns(least_ns)} or more")
        refuse([problem], positions, path)


LEAST_OPERATION_TIMEOUT_NS = 100_000_000


def load_recorded(path: Path) -> Campaign:
    """The campaign of a run's folder, of this version or of an older one. Its plugins are loaded only if the user trusts them."""
    text, _ = upgraded(read_text(path, MOST_BYTES), path)
    data, positions = parse_yaml(text, path)
    require_trust(path, plugins_of(data) if isinstance(data, dict) else ())
    return _loaded(data, positions, path)


def _loaded(
    data: Any, positions: Positions, path: str | Path, overrides: Sequence[str] = (), hosts: str | None = None
) -> Campaign:
    if not isinstance(data, dict):
        raise CampaignError(
            f"{path}: a campaign is a mapping, not {type(data).__name__}", hint="see docs/reference/campaign.md"
        )
    for given in overrides:
        location, option = override(data, given)
        positions.options[location] = option
    _refuse_old_words(data, positions, path)
    if hosts is not None:
        _choose_hosts(data, hosts)
        positions.options["hosts",] = f"--hosts {hosts}"
    _resolve_paths(data, Path(path).parent)
    _load_plugins(data, positions, path)
    campaign = validate(Campaign, data, positions, path, further=_raw_problems)
    problems = _name_problems(campaign, path)
    if problems:
        refuse(problems, positions, path)
    try:
        intents = planned(campaign.faults, seed=campaign.seed or 0, load_ns=campaign.duration)
        with_model(intents, None, campaign.hosts.provider == "sim")
    except CampaignError as error:
        place = positions.place(("faults",), path, ("duration",))
        raise CampaignError(f"{place}: {error.message}", error.hint) from None
    return campaign


def _names_unknown(data: Mapping[str, Any]) -> bool:
    """Return whether the campaign uses a name that only an installed distribution may have: looking for these takes a while."""
    workloads, checkers = data.get("workloads"), data.get("checkers")
    named = [
        next(iter(item), None) for item in (workloads if isinstance(workloads, list) else ()) if isinstance(item, dict)
    ]
    chosen = checkers if isinstance(checkers, list) else ()
    return any(isinstance(name, str) and name not in WORKLOADS for name in named) or any(
        isinstance(name, str) and name not in CHECKERS for name in chosen
    )


def _refuse_old_words(data: Any, positions: Positions, path: str | Path) -> None:
    """Refuse old words before anything else: other messages would be about words that are gone."""
    hint = f"`tri upgrade {path}` rewrites a campaign and keeps its comments"
    problems = [Problem(old.place, old.message, hint=hint) for old in old_words(data)]
    if problems:
        refuse(problems, positions, path)


def node_names(campaign: Campaign, directory: Path = Path()) -> list[str]:
    """The campaign's nodes; `directory` is where a relative inventory path starts."""
    if campaign.hosts.inventory is None:
        return campaign.node_names
    return [host.name for host in load_inventory(directory / campaign.hosts.inventory).hosts]


def dump_campaign(campaign: Campaign) -> str:
    """The campaign as resolved, as YAML that `load_campaign` reads back as the same campaign."""
    data = campaign.model_dump(mode="json", by_alias=True, exclude_none=True)
    if campaign.system.file is not None:
        del data["system"]["name"]
    if not campaign.plugins:
        del data["plugins"]
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=120)


def _choose_hosts(data: dict[str, Any], hosts: str) -> None:
    data["hosts"] = described(hosts, data.get("hosts"))
    if "inventory" in data["hosts"]:
        # Named on the command line, it is relative to the user's directory, not to the campaign's.
        data["hosts"]["inventory"] = os.path.abspath(data["hosts"]["inventory"])


def _resolve_paths(data: dict[str, Any], directory: Path) -> None:
    """Make paths of a campaign absolute, relative to its folder, so that they are found from its run's folder too."""
    for section, name in (("system", "file"), ("hosts", "inventory")):
        given = data.get(section)
        if isinstance(given, Mapping) and isinstance(given.get(name), str):
            data[section] = {**given, name: os.path.abspath(directory / given[name])}
    plugins = data.get("plugins")
    if isinstance(plugins, list) and all(isinstance(given, str) for given in plugins):
        data["plugins"] = [os.path.abspath(directory / given) for given in plugins]


def _load_plugins(data: dict[str, Any], positions: Positions, path: str | Path) -> None:
    """Load plugins before anything is validated: this campaign may use their names and options."""
    plugins = data.get("plugins")
    for index, given in enumerate(plugins if isinstance(plugins, list) else ()):
        try:
            load_plugin(Path(str(given)))
        except CampaignError as error:
            raise CampaignError(f"{positions.place(('plugins', index), path)}: {error.message}", error.hint) from error
    if _names_unknown(data):
        load_installed()
    system = data.get("system")
    if isinstance(system, Mapping) and system.get("name") not in (None, "reference") and "file" not in system:
        file = file_of_system(str(system["name"]))
        if file is not None:
            data["system"] = {**{key: value for key, value in system.items() if key != "name"}, "file": str(file)}


def _raw_problems(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Problems outside the schema, found without a valid model, so that they are reported together with the rest."""
    yield from _workload_problems(data)
    system = data.get("system")
    flaws = system.get("flaws") if isinstance(system, Mapping) else None
    for index, flaw in enumerate(flaws if isinstance(flaws, list) else ()):
        if isinstance(flaw, str) and flaw not in FLAWS:
            yield Problem(("system", "flaws", index), f"no flaw {shown(flaw)}", hint=suggest(flaw, list(FLAWS)))
    yield from _check_problems(data)


def _workload_problems(data: Mapping[str, Any]) -> Iterator[Problem]:
    items = data.get("workloads")
    for index, item in enumerate(items if isinstance(items, list) else []):
        if not isinstance(item, dict) or len(item) != 1:
            continue
        ((name, options),) = item.items()
        if name not in WORKLOADS:
            continue
        spec = WORKLOADS[name][0]
        try:
            spec.model_validate(options or {})
        except pydantic.ValidationError as error:
            for detail in error.errors(include_url=False):
                location = ("workloads", index, name, *detail["loc"])
                hint = None
                if detail["type"] == "extra_forbidden":
                    hint = suggest(str(detail["loc"][-1]), list(spec.model_fields))
                message = detail["msg"].removeprefix("Value error, ")
                yield Problem(location, message[:1].lower() + message[1:], detail.get("input"), True, hint)


def _name_problems(campaign: Campaign, path: str | Path) -> list[Problem]:
    nodes = node_names(campaign, Path(path).parent)
    known = [*nodes, CLIENTS]
    problems = []
    for index, item in enumerate(campaign.faults):
        place = ("faults", index, item.word(), "target")
        if (drawn := drawn_nodes(getattr(item.spec, "target", None))) > len(nodes):
            hint = f"draw at most {len(nodes)} nodes, or use the target `all`"
            problems.append(Problem(place, f"random({drawn}) of {len(nodes)} nodes", hint=hint))
        for name in item.spec.names():
            if name not in known:
                problems.append(Problem(("faults", index), f"no node {shown(name)}", hint=suggest(name, known)))
        if isinstance(item.spec, MembershipSpec) and item.spec.action is Action.LEAVE and not _has_members(campaign):
            hint = "add `membership: {}` to the system, or use `action: remove`, which only concerns voters"
            problems.append(Problem(("faults", index), "`action: leave` needs members", hint=hint))
    problems += _core_problems(campaign, nodes)
    problems += _system_problems(campaign)
    problems += _operation_problems(campaign)
    if nodes and set(nodes) <= set(campaign.system.learners):
        hint = "leave a node out of `learners`"
        problems.append(Problem(("system", "learners"), "every node is a learner, so no node votes", hint=hint))
    system = campaign.system
    for field in ("voters", "learners", "seeds", "capacities"):
        for name in getattr(system, field) or ():
            if name not in nodes:
                problems.append(Problem(("system", field, name), f"no node {shown(name)}", hint=suggest(name, nodes)))
    for name, spec in campaign.workload_specs.items():
        for node in spec.clients_at or ():
            if node not in nodes:
                problems.append(
                    Problem(("workloads", name, "clients_at"), f"no node {shown(node)}", hint=suggest(node, nodes))
                )
    return [*problems, *_contradictions(campaign)]


def _check_problems(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Checkers that are unknown or named twice, and options without a checker in this campaign."""
    checks, options = data.get("checkers"), data.get("checker_options")
    chosen = [check for check in checks if isinstance(check, str)] if isinstance(checks, list) else []
    if checks == []:
        yield Problem(
            ("checkers",),
            "the list of checkers is empty",
            hint="remove `checkers` to use those of the workloads, or name one",
        )
    for index, check in enumerate(chosen):
        if check not in CHECKERS:
            yield Problem(("checkers", index), f"no checker {shown(check)}", hint=suggest(check, list(CHECKERS)))
        elif check in chosen[:index]:
            yield Problem(("checkers", index), f"checker {check!r} is named twice", hint="remove one of the two")
    for wrong in campaign_options.problems(options) if isinstance(options, dict) else ():
        yield Problem(("checker_options", *wrong.path), wrong.message, wrong.value, True, wrong.hint)
    for name in options if isinstance(options, dict) else ():
        if chosen and name in CHECKERS and name not in chosen:
            hint = f"add {name} to `checkers`, or remove its options"
            yield Problem(("checker_options", name), f"checker {name!r} is not among `checkers`", hint=hint)


def _contradictions(campaign: Campaign) -> Iterator[Problem]:
    """Checker options that contradict another section of the campaign."""
    for name, ours in campaign.options_of_sections().items():
        asked = campaign.checker_options.get(name)
        for option, value in (asked if isinstance(asked, dict) else {}).items():
            if ours.get(option, value) != value:
                message = f"another section of this campaign sets {ours[option]!r}"
                hint = "remove it: the value of that section is used for the check"
                yield Problem(("checker_options", name, option), message, value, True, hint)


def _system_problems(campaign: Campaign) -> list[Problem]:
    """Check for exactly one system, which these hosts must support."""
    system, problems = campaign.system, []
    if system.file is not None and "name" in system.model_fields_set:
        hint = "remove `name`: it is for built-in systems"
        problems.append(Problem(("system", "name"), "`name` and `file` together name two systems", hint=hint))
    why = why_not_simulated(system.model_dump()) if campaign.hosts.provider == "sim" else None
    if why is not None:
        problems.append(Problem(("system", "file"), why, hint=NOT_SIMULATED))
    if campaign.clients == PROCESSES and system.file is None:
        hint = "remove it, or set `system: {file: …}`"
        problems.append(Problem(("clients",), "`clients: processes` is for systems from a `file`", hint=hint))
    for index, item in enumerate(campaign.faults):
        if item.word() == "client" and campaign.clients != PROCESSES:
            hint = "add `clients: processes` to the campaign"
            problems.append(Problem(("faults", index), "its clients are threads, not processes", hint=hint))
        elif item.word() == "client" and (of := getattr(item.spec, "of", None)) not in (None, *campaign.made_workloads):
            hint = suggest(str(of), list(campaign.made_workloads))
            problems.append(Problem(("faults", index, "client", "of"), f"no workload {shown(of)}", hint=hint))
    return problems


def _operation_problems(campaign: Campaign) -> Iterator[Problem]:
    """Workloads for which the reference cluster has no operations. Another system's operations are known when its file is loaded."""
    from ..systems.reference.calls import OPERATIONS

    if campaign.system.file is not None:
        return
    for index, (name, workload) in enumerate(campaign.made_workloads.items()):
        missing = sorted(workload.asked() - OPERATIONS)
        if missing or not workload.on_reference:
            why = f"has no operation {missing[0]!r}" if missing else "has other operations with the same names"
            hint = (
                f"it needs {workload.needs}; set `system: {{file: …}}`, or use another workload: `tri list workloads`"
            )
            yield Problem(("workloads", index, name), f"workload {name!r}: the reference cluster {why}", hint=hint)


def _has_members(campaign: Campaign) -> bool:
    """Return whether the system has members. Of another system that is unknown before it was asked."""
    return campaign.system.membership is not None or campaign.system.file is not None


def _core_problems(campaign: Campaign, nodes: Sequence[str]) -> list[Problem]:
    """A named core must be a quorum, and must leave out at least one node."""
    if campaign.liveness is not None and campaign.liveness.rest == "ring" and changes_voters(campaign.faults):
        # A ring has majorities of the nodes: with changed voters, no node of a ring may see a quorum.
        hint = "remove changes of voters (`voters`, `membership`; in `all` and `swarm` by `without: [membership]`), or use another `rest`"
        return [
            Problem(
                ("liveness", "rest"), "`rest: ring` cannot be combined with faults that change the voters", hint=hint
            )
        ]
    core = campaign.liveness.core if campaign.liveness is not None else "majority"
    if isinstance(core, str):
        return []
    strangers = [name for name in core if name not in nodes]
    if strangers:
        hint = suggest(strangers[0], list(nodes))
        return [Problem(("liveness", "core"), f"no node {strangers[0]!r}", hint=hint)]
    voters = campaign.system.voters or default_voters(nodes)
    if 2 * sum(voters.get(name, 0) for name in core) <= sum(voters.values()):
        return [
            Problem(
                ("liveness", "core"),
                f"{core} is not a quorum of {voters}",
                hint="name voters of more than half of the weight",
            )
        ]
    if set(core) == set(nodes):
        return [
            Problem(("liveness", "core"), "every node is in the core", hint="remove the nodes that must stay broken")
        ]
    return []
