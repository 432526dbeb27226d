"""Fast paths for counters, locks, lists and sets."""
