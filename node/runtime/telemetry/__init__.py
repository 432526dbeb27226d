"""Logs, metrics, recordings and counters."""
