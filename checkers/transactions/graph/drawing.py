"""Witnesses as small graphs: for Graphviz, for a terminal, for networkx. Of one anomaly, never of a history.

print(to_dot(result.anomalies[0]))        # dot -Tsvg
"""

from __future__ import annotations

import networkx as nx

from ...base.result import Anomaly
from ...base.wording import show

_COLOURS = {"ww": "firebrick", "wr": "seagreen", "rw": "royalblue", "process": "gray40", "realtime": "gray40"}


def graph_of(anomaly: Anomaly) -> nx.DiGraph:
    """Return the transactions of an anomaly, with their operations, and the steps between them. Without steps, the transactions alone."""
    graph = nx.DiGraph()
    for txn in anomaly.details.get("transactions", ()):
        graph.add_node(txn["txn"], **{name: value for name, value in txn.items() if name != "txn"})
    for step in anomaly.details.get("steps", ()):
        graph.add_edge(step["from"], step["to"], kind=step.get("kind", ""), key=step.get("key"), why=step["why"])
    return graph


def to_dot(anomaly: Anomaly) -> str:
    """Return the anomaly as the text of a Graphviz file."""
    graph = graph_of(anomaly)
    lines = [f"digraph {_quoted(anomaly.kind)} {{", "  rankdir=LR;", "  node [shape=box, fontname=monospace];"]
    for txn, about in graph.nodes(data=True):
        done = " ".join(_op_text(op) for op in about.get("ops", ()))
        label = txn + "\\n" + done if done else txn
        lines.append(f"  {_quoted(txn)} [label={_quoted(label)}];")
    for source, target, about in graph.edges(data=True):
        label = about["kind"] if about["key"] is None else f"{about['kind']} {show(about['key'])}"
        colour = _COLOURS.get(about["kind"], "black")
        lines.append(f"  {_quoted(source)} -> {_quoted(target)} [label={_quoted(label)}, color={colour}];")
    return "\n".join([*lines, "}", ""])


def to_text(anomaly: Anomaly) -> str:
    """Return the steps, one line each: `T3 -rw x-> T7   T3 read x=[1], which misses …`."""
    lines = []
    for source, target, about in graph_of(anomaly).edges(data=True):
        label = about["kind"] if about["key"] is None else f"{about['kind']} {show(about['key'])}"
        lines.append(f"{source} -{label}-> {target}   {about['why']}")
    return "\n".join(lines)


def _op_text(op: list[object]) -> str:
    kind, key, value = op
    return f"{kind}({show(key)}, {show(value)})"


def _quoted(text: str) -> str:
    escaped = text.replace('"', '\\"')
    return f'"{escaped}"'
