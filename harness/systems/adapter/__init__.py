"""Base classes for adapters: a system of one process per host, and clients over ordinary drivers. `tribulation.testing` is their public name."""
