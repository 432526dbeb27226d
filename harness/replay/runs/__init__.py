"""Replaying runs."""
