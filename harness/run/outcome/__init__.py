"""Outcome of a run: its folder, its verdict, and what keeps it from being valid."""
