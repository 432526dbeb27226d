"""Explaining a failure: onset, neighbours."""
