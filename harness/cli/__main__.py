"""`python -m tribulation.harness.cli` is `tri`, where it is not on the path."""

from .main import main

main()
