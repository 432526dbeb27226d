"""The command line: `tri`."""
