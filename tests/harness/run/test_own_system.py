"""A user's file is imported as Python imports, and what its service or client lacks is refused before anything starts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tribulation.harness.campaign.load import dump_campaign, load_campaign
from tribulation.harness.errors import CampaignError
from tribulation.harness.run.plan.own_system import load_system
from tribulation.harness.user_files.python_files import imported

WHOLE = """
from __future__ import annotations

import json
from dataclasses import dataclass, field

import helper


@dataclass(slots=True)
class Own:
    options: dict[str, str] = field(default_factory=dict)
    name: str = "own"
    port: int = 7000
    capabilities: frozenset[str] = frozenset()

    def install(self, host, cluster): ...
    def start(self, host, environment): ...
    def wait_ready(self, host, timeout_s): ...
    def pid(self, host): ...
    def stop(self, host): ...
    def collect(self, host): return {}
    def uninstall(self, host): ...
    def leader(self, hosts, dial): return helper.NAME
    def status(self, host, dial): return json.loads("{}")


class Client:
    def open(self, node, dial, timeout_s):
        import later

        return later.NAME

    def invoke(self, op, timeout_s): ...
    def close(self): ...


def service(options):
    return Own(options)


def client(options):
    return Client()
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(text: str = WHOLE, folder: str = "one", **beside: str) -> Path:
        directory = tmp_path / folder
        directory.mkdir(exist_ok=True)
        for name, content in {"helper": f"NAME = {folder!r}", "later": f"NAME = 'later {folder}'", **beside}.items():
            (directory / f"{name}.py").write_text(content)
        path = directory / "own-system.py"
        path.write_text(text)
        return path

    return write


def test_dataclasses_annotations_and_modules_beside_the_file_work(write) -> None:
    path_before = list(sys.path)
    service, make_client = load_system(
        write(json="raise AssertionError('the installed module comes first')"), {"a": "b"}
    )
    assert service.leader([], None) == "one" and service.options == {"a": "b"}
    assert make_client().open("n1", None, 1.0) == "later one", "a module may be imported after the load"
    assert sys.path == path_before


@pytest.mark.parametrize("room", ["harness", "node", "histories", "checkers"])
def test_the_short_name_of_a_package_of_ours_is_refused_with_the_new_one(write, room: str) -> None:
    with pytest.raises(CampaignError, match=rf"own-system.py: there is no package '{room}'") as caught:
        load_system(write(f"from {room}.systems.base import Outcome\n"), {})
    assert caught.value.hint == f"it is now 'tribulation.{room}'"


def test_each_system_has_the_modules_beside_it(write) -> None:
    names = [load_system(write(folder=folder), {})[0].leader([], None) for folder in ("one", "two", "one")]
    assert names == ["one", "two", "one"]


def test_a_system_that_is_loaded_again_has_its_modules_as_they_are_now(write) -> None:
    """Repeated runs load it once each; a change of the same length in the same second counts."""
    for name in ("one", "two", "six"):
        service, make_client = load_system(write(helper=f"NAME = {name!r}", later=f"NAME = {name!r}"), {})
        assert (service.leader([], None), make_client().open("n1", None, 1.0)) == (name, name)


def test_a_plugin_keeps_the_module_that_it_shares_with_a_system(write, tmp_path: Path) -> None:
    path = write()
    plugin = path.with_name("plugin.py")
    plugin.write_text("import helper\n")
    kept = imported(plugin, "plugin").helper
    load_system(path, {})
    load_system(path, {})
    assert sys.modules["helper"] is kept


@pytest.mark.parametrize(
    ("before", "after", "reported"),
    [
        ("def wait_ready(", "def wait(", r"Own.wait_ready\(host, timeout_s\) is missing"),
        ("def close(", "def shut(", r"Client.close\(\) is missing"),
        (
            "def invoke(self, op, timeout_s)",
            "def invoke(self, op)",
            r"Client.invoke\(op, timeout_s\) is called with 2 arguments, but the method is invoke\(op\)",
        ),
        ('name: str = "own"', "names: str = 1", "Own.name is missing: a text that names the system"),
        ('name: str = "own"', 'name: str = ".."', r"Own.name is '\.\.': a text that names the system"),
        ('name: str = "own"', 'name: str = ""', "Own.name is ''"),
        ('name: str = "own"', 'name: str = "a/b"', "Own.name is 'a/b'"),
        ("port: int = 7000", "port: int = True", "Own.port is True: the number of the port"),
        ("port: int = 7000", "port: int = 65536", "Own.port is 65536"),
        ("port: int = 7000", 'port: str = "7000"', "Own.port is '7000': the number of the port"),
        (
            "= frozenset()",
            "= frozenset({'disk'})",
            r"Own.data_directory\(host\) is missing \(it declares the capability 'disk'\)",
        ),
        ("def client(", "def make_client(", "does not define client"),
    ],
)
def test_what_is_missing_is_named_before_anything_starts(write, before: str, after: str, reported: str) -> None:
    assert WHOLE.count(before) == 1
    with pytest.raises(CampaignError, match=reported):
        load_system(write(WHOLE.replace(before, after)), {})


