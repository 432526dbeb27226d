"""States and events that a search wants to reach."""
