"""Weak isolation levels: causal consistency and below."""
