"""A coverage-guided fuzzer (Atheris, libFuzzer) over everything in a node that takes bytes apart: each returns, or raises the one error that it names.

    uv run --no-project --with atheris python -m tests.node.fuzz.decoders -max_total_time=60 [FOLDER]

Options are libFuzzer's; FOLDER keeps what it found interesting. Atheris has wheels for some interpreters only, so it is in no requirement of ours.
The first byte says which decoder takes the rest. Checksums are written into the bytes, so that what is behind them is reached.
"""

from __future__ import annotations

import importlib
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from zlib import crc32

OLD_RELEASE = Path(__file__).parents[1] / "core" / "old_release"


Target = Callable[[bytes], None]


def targets() -> list[Target]:
    """Each group imports what it tries when it is called, so that Atheris sees the branches."""
    return [*_of_the_network(), *_of_the_log(), *_of_the_memory(), *_of_identities()]


def _of_the_network() -> list[Target]:
    from tribulation.node.bounded import STRICT, WIDE, OutOfBounds, read_json, within
    from tribulation.node.core.detector.rumours import read_rows
    from tribulation.node.core.discovery.beacon import read_body
    from tribulation.node.core.interface.datagrams import MAGIC, VERSION, decode_datagram
    from tribulation.node.core.interface.entry import canonical
    from tribulation.node.core.interface.messages import from_wire, to_wire
    from tribulation.node.wire import HEADER, Decoder, FrameError

    def frames(data: bytes) -> None:
        decoder = Decoder()
        half = len(data) // 2
        with suppress(FrameError):
            for piece in (data[:half], data[half:]):
                decoder.feed(piece)
                while decoder.next() is not None:
                    pass

    def payloads(data: bytes) -> None:
        frames(HEADER.pack(b"TR", 1, 1 + data[0] % 7, len(data) - 1) + data[1:] if data else b"")

    def messages(data: bytes) -> None:
        with suppress(ValueError):
            message = from_wire(read_json(data.decode("utf-8", "replace"), WIDE))
            assert from_wire(to_wire(message)) == message

    def json_texts(data: bytes) -> None:
        with suppress(ValueError):
            value = read_json(data.decode("utf-8", "replace"))
            assert within(value, STRICT)
            with suppress(OutOfBounds):
                assert read_json(canonical(value)) == value

    def datagrams(data: bytes) -> None:
        with suppress(ValueError):
            note = decode_datagram("c", struct.pack(">4sBI", MAGIC, VERSION, crc32(data)) + data)
            with suppress(ValueError):
                read_rows(note.body)
            read_body(note.body, "127.0.0.1", note.incarnation)

    return [frames, payloads, messages, json_texts, datagrams]


def _of_the_log() -> list[Target]:
    from tribulation.node.bounded import WIDE, read_json
    from tribulation.node.core.interface.entry import canonical
    from tribulation.node.core.storage import recovery, wal
    from tribulation.node.core.storage.snapshot_file import _checksum
    from tribulation.node.errors import CorruptionError

    def logs(data: bytes) -> None:
        with suppress(CorruptionError):
            recovery.recover({"wal-00000001.log": data})

    def batches(data: bytes) -> None:
        """Records of right checksums: pieces of the bytes, each with its length before it."""
        records, at = [wal.encode_record(wal.Base(0, 0)), wal.encode_record(wal.Hard(1, "n1"))], 0
        while at < len(data):
            payload = data[at + 1 : at + 1 + data[at]]
            records.append(struct.pack(">II", len(payload), crc32(payload, len(payload))) + payload)
            at += 1 + data[at]
        logs(wal.encode_batch(records))

    def snapshots(data: bytes) -> None:
        line, _, state = data.decode("ascii", "replace").partition("\n")
        with suppress(ValueError):
            about = read_json(line, WIDE)
            if isinstance(about, dict):
                about.pop("crc", None)
                data = (canonical({**about, "crc": _checksum(about, state)}) + "\n" + state).encode("ascii", "replace")
        with suppress(CorruptionError):
            recovery.recover({"snapshot": data})

    return [logs, batches, snapshots]


def _of_the_memory() -> list[Target]:
    from tribulation.node.core.memory.disk import files as memory_files
    from tribulation.node.core.memory.disk import log
    from tribulation.node.core.memory.records import trmm
    from tribulation.node.core.memory.sync import unpack
    from tribulation.node.errors import CorruptionError

    def trmms(data: bytes) -> None:
        if len(data) > 44:
            head = bytearray(data[:40])
            head[:8] = b"TRMM\x01" + bytes([head[5] & 7]) + b"\0\0"
            body = data[44:]
            head[32:40] = struct.pack(">II", len(body), crc32(body))
            data = bytes(head) + struct.pack(">I", crc32(head)) + body
        with suppress(CorruptionError):
            trmm.decode(data)
        memory_files.recover({"memory.trmm": data}, 1)

    def memory_logs(data: bytes) -> None:
        memory_files.recover({"memory-log-00000001.trml": data}, 1)
        frame, _ = log.encode_frame(1, 0, data)
        memory_files.recover({"memory-log-00000001.trml": frame + data}, 1)

    def packed(data: bytes) -> None:
        for is_packed in (True, False):
            with suppress(ValueError, CorruptionError):
                trmm.decode(unpack(is_packed, data.decode("latin-1")))

    return [trmms, memory_logs, packed]


def _of_identities() -> list[Target]:
    from tribulation.node.runtime.security.identity import parse

    def identities(data: bytes) -> None:
        found = parse(data.decode("utf-8", "replace"))
        assert found is None or found.uri == data.decode("utf-8", "replace")

    return [identities]


def seeds(count: int) -> list[bytes]:
    """Good ones, for the decoders to be reached in their depth: the files of an earlier release, to every decoder."""
    files = [path.read_bytes() for path in sorted(OLD_RELEASE.iterdir())]
    texts = [
        b'["raft.append",3,1,1,[[2,3,"[\\"noop\\"]"]],1]',
        b'["c","n2",1,"discovery.beacon",{"at":["",1,1,"hybrid"],"have":[1],"others":[]}]',
    ]
    return [bytes([number]) + data for number in range(count) for data in (*files, *texts, b"tribulation:c:node:n1")]


def main(arguments: list[str]) -> int:
    try:
        atheris: Any = importlib.import_module("atheris")
    except ImportError:
        print("atheris is not installed here; `uv run --no-project --with atheris python -m tests.node.fuzz.decoders`")
        return 2
    with atheris.instrument_imports(include=["tribulation.node"]):
        decoders = targets()

    def one(data: bytes) -> None:
        if data:
            decoders[data[0] % len(decoders)](data[1:])

    folder = next((Path(argument) for argument in arguments[1:] if not argument.startswith("-")), None)
    if folder is not None:
        folder.mkdir(exist_ok=True)
        for number, data in enumerate(seeds(len(decoders))):
            (folder / f"seed-{number}").write_bytes(data)
    atheris.Setup(arguments, one)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
