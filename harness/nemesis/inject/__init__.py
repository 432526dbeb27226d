"""Carrying faults out: the injector, its leases, its background checks."""
