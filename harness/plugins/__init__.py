"""Workloads, checkers and systems that come from outside: a user's files, and installed distributions."""
