"""Effects of a run's faults, as far as they were verified: windows, connectivity, masking."""
