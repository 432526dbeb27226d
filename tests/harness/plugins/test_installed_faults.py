"""The kind of fault of the guide as it stands: installed, named in a campaign, resolved, done to a process and seen; and kinds that are none."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.harness.systems.loopback import LoopbackHost
from tribulation.faults import Intent, Resolved
from tribulation.harness.nemesis.catalog import catalog
from tribulation.harness.nemesis.specs.specs import SPECS
from tribulation.harness.user_files.python_files import imported

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs/guides/plugins.md").read_text(encoding="utf-8")
(KIND,) = re.findall(r"```python\n(# low_priority\..*?)```", GUIDE, re.S)
CAMPAIGN = """
name: low
system: {file: own.py}
hosts: {provider: local, nodes: 2}
workloads: [{register: {}}]
faults: [{low-priority: {target: [n1], after: 1s, for: 1s}}]
"""


def with_installed(folder: Path, kind: str, code: str, name: str = "low-priority") -> subprocess.CompletedProcess[str]:
    (folder / "mine-1.0.dist-info").mkdir(parents=True)
    (folder / "mine-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    points = f"[tribulation.faults]\n{name} = low_priority:LowPriority\n"
    (folder / "mine-1.0.dist-info/entry_points.txt").write_text(points)
    (folder / "low_priority.py").write_text(kind)
    (folder / "low.yaml").write_text(CAMPAIGN)
    script = f"import sys\nsys.path.insert(0, {str(folder)!r})\n{code}"
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )


def test_an_installed_kind_is_known_everywhere(tmp_path: Path) -> None:
    code = """
from tribulation.harness.campaign.load import load_campaign
from tribulation.harness.cli.catalogue.listing import LISTS
from tribulation.harness.nemesis.registry import package_of
from tribulation.harness.nemesis.faults.fault import Situation
from tribulation.harness.nemesis.topology.resolve import resolve
from tribulation.harness.run.plan.build import make_plan
from tribulation.harness.run.plan.plan import Plan
from tribulation.harness.run.plan.requirements import Requirements
import pathlib
assert ("low-priority", "The processes of these nodes get processor time only when nothing else needs it.") in list(LISTS["faults"]())
campaign = load_campaign("low.yaml")
plan = Plan.from_json(make_plan(campaign, pathlib.Path()).to_json())
(intent,) = plan.intents
what = resolve(intent, Situation(["n1", "n2"], {"n1": 2, "n2": 1}, None, ["n1", "n2"]), 7).what
assert dict(what) == {"nodes": ["n1"], "leaves_running": True}, what
assert type(package_of("low-priority")).__name__ == "OnHosts" and Requirements.of(campaign).needs() == {"low-priority"}
"""
    done = with_installed(tmp_path, KIND, code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("before", "after", "name", "said"),
    [
        ("class LowPriority(FaultKind)", "class LowPriority(dict)", "low-priority", "not a FaultKind"),
        ('    kind = "low-priority"', '    kind = "low"', "low-priority", "are not 'low-priority'"),
        (
            "import shlex",
            "import no_such_module",
            "low-priority",
            "ModuleNotFoundError: No module named 'no_such_module'",
        ),
        ("import shlex", "import shlex", "pause", "'pause' is already the name of a fault, or not a valid name"),
        (
            "import shlex",
            "import shlex",
            "power-loss",
            "'power-loss' is already the name of a fault, or not a valid name",
        ),
    ],
)
def test_a_kind_that_is_none_is_refused_by_its_distribution(
    tmp_path: Path, before: str, after: str, name: str, said: str
) -> None:
    code = "from tribulation.harness.nemesis.catalog import catalog\ncatalog.kinds()"
    done = with_installed(tmp_path, KIND.replace(before, after), code, name)
    assert f"entry point {name!r} of mine" in done.stderr and said in done.stderr


def test_every_word_of_ours_is_taken() -> None:
    ours = {*SPECS} - {kind.name for kind in catalog.kinds()}
    assert ours <= catalog.TAKEN and not catalog.installed()


def test_it_is_done_to_a_process_and_seen(tmp_path: Path) -> None:
    (tmp_path / "low_priority.py").write_text(KIND)
    kind = imported(tmp_path / "low_priority.py", "plugin").LowPriority()
    with subprocess.Popen(["sleep", "100"]) as process:
        cluster = SimpleNamespace(
            hosts={"n1": LoopbackHost("n1", "127.0.0.1", tmp_path)},
            processes_of=lambda names: {name: {"pid": process.pid} for name in names},
        )
        ground = SimpleNamespace(cluster=cluster)
        fault = Resolved(Intent("f", "low-priority", {"target": ["n1"]}, 0, 1, "f"), {"nodes": ["n1"]})
        package = kind.on_hosts()
        assert not package.look(fault, ground, on=True).verified
        package.begin(fault, ground)
        assert package.look(fault, ground, on=True).verified
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == 19
        assert not package.look(fault, ground, on=False).verified
        package.end(fault, ground)
        assert package.look(fault, ground, on=False).verified
        process.kill()
