"""Workloads of single objects: counters, queues, locks, logs, identifiers."""
