"""Schedules and random mixes of faults."""
