"""TLS, identities and authenticated datagrams."""
