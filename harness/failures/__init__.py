"""Failures: their signatures, and the code that searching, shrinking and replaying share."""
