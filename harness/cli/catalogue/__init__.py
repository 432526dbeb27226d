"""Commands about what there is to choose from."""
