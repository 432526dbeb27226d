"""Workloads, checkers and systems from outside: a user's files, and installed distributions."""
