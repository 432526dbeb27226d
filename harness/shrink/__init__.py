"""Making failures small: the shortest plan, or the fewest operations, that still fail in the same way."""
