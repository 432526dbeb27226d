"""From what was recorded to a verdict and a run folder."""
