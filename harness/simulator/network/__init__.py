"""Simulated connections, datagrams and clients."""
