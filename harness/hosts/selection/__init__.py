"""The choice of a campaign's provider, and what its hosts can do."""
