"""Linearizability of any object: fast paths for registers and structures, else a search."""
