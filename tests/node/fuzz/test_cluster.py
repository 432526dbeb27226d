"""A cluster of processes under hostile connections, on several Pythons at a time: none ends, honest clients are served, and states agree, also after a restart."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from . import frames
from .processes import MOST_BYTES, NODES, Processes

FUZZ = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "15")), deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    with Processes(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@FUZZ
@given(
    st.lists(
        st.tuples(st.sampled_from(NODES), st.sampled_from(["client", "client", "node", None]), frames.CONNECTIONS),
        min_size=1,
        max_size=5,
    )
)
def test_no_process_ends_and_honest_clients_are_served(
    cluster: Processes, connections: list[tuple[str, str | None, list[frames.Lazy]]]
) -> None:
    session = cluster.ask("n1", open=True)["session"]
    for name, role, sent in connections:
        with cluster.client(name, role) as hostile:
            for data in sent:
                hostile.send(data())
            hostile.hear_all()
    for seq, name in enumerate(NODES, 1):
        cluster.ask(name, session=session, seq=seq, ops=[["w", "honest", seq]])
    assert cluster.ended == [] and cluster.logged("an error of this node") == []
    for name in NODES:
        assert cluster.rss_bytes(name) < MOST_BYTES, f"{name} has {cluster.rss_bytes(name)} bytes"


def test_states_agree_in_the_end_and_after_a_restart(cluster: Processes) -> None:
    """After the hostile ones, in order of this file."""
    cluster.agree()
    cluster.kill("n2")
    cluster.start("n2")
    cluster.ask("n2", admin="status")
    cluster.agree()
    assert cluster.ended == []
