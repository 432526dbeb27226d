"""Raft's safety properties, from the traces of nodes."""
