"""Decoded sets on disk: made once, then mapped into memory by every later run and every job of a sweep, sharing pages.

A set is a folder of .npy files, `<cache>/<name>-<key>/`, its key a hash of all that the arrays depend on. It is made
beside its place and renamed when it is whole, under a lock, so that of several processes one decodes and others wait.
"""

import hashlib
import json
import logging
import os
import shutil
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import numpy as np

from litconv import caches
from litconv.files import UNFINISHED, local, one_at_a_time, write_whole

log = logging.getLogger(__name__)

FORMAT = 1  # of what is kept; older ones are not found any more
IN_USE_SECONDS = 7 * 24 * 3600  # a set may be mapped that long by a run on another machine, which removing would end
TOLD_BYTES = 2**26  # an entry of this size is worth a line
STRETCHES, STRETCH_BYTES = 64, 4096  # of a file, read to tell whether it is as it was written

Allocate = Callable[[str, tuple[int, ...], np.dtype | type], np.ndarray]
Make = Callable[[Allocate], dict[str, np.ndarray]]  # allocates its arrays by name, fills and returns them


def in_memory(name: str, shape: tuple[int, ...], dtype: np.dtype | type) -> np.ndarray:
    return np.empty(shape, dtype)


def folder_of(setting: str) -> Path:
    """`auto` is $LITCONV_CACHE_DIR, or `litconv` in the user's cache folder."""
    if setting != "auto":
        return local(setting, "data.cache_dir").expanduser()
    return caches.folder("LITCONV_CACHE_DIR", "litconv")


def key_of(*parts: object) -> str:
    digest = hashlib.sha256(repr(FORMAT).encode())
    for part in parts:
        digest.update(part if isinstance(part, bytes) else repr(part).encode())
        digest.update(b"\0")
    return digest.hexdigest()[:16]


class Cache:
    """`limit_mb`: of the folder. What was not used for longest makes room, if it was not used this week; half of what the
    disk has free is left free."""

    def __init__(self, folder: Path, limit_mb: int) -> None:
        self.root, self.folder, self.limit = folder, folder / "data", limit_mb * 2**20
        self.given_up = False  # after one warning

    def fetch(self, name: str, key: str, make: Make) -> dict[str, np.ndarray] | None:
        """The arrays, private to this process if it writes to them. None, after a warning, if they cannot be kept."""
        entry = self.folder / f"{name}-{key}"
        with suppress(OSError, ValueError):  # looked at again under the lock
            return _read(entry)
        if self.given_up:
            return None
        try:
            with one_at_a_time(self._lock(entry.name), f"decodes {entry.name}"), self._begun(entry) as unfinished:
                try:
                    return _read(entry)
                except FileNotFoundError:
                    pass
                except (OSError, ValueError) as error:
                    log.warning("%s is damaged (%s); the set is decoded anew", entry, error)
                return self._make(entry, unfinished, make)
        except OSError as error:
            reason = error.strerror or str(error)
            log.warning("data.cache_dir=%s: %s is not kept there (%s); every run decodes it", self.root, name, reason)
            self.given_up = True
            return None

    @contextmanager
    def _begun(self, entry: Path) -> Iterator[Path]:
        """An empty folder beside its place. Made before anybody looks whether the entry is there: until this node changes
        the folder around it, NFS may go on for half a minute to say that it is not."""
        unfinished = self.folder / f".{entry.name}{UNFINISHED}"
        shutil.rmtree(unfinished, ignore_errors=True)  # of a process that was killed
        unfinished.mkdir()
        try:
            yield unfinished
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def _make(self, entry: Path, unfinished: Path, make: Make) -> dict[str, np.ndarray]:
        for array in make(partial(self._allocate, unfinished)).values():
            array.flush()
        sums = {path.name: _checksum(path) for path in unfinished.glob("*.npy")}
        write_whole(unfinished / "index.json", json.dumps(sums).encode())
        shutil.rmtree(entry, ignore_errors=True)
        unfinished.rename(entry)
        if (size := _size(entry)) >= TOLD_BYTES:
            log.info("%s holds the decoded set for later runs (%d MB)", entry, size >> 20)
        return _read(entry)

    def _allocate(self, unfinished: Path, name: str, shape: tuple[int, ...], dtype: np.dtype | type) -> np.ndarray:
        """A mapped file whose blocks the disk has granted: writing to one that is full would kill the process."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        self._make_room(size)
        path = unfinished / f"{name}.npy"
        array = np.lib.format.open_memmap(path, "w+", dtype, shape)
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
        return array

    def _make_room(self, size: int) -> None:
        if 2 * size > (free := shutil.disk_usage(self.folder).free):
            raise OSError(f"it needs {size >> 20} MB, more than half of the {free >> 20} MB that are free")
        if size > self.limit:
            raise OSError(f"it needs {size >> 20} MB, data.cache_limit_mb is {self.limit >> 20}")
        for entry in self.folder.glob(f".*{UNFINISHED}"):
            name = entry.name.removeprefix(".").removesuffix(UNFINISHED)
            with suppress(BlockingIOError), one_at_a_time(self._lock(name)):  # else somebody is making it
                shutil.rmtree(entry, ignore_errors=True)
        entries = sorted(self.folder.glob("[!.]*/index.json"), key=_last_use)
        while entries and sum(_size(index.parent) for index in entries) + size > self.limit:
            if _last_use(entries[0]) > time.time() - IN_USE_SECONDS:
                raise OSError(f"it is full: raise data.cache_limit_mb={self.limit >> 20} or remove what is not needed")
            shutil.rmtree(entries.pop(0).parent, ignore_errors=True)

    def _lock(self, name: str) -> Path:
        return self.folder / ".locks" / name


def _read(entry: Path) -> dict[str, np.ndarray]:
    """FileNotFoundError if it is not there, ValueError if it is not what was written."""
    index = entry / "index.json"
    sums = json.loads(index.read_bytes())
    paths = sorted(entry.glob("*.npy"))
    if {path.name: _checksum(path) for path in paths} != sums:
        raise ValueError("its files are not those that were written")
    with suppress(OSError):  # a folder that may only be read
        os.utime(index)
    return {path.stem: np.load(path, mmap_mode="c") for path in paths}  # c: writes stay in this process


def _checksum(path: Path) -> int:
    """Of its size and of stretches all over it: finds what was cut off, emptied or replaced, not every flipped bit."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        checksum = zlib.crc32(str(size).encode())
        for stretch in range(STRETCHES):
            file.seek(max(size - STRETCH_BYTES, 0) * stretch // (STRETCHES - 1))
            checksum = zlib.crc32(file.read(STRETCH_BYTES), checksum)
    return checksum


def _last_use(index: Path) -> float:
    try:
        return index.stat().st_mtime
    except FileNotFoundError:  # another process has made room
        return 0.0


def _size(entry: Path) -> int:
    total = 0
    for path in entry.glob("*.npy"):
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total
