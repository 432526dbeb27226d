"""Witnesses as small graphs."""

from __future__ import annotations

from tribulation.checkers.transactions.graph.drawing import graph_of, to_dot, to_text

from .stories import judge

SKEW = "p0 |--| ax1 ry[]\np1 |--| ay1 rx[]"


def test_a_cycle_as_graph_text_and_dot() -> None:
    (anomaly,) = judge("list-append", SKEW).anomalies
    graph = graph_of(anomaly)
    assert sorted(graph.nodes) == ["T0", "T1"] and sorted(graph.edges) == [("T0", "T1"), ("T1", "T0")]
    assert to_text(anomaly).splitlines()[0] == "T0 -rw y-> T1   T0 read y=[], which misses T1's append of 1"
    dot = to_dot(anomaly)
    assert dot.startswith('digraph "G2-item" {') and '"T0" -> "T1" [label="rw y", color=royalblue];' in dot


def test_an_anomaly_without_steps_is_its_transactions() -> None:
    (anomaly,) = judge("list-append", "p0 ax1 fail\np1 rx[1]").anomalies
    assert sorted(graph_of(anomaly).nodes) == ["T0", "T2"] and to_text(anomaly) == ""
