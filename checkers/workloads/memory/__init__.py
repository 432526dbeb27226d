"""Agent memory of the reference cluster."""
