"""Trace lines of nodes: reading, checking, digests of states."""
