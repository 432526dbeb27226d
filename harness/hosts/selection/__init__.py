"""The choice of a campaign's provider, and the capabilities of its hosts."""
