"""The graph of dependencies between transactions, its cycles, and how they are explained."""
