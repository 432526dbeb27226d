"""Hunting the planted bugs."""
