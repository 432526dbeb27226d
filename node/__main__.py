"""`python3 -m tribulation.node`, and the entry point of node.pyz."""

from __future__ import annotations

import sys

from .runtime.process.boot import main

if __name__ == "__main__":
    sys.exit(main())
