"""Claims on hosts: of those who race exactly one wins, a living owner is never pushed aside, and a dead one never in the way."""

from __future__ import annotations

import json
import os
import pwd
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.hosts.conftest import await_true
from tests.harness.systems.loopback import LoopbackHost, make_hosts
from tribulation.harness.errors import HostError
from tribulation.harness.hosts.base import Host
from tribulation.harness.hosts.local import LocalProvider
from tribulation.harness.hosts.ssh.claims import FILE, STALE_S, Claim, ClaimedError, Claims, Verdict, decide, is_gone

ROOT = Path(__file__).parents[3]


def claim(what: str = "tri run") -> Claim:
    return Claim.mine(what)


def gone(_: Claim) -> bool:
    return True


def there(_: Claim) -> bool:
    return False


def test_who_may_have_a_host() -> None:
    mine = claim()
    assert decide(None, 0, False, there) is Verdict.GRANTED
    assert decide(mine, 0, False, gone) is Verdict.GRANTED, "its owner ended on this machine"
    assert decide(mine, STALE_S, False, there) is Verdict.REFUSED, "stale, but the user did not ask to break it"
    assert decide(mine, STALE_S, True, there) is Verdict.GRANTED


@given(st.floats(0, STALE_S, exclude_max=True), st.booleans())
def test_a_claim_that_is_renewed_is_never_broken(age_s: float, take_over: bool) -> None:
    assert decide(claim(), age_s, take_over, there) is Verdict.REFUSED


def test_only_a_process_of_this_boot_and_place_is_known_to_be_gone() -> None:
    mine = claim()
    assert not is_gone(mine)
    assert is_gone(replace(mine, started="1")), "another process has that number now"
    assert not is_gone(replace(mine, started="1", place="another machine"))
    with subprocess.Popen(["true"]) as ended:
        pass
    assert is_gone(replace(mine, pid=ended.pid))


@pytest.fixture
def hosts(tmp_path: Path) -> list[LoopbackHost]:
    return [make_hosts(tmp_path / f"machine{i}", i + 1)[i] for i in range(3)]


def others(host: Host, found: Claim, ago_s: float = 0.0) -> None:
    """Leave that claim on a host, renewed so long ago."""
    path = Path(host.directory) / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    uptime_s = float(Path("/proc/uptime").read_text().split()[0]) - ago_s
    path.write_text(json.dumps({"claim": vars_of(found), "boot": boot, "uptime_s": uptime_s}))


def vars_of(found: Claim) -> dict[str, object]:
    return {name: getattr(found, name) for name in Claim.__dataclass_fields__}


def test_it_is_gone_afterwards_with_the_folders_that_were_made_for_it(hosts: list[LoopbackHost]) -> None:
    with Claims(hosts, "tri run a.yaml").held():
        found = json.loads((Path(hosts[0].directory) / FILE).read_text())["claim"]
        assert found["what"] == "tri run a.yaml" and found["pid"] == os.getpid()
    assert not any(Path(host.directory).exists() for host in hosts)
    assert not Path(hosts[0].directory).parent.exists()


def test_folders_that_others_use_stay(hosts: list[LoopbackHost]) -> None:
    with Claims(hosts, "tri run").held():
        (Path(hosts[0].directory) / "kept").touch()
    assert [path.name for path in Path(hosts[0].directory).iterdir()] == ["kept"]
    assert not Path(hosts[1].directory).exists()


def test_a_refusal_names_owner_and_age_and_nothing_stays_claimed(hosts: list[LoopbackHost]) -> None:
    theirs = replace(claim("tri deploy up"), owner="ada@engine", place="engine", token="theirs")
    others(hosts[1], theirs, ago_s=7)
    with pytest.raises(ClaimedError) as refused, Claims(hosts, "tri run").held():
        pass
    assert "n2 is claimed by ada@engine" in refused.value.message and "`tri deploy up`" in refused.value.message
    age = re.search(r"renewed (\d+) s ago", refused.value.message)
    assert age is not None and 7 <= int(age[1]) < 60 and "--take-over" in (refused.value.hint or "")
    assert [Path(host.directory, FILE).exists() for host in hosts] == [False, True, False]


def test_a_stale_claim_is_broken_only_when_that_is_asked_for(hosts: list[LoopbackHost]) -> None:
    theirs = replace(claim(), owner="ada@engine", place="engine", token="theirs", folders=[hosts[0].directory])
    others(hosts[0], theirs, ago_s=STALE_S + 1)
    with pytest.raises(ClaimedError, match="is claimed by ada@engine"), Claims(hosts, "tri run").held():
        pass
    with Claims(hosts, "tri run", take_over=True).held():
        assert json.loads((Path(hosts[0].directory) / FILE).read_text())["claim"]["token"] != "theirs"
    assert not Path(hosts[0].directory).exists(), "what the last owner had made goes as well"


