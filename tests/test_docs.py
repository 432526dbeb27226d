"""Documentation and code agree: what exists is documented, what is documented exists."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
from itertools import pairwise
from pathlib import Path

import click
import pytest
import yaml

from tribulation.checkers.registry import CHECKERS
from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.cli.main import ALIASES, cli
from tribulation.harness.nemesis.specs.specs import FAULT_NAMES
from tribulation.harness.plugins.loading import forget_plugins
from tribulation.harness.run.outcome.verdict import EXIT_ENVIRONMENT, EXIT_INVALID, EXIT_UNKNOWN, EXIT_USAGE, EXIT_VALID
from tribulation.node.flaws.switch import FLAWS

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
CAMPAIGNS = sorted((ROOT / "campaigns").rglob("*.yaml"))


def _names(paths: list[Path]) -> list[str]:
    return [path.relative_to(ROOT).as_posix() for path in paths]


def _commands(group: click.Group, prefix: str = "") -> list[str]:
    """Every command with its group: `run`, `hosts up`, …"""
    context = click.Context(group)
    found = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found += _commands(command, f"{name} ") if isinstance(command, click.Group) else [prefix + name]
    return found


def _everything() -> str:
    return "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def test_every_command_is_documented() -> None:
    text = _everything()
    missing = []
    for command in _commands(cli):
        group, _, member = command.partition(" ")
        table = re.compile(rf"`tri {group}`.*\b{member or group}\b")
        if f"tri {command}" not in text and not table.search(text):
            missing.append(command)
    assert missing == []


def test_every_documented_command_exists() -> None:
    said = {found for found in re.findall(r"(?<![\w-])tri ([a-z][a-z-]*)", _everything())}
    assert said - {command.split(" ")[0] for command in _commands(cli)} - ALIASES.keys() == set()


@pytest.mark.parametrize("page", [DOCS / "architecture.md", ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_each_file_that_the_map_names_exists(page: Path) -> None:
    named = re.findall(r"`([a-z_/]+(?:/|\.(?:py|md|j2|yaml)))`", page.read_text(encoding="utf-8"))
    assert len(named) > 5 and [name for name in named if not (ROOT / name).exists()] == []


def test_the_map_says_where_to_change_what() -> None:
    """Each row of the table names the file to begin with."""
    text = (DOCS / "architecture.md").read_text(encoding="utf-8").partition("## Where do I change")[2]
    rows = [line.split("|")[1:4] for line in text.partition("\n## ")[0].splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 20 and [what for what, where, _ in rows if "`" not in where] == []


def test_decisions_are_numbered_in_order_of_their_dates() -> None:
    text = (DOCS / "decisions.md").read_text(encoding="utf-8")
    found = re.findall(r"(?m)^## (\d+)\. .+\n\n(\d{4}-\d\d-\d\d)\. ", text)
    assert [int(number) for number, _ in found] == list(range(1, text.count("\n## ") + 1))
    assert [date for _, date in found] == sorted(date for _, date in found)


@pytest.mark.parametrize("path", CAMPAIGNS, ids=_names(CAMPAIGNS))
def test_a_campaign_says_what_it_asks_and_is_accepted(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("# "), (
        f"{path} does not begin with what it attacks and what must hold"
    )
    assert load_campaign(path).description


def test_every_campaign_is_in_the_guide() -> None:
    guide = (DOCS / "guides/campaigns.md").read_text(encoding="utf-8")
    assert [path.name for path in CAMPAIGNS if path.parent.name == "campaigns" and f"`{path.name}`" not in guide] == []
    assert "`flaws/*.yaml`" in guide


def test_every_example_in_the_documentation_is_a_campaign_that_loads(tmp_path: Path) -> None:
    """YAML blocks with workloads are campaigns; they are loaded as they stand, with the Python files that the pages show."""
    pages = [page.read_text(encoding="utf-8") for page in PAGES]
    blocks = [block for page in pages for block in re.findall(r"```yaml\n(.*?)```", page, re.S)]
    for page in pages:
        for name, block in re.findall(r"```python\n# (\w+\.py)\n(.*?)```", page, re.S):
            (tmp_path / name).write_text(block, encoding="utf-8")
    campaigns = [block for block in blocks if "workloads" in (yaml.safe_load(block) or {})]
    assert campaigns
    for number, block in enumerate(campaigns):
        path = tmp_path / f"{number}.yaml"
        path.write_text(block, encoding="utf-8")
        load_campaign(path)
    forget_plugins()


@pytest.mark.parametrize("name", CHECKERS)
def test_every_checker_has_its_page(name: str) -> None:
    page = DOCS / f"reference/checkers/{name}.md"
    assert page.is_file(), f"{page.relative_to(ROOT)} is missing"
    assert name in page.read_text(encoding="utf-8").splitlines()[0]


def test_every_flaw_is_described_as_the_code_describes_it() -> None:
    page = (DOCS / "reference/flaws.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z-]+)`", page, re.M) == list(FLAWS)
    assert [
        name
        for name, flaw in FLAWS.items()
        if f"**{flaw.title}.** {flaw.broken}" not in page or flaw.checker not in page
    ] == []


def test_the_readme_counts_the_flaws() -> None:
    assert f"with {len(FLAWS)} bugs that can be switched on" in README.read_text(encoding="utf-8")


def test_the_exit_codes_of_the_page_are_those_of_the_code() -> None:
    page = (DOCS / "reference/exit-codes.md").read_text(encoding="utf-8")
    codes = [EXIT_VALID, EXIT_INVALID, EXIT_USAGE, EXIT_UNKNOWN, EXIT_ENVIRONMENT]
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", page, re.M)] == [*codes, 70, 130]


@pytest.mark.parametrize("page", PAGES, ids=_names(PAGES))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    local = [link.partition("#")[0] for link in links if not re.match(r"[a-z]+:", link) and not link.startswith("#")]
    assert [link for link in local if not (page.parent / link).exists()] == []


def test_every_page_can_be_reached_from_the_index() -> None:
    reached, queue = set(), [README]
    while queue:
        page = queue.pop()
        if page in reached or page.suffix != ".md" or not page.is_file():
            continue
        reached.add(page)
        links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
        queue += [(page.parent / link).resolve() for link in links if not re.match(r"[a-z]+:", link)]
    assert _names([page for page in PAGES if page not in reached]) == []


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    """Absolute paths into home and working directories; what is under version control is looked at."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, timeout=30).stdout
    private = re.compile(rb"/(?:work|farm|home|Users)/[a-z]")
    found = []
    for name in listed.decode().split("\0"):
        path = ROOT / name
        if name and path.is_file() and path != Path(__file__) and private.search(path.read_bytes()):
            found.append(name)
    assert found == []


