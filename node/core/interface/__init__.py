"""Inputs and outputs of the core: events, effects, messages and signals."""
