"""Sockets: connections of peers and clients, and datagrams."""
