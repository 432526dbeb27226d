"""Histories on disk: recording, reading, pairing of events, writing."""
