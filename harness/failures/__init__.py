"""Failures: their signatures, and what searching, shrinking and replaying share."""
