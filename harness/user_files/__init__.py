"""Files and values that users write: opening, YAML with places, bounds, quantities."""
