"""Hosts reached by SSH: connections, inventories, claims."""
