"""Queues, stacks, counters, locks, lists and sets: a fast path for each, else the general search."""
