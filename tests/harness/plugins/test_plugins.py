"""The plugin of the guide as it stands: loaded before validation, kept in the run's folder, found again by every command; and what is wrong with others."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.full import full
from tribulation.checkers import check
from tribulation.checkers.registry import CHECKERS
from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.cli.main import main
from tribulation.harness.errors import CampaignError
from tribulation.harness.plugins import loading
from tribulation.harness.plugins.copying import load_kept
from tribulation.harness.run.plan.plan import Plan
from tribulation.harness.workloads import WORKLOADS

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs/guides/plugins.md").read_text(encoding="utf-8")
CAMPAIGN, PLUGIN = re.findall(r"```(?:python|yaml)\n(# latest\..*?)```", GUIDE, re.S)


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    yield
    loading.forget_plugins()
    assert "latest" not in WORKLOADS and "own-writes" not in CHECKERS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/latest.py").write_text(PLUGIN)
    (tmp_path / "mine/latest.yaml").write_text(CAMPAIGN)
    return tmp_path / "mine"


def tri(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "tribulation.harness.cli", *words]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(cwd)}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


def tri_here(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """As `tri`, in this process: a start costs half a second of the processor."""
    out, err = io.StringIO(), io.StringIO()
    streams = contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)
    with contextlib.chdir(cwd), streams[0], streams[1], pytest.raises(SystemExit) as ended:
        main(list(words))
    assert isinstance(ended.value.code, int)
    return subprocess.CompletedProcess(words, ended.value.code, out.getvalue(), err.getvalue())


def with_sibling(folder: Path) -> None:
    text = (
        (folder / "latest.py")
        .read_text()
        .replace("from pydantic import Field\n", "from pydantic import Field\n\nimport words\n")
    )
    (folder / "latest.py").write_text(text.replace('name = "own-writes"', "name = words.NAME"))
    (folder / "words.py").write_text('NAME = "own-writes"\n')


def test_a_run_keeps_its_plugin_and_every_command_finds_it_there(folder: Path) -> None:
    with_sibling(folder)
    ran = tri("run", "latest.yaml", "--seed", "3", "--json", cwd=folder)
    assert ran.returncode == 0, ran.stderr
    document = json.loads(ran.stdout)
    assert document["checkers"]["own-writes"]["verdict"] == "valid"
    assert document["checkers"]["linearizable"]["stats"]["keys"] == 1, (
        "of the register that is tried after the heal alone"
    )
    run = folder / document["run"]
    kept = [path.relative_to(run).as_posix() for path in sorted((run / "plugins").rglob("*.py"))]
    assert kept == ["plugins/0/latest.py", "plugins/0/words.py"]
    moved = folder.parent / "elsewhere"
    shutil.copytree(run.resolve(), moved)
    shutil.rmtree(folder)
    found = tri("check", str(moved), "--trust-plugins", "--checker", "own-writes", "--json", cwd=moved.parent)
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["checkers"]["own-writes"]["verdict"] == "valid"
    assert Plan.from_json(json.loads((moved / "plan.json").read_text()), str(moved / "plan.json")).workloads["latest"]
    # A write that was acknowledged is gone: one of a client's reads shows the value before.
    lines = [json.loads(line) for line in (moved / "history.jsonl").read_text().splitlines()]
    reads = [line for line in lines if line["type"] == "ok" and line["f"] == "read" and line["value"]]
    reads[len(reads) // 2]["value"] -= 1
    wrong = check(lines, ["own-writes"])["own-writes"]
    assert [anomaly.kind for anomaly in wrong.anomalies] == ["own-write-missing"]


@pytest.mark.parametrize(
    ("inside", "does", "exit_code", "documents"),
    [
        ("def check(self, record, budget):", "os._exit(0)", 4, 0),
        ("def read(self, context):", "os._exit(0)", 4, 0),
        ("def check(self, record, budget):", "os.fork()", 0, 1),
    ],
)
def test_a_plugin_decides_neither_exit_code_nor_number_of_results(
    folder: Path, inside: str, does: str, exit_code: int, documents: int
) -> None:
    text = (folder / "latest.py").read_text()
    (folder / "latest.py").write_text(text.replace(inside, f"{inside}\n        import os\n        {does}"))
    ran = tri("run", "latest.yaml", "--seed", "3", "--json", cwd=folder)
    assert (ran.returncode, ran.stdout.count('"schema_version"')) == (exit_code, documents), ran.stderr


def test_code_that_came_with_a_run_is_not_run_unless_the_user_says_so(folder: Path) -> None:
    assert tri("run", "latest.yaml", "--seed", "3", "--runs", "runs", cwd=folder).returncode == 0
    run = folder / "runs/latest"
    mark = folder / "was-run"
    plugin = run / "plugins/0/latest.py"
    plugin.write_text(f"{plugin.read_text()}\nopen({str(mark)!r}, 'w').close()\n")
    checked = tri("check", str(run), "--json", cwd=folder)
    document = json.loads(checked.stdout)
    assert (checked.returncode, document["verdict"]) == (3, "unknown"), checked.stderr
    assert any("plugins/0/latest.py" in doubt and "--trust-plugins" in doubt for doubt in document["doubts"])
    assert "own-writes" not in document["checkers"] or document["checkers"]["own-writes"]["verdict"] == "unknown"
    for words in (["check", "--checker", "own-writes"], ["replay"], ["shrink"], ["explain"], ["report"], ["show"]):
        refused = tri_here(words[0], str(run), *words[1:], cwd=folder)
        if words[0] not in ("report", "show"):
            assert refused.returncode == 2 and "--trust-plugins" in refused.stderr, (words, refused.stderr)
        assert not mark.exists(), words
    trusted = tri("check", str(run), "--trust-plugins", "--json", cwd=folder)
    assert mark.exists() and "own-writes" in json.loads(trusted.stdout)["checkers"], trusted.stderr


@pytest.mark.parametrize("named_in", ["plan.json", *full("campaign.yaml")])
def test_neither_the_plan_nor_the_campaign_of_a_folder_runs_code_that_it_names(folder: Path, named_in: str) -> None:
    command = ["run", "quickstart", "--hosts", "sim", "--set", "duration=1s", "--set", "faults=[]", "--runs", "runs"]
    assert tri(*command, cwd=folder).returncode in (0, 3)
    run, mark = folder / "runs/latest", folder / "was-run"
    (run / "adapter.py").write_text(f"open({str(mark)!r}, 'w').close()\nworkloads = {{}}\n")
    if named_in == "plan.json":
        plan = json.loads((run / named_in).read_text())
        plan["options"]["plugins"] = ["adapter.py"]
        (run / named_in).write_text(json.dumps(plan))
    else:
        (run / named_in).write_text((run / named_in).read_text() + "plugins: [adapter.py]\n")
    for words in (["run", "--plan", f"{run}/plan.json"], ["replay", str(run), "--save"], ["shrink", str(run)]):
        refused = tri_here(*words, "--runs", "runs", cwd=folder)
        assert not mark.exists(), words
        assert refused.returncode == 2 and "--trust-plugins" in refused.stderr, (words, refused.stderr)
    for words in (["check"], ["report"], ["show"], ["explain"], ["replay", "--tier", "c", "--time", "1s"]):
        tri_here(words[0], str(run), *words[1:], cwd=folder)
        assert not mark.exists(), words
    tri("run", "--plan", f"{run}/plan.json", "--trust-plugins", "--runs", "runs", cwd=folder)
    assert mark.exists()


def test_options_of_a_plugin_are_refused_as_ours_are(folder: Path) -> None:
    path = folder / "latest.yaml"
    path.write_text(CAMPAIGN.replace("rate: 80/s", "rate: 80/s, reeds: 5, reads: 100"))
    with pytest.raises(CampaignError) as refused:
        load_campaign(path)
    text = str(refused.value)
    assert f"{path}:7" in text and "did you mean 'reads'" in text and "less than or equal to 99" in text


@pytest.mark.parametrize(
    ("before", "after", "reported"),
    [
        ("    Spec = LatestSpec\n", "", "workload 'latest' has no class `Spec`"),
        ("    def load(self):", "    def loads(self):", "workload 'latest' has no method load"),
        ('{"latest": Latest}', '{"register": Latest}', "'register' is the name of a built-in one of the workloads"),
        ('{"latest": Latest}', "[Latest]", "`workloads` is [<class"),
        ('{"latest": Latest}', '{"La test": Latest}', "'La test' is not a name"),
        ('{"own-writes": OwnWrites}', '{"own": OwnWrites}', "checker 'own' has the attribute `name` 'own-writes'"),
        ("    def check(self", "    def judge(self", "not a class with check"),
        ("    def applies(self", "    operations = 5\n\n    def applies(self", "has the attribute `operations` 5"),
        (
            "    def applies(self",
            "    operations = 'read'\n\n    def applies(self",
            "has the attribute `operations` 'read'",
        ),
        ("from __future__ import annotations", "import nothing_like_it", "latest.py:2"),
        (
            'workloads = {"latest": Latest}\ncheckers = {"own-writes": OwnWrites}\n',
            "",
            "defines no workloads and no checkers",
        ),
    ],
)
def test_what_is_wrong_with_a_plugin_is_said_with_its_place(
    folder: Path, before: str, after: str, reported: str
) -> None:
    assert PLUGIN.count(before) == 1
    (folder / "latest.py").write_text(PLUGIN.replace(before, after))
    with pytest.raises(CampaignError) as refused:
        load_campaign(folder / "latest.yaml")
    assert reported in refused.value.message and refused.value.message.startswith(f"{folder / 'latest.yaml'}:4: ")


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("def read(self, context):\n        return Op(", "def read(self, context):\n        Op(", "(Latest.read) returned None, not an Op"),
        ("mix([(each(self.read),", "mix([(None,", "workload latest: None is not a generator"),
        ("return final_reads(self.name, keys)", "return None", "workload latest: None is not a generator"),
    ],
)  # fmt: skip
def test_a_generator_that_returns_no_operation_is_named(folder: Path, before: str, after: str, words: str) -> None:
    text = (folder / "latest.py").read_text()
    assert before in text
    (folder / "latest.py").write_text(text.replace(before, after))
    ran = tri_here("run", "latest.yaml", "--seed", "3", cwd=folder)
    assert ran.returncode == 4 and words in ran.stderr and "hint: " in ran.stderr, ran.stderr


def test_a_value_that_no_frame_holds_ends_its_operation_and_not_the_simulator(folder: Path) -> None:
    text = (folder / "latest.py").read_text()
    assert "context.count + 1, workload" in text
    (folder / "latest.py").write_text(text.replace("context.count + 1, workload", "'x' * (2 << 20), workload"))
    ran = tri_here("run", "latest.yaml", "--seed", "3", cwd=folder)
    assert ran.returncode in (1, 3) and "connection-lost" in ran.stdout and "internal error" not in ran.stderr, (
        ran.stderr
    )


def test_a_plugin_that_does_not_exist_is_named(folder: Path) -> None:
    (folder / "latest.py").unlink()
    with pytest.raises(CampaignError, match=r"latest.yaml:4: plugin file .*latest.py does not exist"):
        load_campaign(folder / "latest.yaml")


@pytest.mark.parametrize("name", ["/etc/passwd", "../mine/latest.py", "plugins/0/link.py", "latest.py"])
def test_the_plugins_of_a_folder_are_files_in_it(folder: Path, name: str) -> None:
    (folder / "plugins/0").mkdir(parents=True)
    (folder / "plugins/0/link.py").symlink_to(folder / "latest.py")
    with pytest.raises(CampaignError, match="is not a file of this folder"):
        load_kept(folder, [name])


def test_what_a_distribution_offers_is_found_by_name_and_listed(folder: Path) -> None:
    installed = folder / "installed"
    (installed / "mine-1.0.dist-info").mkdir(parents=True)
    (installed / "mine-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (installed / "mine-1.0.dist-info/entry_points.txt").write_text(
        "[tribulation.workloads]\nlatest = latest:Latest\n[tribulation.checkers]\nown-writes = latest:OwnWrites\n"
        "[tribulation.systems]\nmy-db = my_adapter\n"
    )
    (folder / "latest.py").rename(installed / "latest.py")
    (installed / "my_adapter.py").write_text("raise AssertionError('it is not asked for')\n")
    code = f"""
