"""The file of a wandb run, as wandb's own process writes it: blocks of 32 KiB, whose chunks are records of protobuf.

That process keeps the end of it in memory for a while, and `Run.finish` does not wait until it is closed.
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HEADER_BYTES = 7  # of the file as of each chunk: checksum (4), length (2), kind (1)
BLOCK_BYTES = 2**15
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4
POLL_SECONDS = 0.002


def wait_for_end(file: Path, seconds: float) -> None:
    """Until the run's exit record stands in the file, which is the last that its process has to write."""
    patience = time.monotonic() + seconds
    while not holds_exit(file):
        if time.monotonic() > patience:
            raise TimeoutError(f"{file} was not written to its end within {seconds:g} s")
        time.sleep(POLL_SECONDS)


def holds_exit(file: Path) -> bool:
    """It is looked for in the last two blocks."""
    start = max(0, (file.stat().st_size // BLOCK_BYTES - 1) * BLOCK_BYTES)
    return any(record.HasField("exit") for record in records(file, start))


def logged(file: Path, key: str) -> list[Any]:
    """The values of this key in the rows of its history."""
    return [
        json.loads(item.value_json)
        for record in records(file)
        if record.HasField("history")
        for item in record.history.item
        if (item.key or "/".join(item.nested_key)) == key
    ]


def records(file: Path, start: int = 0) -> Iterator[Any]:
    """Those that begin in the blocks from `start` on; one that the end of the file cuts off is none."""
    from wandb.proto.wandb_internal_pb2 import Record

    return (Record.FromString(content) for _, content in contents(file, start))


def drop_torn_end(file: Path) -> None:
    """Of a process that was killed. `wandb sync` ends at a record that is cut off, and leaves out the parts after it; a file
    without a record it takes for an error of all."""
    whole = max((end for end, _ in contents(file)), default=None)
    if whole is None:
        file.unlink()
    elif file.stat().st_size > whole:
        os.truncate(file, whole)


def contents(file: Path, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """(where it ends in the file, the bytes of a record)"""
    with file.open("rb") as stream:
        stream.seek(start)
        data = stream.read()
    at, record = 0 if start else HEADER_BYTES, None
    while at + HEADER_BYTES <= len(data):
        if at % BLOCK_BYTES > BLOCK_BYTES - HEADER_BYTES:  # no chunk begins in the last bytes of a block
            at += BLOCK_BYTES - at % BLOCK_BYTES
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        chunk = data[at + HEADER_BYTES : at + HEADER_BYTES + length]
        if len(chunk) < length:
            return
        at += HEADER_BYTES + length
        if kind in (FULL, FIRST):
            record = chunk
        elif record is not None:
            record += chunk
        if kind in (FULL, LAST) and record is not None:
            yield start + at, record
            record = None
