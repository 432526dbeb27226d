"""Planted bugs, off by default: the zoo."""