import sys
sys.path.insert(0, {str(installed)!r})
from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.cli.catalogue.listing import LISTS
campaign = load_campaign("latest.yaml", ["plugins=[]"])
assert campaign.workload_specs["latest"].reads == 50
assert load_campaign("latest.yaml", ["plugins=[]", "system={{name: my-db}}", "hosts={{provider: local}}"]).system.file.endswith("my_adapter.py")
names = {{what: [name for name, _ in LISTS[what]()] for what in ("workloads", "checkers", "systems")}}
assert "latest" in names["workloads"] and "own-writes" in names["checkers"] and names["systems"] == ["reference", "my-db"]
"""
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "does",
    [
        "import signal, time; signal.setitimer(signal.ITIMER_REAL, 0.05); time.sleep(0.5)",
        "import signal, time; signal.signal(signal.SIGALRM, signal.SIG_DFL); signal.setitimer(signal.ITIMER_REAL, 0.05); time.sleep(0.5)",
        "import signal, time; signal.setitimer(signal.ITIMER_PROF, 0.05); [i * i for i in range(10**7)]",
    ],
)
def test_a_timer_of_a_plugin_does_not_end_the_command_without_a_verdict(folder: Path, does: str) -> None:
    """Its signal ended the process at once: exit code -14, and no faults would have been healed on hosts."""
    inside = "def check(self, record, budget):"
    text = (folder / "latest.py").read_text()
    assert inside in text
    indent = re.search(rf"\n( *){re.escape(inside)}.*\n", text)
    assert indent is not None
    body = f"{indent[0]}{indent[1]}    {does}\n"
    (folder / "latest.py").write_text(text.replace(indent[0], body))
    ran = tri("run", "latest.yaml", "--seed", "3", "--json", cwd=folder)
    assert ran.returncode == 4, ran.stderr
    document = json.loads(ran.stdout)
    assert document["verdict"] == "unknown" and "a timer fired" in document["errors"][0]


def test_a_timer_that_a_plugin_leaves_behind_ends_nothing_later(folder: Path) -> None:
    text = (folder / "latest.py").read_text()
    (folder / "latest.py").write_text(f"{text}\nimport signal\nsignal.setitimer(signal.ITIMER_REAL, 0.3, 0.1)\n")
    ran = tri("run", "latest.yaml", "--seed", "3", "--json", cwd=folder)
    assert ran.returncode in (0, 4) and ran.stdout, ran.stderr
