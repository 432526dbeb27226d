"""Sets whose elements are added once: lost, stale and reappeared elements."""
