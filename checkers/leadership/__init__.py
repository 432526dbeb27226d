"""More than one leader at a time."""
