"""Injection of faults: the injector, its leases, its background checks."""
