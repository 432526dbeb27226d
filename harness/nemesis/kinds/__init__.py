"""One module per kind of fault: inject, probe, heal."""