def test_the_map_of_files_is_current() -> None:
    written = runpy.run_path(str(ROOT / "scripts/make_map.py"))["text"]()
    assert (DOCS / "internals/map.md").read_text(encoding="utf-8") == written, "hint: make map"


def test_every_module_says_what_it_is_for() -> None:
    rows = re.findall(r"^\| \[`([^`]+)`\].*\|\s*\|$", (DOCS / "internals/map.md").read_text(encoding="utf-8"), re.M)
    assert rows == []


def test_every_target_of_the_makefile_says_what_it_does() -> None:
    lines = (ROOT / "Makefile").read_text(encoding="utf-8").splitlines()
    targets = [(before, line) for before, line in pairwise(lines) if re.match(r"[a-z]+:", line)]
    assert [line for before, line in targets if not before.startswith("# ")] == []
    assert {"setup", "demo", "test", "lint", "bench", "fuzz"} <= {line.split(":")[0] for _, line in targets}


def test_the_table_of_means_has_every_fault() -> None:
    page = (DOCS / "reference/faults.md").read_text(encoding="utf-8")
    table = page.split("## Support by hosts")[1].split("\n## ")[0]
    first = " ".join(line.split("|")[1] for line in table.splitlines() if line.startswith("|"))
    composed = {"recovery", "all", "swarm"}
    assert [name for name in FAULT_NAMES if name not in composed and f"`{name}`" not in first] == []


def test_what_the_threat_model_names_exists() -> None:
    """Each bound has its place in the code and its test."""
    page = (DOCS / "concepts/threat-model.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:tests|harness|histories|node|scripts)/[\w./-]+)`", page))
    assert len(named) > 30 and [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_the_modules_of_the_list_of_moves_exist() -> None:
    moves = json.loads((DOCS / "moves.json").read_text(encoding="utf-8"))["modules"]
    paths = {name: ROOT / name.replace(".", "/") for name in moves.values() if name is not None}
    missing = [name for name, path in paths.items() if not path.is_dir() and not path.with_suffix(".py").exists()]
    assert len(paths) > 100 and missing == []
