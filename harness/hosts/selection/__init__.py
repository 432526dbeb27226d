"""Which provider a campaign uses, and what its hosts can do."""
