"""Counters, identifiers, CRDTs and last-write-wins registers."""
