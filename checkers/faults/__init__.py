"""What the faults of a run did, as far as they were verified: windows, connectivity, masking."""
