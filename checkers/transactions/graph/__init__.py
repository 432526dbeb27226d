"""The graph of dependencies between transactions, its cycles, and their explanation."""
