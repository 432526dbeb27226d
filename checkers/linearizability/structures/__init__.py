"""Queues, stacks, counters, locks and sets: dispatch to a fast path, else the general search."""
