"""What a verdict rests on: missing evidence, vacuous runs, final reads, which anomaly to show first."""
