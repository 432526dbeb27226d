"""Archives of Python with the bytecode in them, so that no start compiles it again; the sources stay in, for any Python of another version.

A start takes half the processor time then: a lab starts nodes and agents by the hundred, and a small machine starts one within its deadlines.
Tracebacks name file and line, and show no source. A node's archive for a host with an interpreter of its own stays as it is (`for_python`): its
bytes, by which a deployment is compared, depend on the sources alone.
"""

from __future__ import annotations

import functools
import importlib.util
import io
import marshal
import os
import sys
import zipfile

_UNCHECKED_HASH = 0b01
"""A pyc that is valid by its source's hash, which is not looked at again (PEP 552)."""


def for_python(archive: bytes, python: str) -> bytes:
    """Return `archive`, a zip application, as `python` (a path) starts it fastest."""
    if os.path.realpath(python) != os.path.realpath(sys.executable):
        return archive
    return with_bytecode(archive)


@functools.lru_cache(maxsize=8)
def with_bytecode(archive: bytes) -> bytes:
    buffer = io.BytesIO(archive)
    with zipfile.ZipFile(buffer, "a") as whole:
        for info in whole.infolist():
            if info.filename.endswith(".py"):
                compiled = zipfile.ZipInfo(f"{info.filename}c", info.date_time)
                compiled.compress_type = info.compress_type
                whole.writestr(compiled, _bytecode(whole.read(info), info.filename))
    return buffer.getvalue()


def _bytecode(source: bytes, name: str) -> bytes:
    code = compile(source, name, "exec", dont_inherit=True)
    head = importlib.util.MAGIC_NUMBER + _UNCHECKED_HASH.to_bytes(4, "little") + importlib.util.source_hash(source)
    return head + marshal.dumps(code)
