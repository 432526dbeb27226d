"""Transactions: list-append and register histories at any level of isolation, the weak levels exactly, and what sessions are promised.

The way through: `table` (a history as flat arrays) → `lists` or `registers` (versions of keys, and their order) → `dependencies` (a graph) →
`components`, `cycles` (what is wrong with it) → `telling` (why, in words). `weak_levels`, `session_guarantees` and `sequential_keys` start from the
same versions. Nothing loops over operations in Python, but for `causal_clocks` and `session_pairs`, which are compiled when it pays.
"""