def test_a_file_that_does_not_exist_is_named_so(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match=r"system file .*gone\.py does not exist"):
        load_system(tmp_path / "gone.py", {})


@pytest.mark.parametrize(
    ("before", "after", "line", "reported"),
    [
        ("import helper", "import helper, no_such_module", 7, "ModuleNotFoundError: No module named 'no_such_module'"),
        ("    return Own(options)", "    return Own(options['version'])", 39, "service(options) raised KeyError"),
        ("class Client:", "class Client:\0", None, "SyntaxError: source code"),
        ("class Client:", "class Client(:", 28, "SyntaxError: invalid syntax"),
    ],
)
def test_an_exception_at_the_load_says_where(write, before: str, after: str, line: int | None, reported: str) -> None:
    path = write(WHOLE.replace(before, after))
    with pytest.raises(CampaignError) as caught:
        load_system(path, {})
    assert (f"{path}:{line}" if line else str(path)) in str(caught.value) and reported in str(caught.value)


def test_a_run_folder_says_where_the_file_is(write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = write()
    monkeypatch.chdir(own.parent)
    Path("own.yaml").write_text("name: own\nsystem: {file: own-system.py}\nworkloads: [register: {}]\n")
    elsewhere = tmp_path / "run" / "campaign.yaml"
    elsewhere.parent.mkdir()
    elsewhere.write_text(dump_campaign(load_campaign("own.yaml")))
    monkeypatch.chdir(tmp_path)
    assert load_campaign(elsewhere).system.file == str(own)


def test_an_inventory_is_beside_the_campaign_or_where_the_command_line_says(tmp_path: Path, monkeypatch) -> None:
    hosts = "consent: true\nhosts: [{name: a, address: 192.0.2.1, user: root}]\n"
    for name in ("one/in.yaml", "two/in.yaml"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(hosts)
    campaign = tmp_path / "one" / "own.yaml"
    campaign.write_text("name: own\nhosts: {provider: ssh, inventory: in.yaml}\nworkloads: [register: {}]\n")
    monkeypatch.chdir(tmp_path / "two")
    assert load_campaign(campaign).hosts.inventory == str(tmp_path / "one/in.yaml")
    assert load_campaign(campaign, hosts="in.yaml").hosts.inventory == str(tmp_path / "two/in.yaml")


METHODS = """
from tribulation.testing import DriverClient
from whole import service


class Own(DriverClient):
    def connect(self, address, timeout_s): ...
    def read(self, op): ...
    def bank_create(self, op): ...


def client(options):
    return Own(options)
"""


def test_an_operation_that_a_client_lacks_is_refused_with_the_workload(write) -> None:
    asked = {"bank": {"create", "read", "transfer"}, "register": {"read", "write"}, "queue": {"create"}}
    with pytest.raises(CampaignError) as refused:
        load_system(write(METHODS, whole=WHOLE), {}, asked)
    assert [line.partition(": ")[2] for line in refused.value.message.splitlines()] == [
        "Own.transfer(op) is missing: workload bank asks for operation 'transfer'",
        "Own.write(op) is missing: workload register asks for operation 'write'",
        "Own.create(op) is missing: workload queue asks for operation 'create'",
    ]
    load_system(write(METHODS, whole=WHOLE), {}, {"bank": {"create", "read"}, "register": {"read"}})


def test_a_client_with_an_invoke_of_its_own_may_name_its_operations(write) -> None:
    named = WHOLE.replace("class Client:\n", "class Client:\n    operations = {'read'}\n\n")
    with pytest.raises(CampaignError, match=r"Client.write\(op\) is missing: workload register asks"):
        load_system(write(named), {}, {"register": {"read", "write"}})
    load_system(write(), {}, {"register": {"read", "write"}})


@pytest.mark.parametrize(
    ("workload", "why"),
    [
        ("bank", "has no operation 'create'"),
        ("counter", "has other operations with the same names"),
        ("mutex", "has no operation 'acquire'"),
    ],
)
def test_what_the_reference_cluster_lacks_is_refused_by_line(tmp_path: Path, workload: str, why: str) -> None:
    campaign = tmp_path / "c.yaml"
    campaign.write_text(f"name: c\nworkloads:\n  - register: {{}}\n  - {workload}: {{}}\n")
    with pytest.raises(CampaignError, match=f"c.yaml:4: .*workload '{workload}': the reference cluster {why}"):
        load_campaign(campaign)
