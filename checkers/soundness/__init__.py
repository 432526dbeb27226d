"""Soundness of verdicts: missing evidence, vacuous runs, final reads, and which anomaly to show first."""
