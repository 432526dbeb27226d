"""Queues and append-only logs."""
