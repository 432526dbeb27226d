"""Systems under test other than the reference cluster."""
