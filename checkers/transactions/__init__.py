"""Transactions: list-append and register histories at any isolation level, the weak levels exactly, and session guarantees.

Data flow: `table` (a history as flat arrays) → `lists` or `registers` (versions of keys, and their order) → `dependencies` (a graph) → `components`,
`cycles` (what is wrong with it) → `explanation` (why, in words). `weak_levels`, `session_guarantees` and `sequential_keys` start from the same
versions. Nothing loops over operations in Python, except `causal_clocks` and `session_pairs`, which are compiled when it pays.
"""
