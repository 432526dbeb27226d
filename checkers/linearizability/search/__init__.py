"""The general search for a linearization, its refutations and its witnesses."""
