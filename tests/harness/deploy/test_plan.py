"""The plan of a deployment follows from what a host has: what is missing is done, what is right is left, and what cannot work is refused before anything is touched."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.harness.deploy.observe import Made, Observed, Taken
from tribulation.harness.deploy.plan import Wanted, plan_down, plan_up
from tribulation.harness.systems.reference.authority import LASTING_LIFE, Authority

NOW = datetime.now(UTC)
AUTHORITY = Authority.new("c")
CERTIFICATE = AUTHORITY.node("n1", LASTING_LIFE).certificate.decode()
FILES = {"node.pyz": "a1", "config.json": "b1", "deployment": "c1"}
WANTED = Wanted(
    host="n1",
    address="192.0.2.1",
    directory="/var/tmp/tribulation",
    cluster="c",
    files=FILES,
    environment="e1",
    authority=("tls-ca.pem", "ca1"),
    unit="the unit",
)
UP = Observed(
    folder=True,
    files={**FILES, "environment.json": "e1", "tls-ca.pem": "ca1"},
    config='{"cluster": "c"}',
    certificate=CERTIFICATE,
    node=7,
    supervisor=6,
)
UP_BY_UNIT = replace(UP, systemd=True, user=True, unit="the unit", active="active", enabled="enabled")


def actions(observed: Observed, wanted: Wanted = WANTED, now: datetime = NOW) -> list[str]:
    plan = plan_up(wanted, observed, now)
    assert plan.refusals == ()
    return [step.action for step in plan.steps]


@pytest.mark.parametrize("observed", [UP, UP_BY_UNIT])
def test_what_is_right_is_left_alone(observed: Observed) -> None:
    assert actions(observed) == []


def test_a_new_host_gets_everything() -> None:
    new = Observed(missing=["/var/tmp/tribulation"], nearest="/var/tmp")
    assert actions(new) == ["make-folders", "put", "certify", "environment", "start"]
    under_systemd = actions(replace(new, systemd=True))
    assert under_systemd == [
        "make-folders", "make-user", "put", "certify", "environment", "give", "put-unit", "start",
    ]  # fmt: skip


def test_where_systemd_cannot_be_asked_the_supervisor_is_left_behind_by_the_login() -> None:
    assert "put-unit" not in actions(Observed(systemd=True, root=False, sudo=False))
    assert "put-unit" in actions(Observed(systemd=True, root=False, sudo=True))


def test_another_version_stops_the_node_puts_what_differs_and_starts_it() -> None:
    plan = plan_up(replace(WANTED, files={**FILES, "node.pyz": "a2"}), UP, NOW)
    assert [step.action for step in plan.steps] == ["stop", "put", "start"]
    assert plan.steps[1].what == ["node.pyz"] and plan.restarts


@pytest.mark.parametrize(
    ("broken_off", "left"),
    [
        (replace(UP, node=None, supervisor=None, files={"node.pyz": "a1"}), ["put", "certify", "environment", "start"]),
        (replace(UP, node=None, supervisor=None), ["start"]),
        (replace(UP, node=None), ["start"]),
        (replace(UP, kept_down=True), ["start"]),
        (replace(UP_BY_UNIT, enabled="disabled"), ["start"]),
        (replace(UP_BY_UNIT, active="failed", node=None, supervisor=None), ["start"]),
        (replace(UP_BY_UNIT, unit="another unit"), ["stop", "give", "put-unit", "start"]),
        (replace(UP_BY_UNIT, unit="", active="inactive", enabled=""), ["stop", "give", "put-unit", "start"]),
    ],
)  # fmt: skip
def test_a_deployment_that_broke_off_is_continued_where_it_stopped(broken_off: Observed, left: list[str]) -> None:
    assert actions(broken_off) == left


def test_certificates_are_renewed_in_time_and_without_a_restart() -> None:
    assert actions(UP, now=NOW + LASTING_LIFE - timedelta(days=40)) == ["certify"]
    assert actions(replace(UP, certificate="nonsense")) == ["certify"]
    assert actions(replace(UP, files={**UP.files, "tls-ca.pem": "ca2"})) == ["certify"]
    assert actions(replace(UP, certificate=""), replace(WANTED, authority=None)) == []


@pytest.mark.parametrize(
    ("observed", "said", "hint"),
    [
        (
            replace(UP, ports=[Taken("tcp", 10000, "nginx, pid 4", False)]),
            "port 10000/tcp is taken by nginx, pid 4",
            "ss -lnp",
        ),
        (
            replace(UP, ports=[Taken("udp", 9999, "", False)]),
            "port 9999/udp is taken by a process that the login may not see",
            "stop",
        ),
        (Observed(writable=False), "the login may not write in /var/tmp/tribulation", "another `directory`"),
        (Observed(missing=["/srv/x/y"], nearest="/srv", writable=False), "may not write in /srv", "another"),
        (Observed(free_mib=12, nearest="/var"), "/var has 12 MiB free, and 200 are needed", "free some"),
        (Observed(systemd=True, entered=False), "user tribulation could not enter", "/var/lib/tribulation"),
        (replace(UP, config='{"cluster": "other"}'), "holds data of cluster 'other', not 'c'", "tri deploy down"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line_with_a_hint(observed: Observed, said: str, hint: str) -> None:
    plan = plan_up(WANTED, observed, NOW)
    (refusal,) = plan.refusals
    assert said in refusal.message and hint in refusal.hint and "\n" not in refusal.message
    assert plan.steps == ()


def test_a_port_of_our_own_node_is_no_strangers() -> None:
    assert actions(replace(UP, ports=[Taken("tcp", 10000, "python3, pid 7", True)])) == []


def test_a_firewall_that_cannot_be_seen_is_not_opened() -> None:
    plan = plan_up(replace(WANTED, firewall=True), UP, NOW)
    assert "cannot see it with nft" in plan.refusals[0].message


def test_removal_takes_away_what_is_there_and_nothing_else() -> None:
    def down(observed: Observed) -> list[str]:
        return [step.action for step in plan_down("n1", observed).steps]

    assert down(Observed()) == []
    assert down(replace(UP, made=Made(["/var/tmp/tribulation"]))) == ["stop", "remove-files"]
    by_unit = replace(UP_BY_UNIT, made=Made((), user=True))
    assert down(by_unit) == ["stop", "remove-unit", "remove-files", "remove-user"]
    assert down(replace(by_unit, made=Made((), user=False))) == ["stop", "remove-unit", "remove-files"]
    assert down(Observed(made=Made(["/srv/a"]))) == ["remove-files"]


def test_a_unit_is_not_removed_by_a_login_that_cannot() -> None:
    plan = plan_down("n1", replace(UP_BY_UNIT, root=False, sudo=False))
    assert "root" in plan.refusals[0].message and plan.steps == ()


@given(
    st.sets(st.sampled_from([*FILES, "environment.json", "tls-ca.pem"])),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["", "the unit", "old"]),
)
def test_files_are_never_changed_under_a_running_node(
    right: set[str], runs: bool, systemd: bool, kept_down: bool, unit: str
) -> None:
    """Whatever a broken-off deployment left: before a file is put the node is stopped, after it is stopped it is started, and a node that should run is started."""
    observed = replace(
        UP,
        files={name: content for name, content in UP.files.items() if name in right},
        node=7 if runs else None,
        supervisor=6 if runs else None,
        systemd=systemd,
        unit=unit if systemd else "",
        active="active" if runs and unit else "inactive",
        enabled="enabled",
        user=True,
        kept_down=kept_down,
    )
    found = actions(observed)
    if runs and {"put", "put-unit"} & set(found):
        assert found[0] == "stop"
    assert ("start" in found) == ("stop" in found or not runs or kept_down)
    if "start" in found:
        assert found[-1] == "start"
