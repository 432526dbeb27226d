"""The reference cluster as a system under test."""
