"""`python -m harness.cli` is `tri`, where it is not on the path."""

from .main import main

main()
