"""Layouts of drawings."""