def test_a_dead_owner_of_this_machine_is_in_nobodys_way(hosts: list[LoopbackHost]) -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    others(hosts[0], replace(claim(), pid=ended.pid, token="theirs"))
    with Claims(hosts, "tri run").held():
        pass


def test_it_is_renewed_and_who_lost_it_is_reported(hosts: list[LoopbackHost]) -> None:
    listed: list[str] = []
    path = Path(hosts[0].directory) / FILE
    with Claims(hosts, "tri run", renew_s=0.05, lost=listed.append).held():
        first = json.loads(path.read_text())["uptime_s"]
        await_true(lambda: json.loads(path.read_text())["uptime_s"] > first, "the claim to be renewed")
        others(hosts[0], replace(claim(), owner="ada@engine", token="theirs"))
        await_true(lambda: bool(listed), "the loss to be reported")
        await_true(lambda: len(listed) == 1, "reporting it once")
    assert listed == ["n1: another user took over the claim"]
    assert json.loads(path.read_text())["claim"]["token"] == "theirs", "another's claim is not removed"


class DeadHost(LoopbackHost):
    def run(self, *_: object, **__: object) -> None:  # type: ignore[override]
        raise HostError(f"{self.name}: no connection")


def test_a_host_that_does_not_answer_leaves_nothing_claimed(hosts: list[LoopbackHost], tmp_path: Path) -> None:
    dead = DeadHost("n9", "127.0.0.9", tmp_path / "n9")
    with pytest.raises(HostError, match="n9: no connection"), Claims([*hosts, dead], "tri run").held():
        pass
    assert not any(Path(host.directory, FILE).exists() for host in hosts)


RACER = """
import sys
from pathlib import Path
from typing import Any
from tribulation.harness.hosts.ssh.claims import ClaimedError, Claims
from tribulation.harness.hosts.local import LocalProvider
lab = LocalProvider.find("shared", Path(sys.argv[1]))
hosts = lab.up()
print("ready", flush=True)
sys.stdin.readline()
try:
    with Claims(hosts, "a race").held():
        print("won", flush=True)
        sys.stdin.readline()
except ClaimedError as error:
    print("lost", error.message, flush=True)
    sys.stdin.readline()
lab.close()
"""


@pytest.fixture
def racer(lab: LocalProvider) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", RACER, str(lab._base)]
        made = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(made)
        return made

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_of_processes_that_race_for_real_hosts_exactly_one_wins(racer: Callable[[], subprocess.Popen[str]]) -> None:
    processes = [racer() for _ in range(3)]

    def say(line: str) -> None:
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(f"{line}\n")
            process.stdin.flush()

    def heard() -> list[str]:
        return [process.stdout.readline().strip() for process in processes if process.stdout is not None]

    assert heard() == ["ready"] * 3
    say("go")
    outcomes = sorted(line.split(" ")[0] for line in heard())
    assert outcomes == ["lost", "lost", "won"]
    say("end")


def test_a_user_without_a_name_owns_a_claim_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: {}[uid])
    monkeypatch.setenv("LOGNAME", "")  # so that what is set here is taken back
    assert Claim.mine("tri run").owner.startswith(f"uid-{os.getuid()}@")


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "[]",
        "{}",
        "null",
        "[" * 100_000,
        '{"claim": []}',
        '{"claim": {"token": 1}}',
        lambda found: found["claim"].pop("folders"),
        lambda found: found["claim"].update(folders=[1]),
        lambda found: found["claim"].update(pid="1"),
        lambda found: found.pop("boot"),
        lambda found: found.update(uptime_s="1"),
        lambda found: found.update(uptime_s=float("nan")),
        lambda found: found.update(uptime_s=1e300),
    ],
)
def test_a_damaged_claim_is_none_since_no_owner_could_release_it(
    hosts: list[LoopbackHost], damage: str | Callable[[dict[str, Any]], object]
) -> None:
    others(hosts[0], replace(claim(), place="engine", token="theirs"))
    path = Path(hosts[0].directory) / FILE
    found = json.loads(path.read_text())
    if not isinstance(damage, str):
        damage(found)
    path.write_text(damage if isinstance(damage, str) else json.dumps(found))
    with Claims(hosts[:1], "tri run").held():
        assert json.loads(path.read_text())["claim"]["what"] == "tri run"
    assert not path.exists()
