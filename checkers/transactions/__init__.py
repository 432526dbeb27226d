"""Transactions: list-append and register histories at any isolation level, the weak levels exactly, and session guarantees.

Data flow: `table` (a history as flat arrays) → `lists` or `registers` (versions of keys, and their order) → `dependencies` (a graph) → `components`,
`cycles` (what is wrong with it) → `explanation` (why, in words). `weak_levels`, `session_guarantees` and `sequential_keys` start from the same
versions. Work on whole histories is done by arrays; the loops of `causal_clocks` and `session_pairs` are compiled when it pays. Only `exact`, for
small histories, and the wording of anomalies loop over operations in Python.
"""
