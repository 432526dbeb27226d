"""Simulated nodes and the cluster of them."""
