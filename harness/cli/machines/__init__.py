"""Commands about hosts and clusters."""
