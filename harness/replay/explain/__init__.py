"""Explanations of a failure: onset, neighbours."""
