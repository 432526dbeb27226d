"""What a kind of fault is, and which there are: below everything that asks."""
