"""Makes the drivers' conformance suite (`tests/conformance`) importable here."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))
