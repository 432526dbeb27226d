"""Builder of `node.pyz`, the only file that a host needs: `tribulation.node` as a zip that Python runs.

The same sources give the same bytes on any machine, so that a hash says whether a host is up to date. Entries are stored, not compressed:
compressed bytes depend on the zlib at hand.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

from tribulation import node

_EPOCH = (1980, 1, 1, 0, 0, 0)

# Syntax that any Python 3 understands, so that an old one prints a sentence instead of a SyntaxError.
_MAIN = b"""import sys
if sys.version_info < (3, 10):
    sys.exit("node.pyz needs Python 3.10 or later, this is %d.%d\\nhint: install a newer python3" % sys.version_info[:2])
from tribulation.node.runtime.process.boot import main
sys.exit(main())
"""


def build_node_archive(package: Path | None = None) -> bytes:
    """The archive's bytes. `package` is the folder of the `node` package; by default the one that is imported here."""
    if package is None:
        assert node.__file__ is not None
        package = Path(node.__file__).parent
    entries = {
        f"tribulation/node/{path.relative_to(package).as_posix()}": path.read_bytes() for path in package.rglob("*.py")
    }
    entries |= {"__main__.py": _MAIN, "tribulation/__init__.py": b""}
    out = io.BytesIO()
    out.write(b"#!/usr/bin/env python3\n")
    with zipfile.ZipFile(out, "a", zipfile.ZIP_STORED) as archive:
        for name in sorted(entries):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr = 0o644 << 16
            info.create_system = 3
            archive.writestr(info, entries[name])
    return out.getvalue()


def digest(content: bytes) -> str:
    """The digest that decides whether a file on a host must be replaced."""
    return hashlib.sha256(content).hexdigest()
