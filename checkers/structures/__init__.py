"""Structures whose legal orders can be told from unique values, in near-linear time: queues, stacks, counters, sets, locks, lists."""
