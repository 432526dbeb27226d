"""A history in memory: operations, columns, equality of values."""
