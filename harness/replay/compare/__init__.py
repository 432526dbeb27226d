"""How far two runs differ."""
