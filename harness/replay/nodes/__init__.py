"""Replaying the recorded inputs of real nodes."""
