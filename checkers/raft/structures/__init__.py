"""Structures that keep a Raft run: logs, the tree of their entries, and columns of whole numbers."""
