"""Runs that move from one machine to another, as one file."""
