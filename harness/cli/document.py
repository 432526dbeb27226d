"""The result of a command as one JSON document on stdout. The library for colours is imported only for a terminal."""

from __future__ import annotations

import json
import sys
from typing import Any


def print_document(document: Any) -> None:
    """Print a document in colours on a terminal; elsewhere plain, in ASCII where the stream's encoding has no other characters."""
    text = json.dumps(document, default=str)
    if sys.stdout.isatty():
        from .console import out

        out.print_json(text)
        return
    ascii_only = not (sys.stdout.encoding or "").lower().startswith("utf")
    sys.stdout.write(json.dumps(json.loads(text), indent=2, ensure_ascii=ascii_only) + "\n")
