"""Files that cannot be torn: written beside their place, synced to the disk, then put there at once; and locks."""

import errno
import fcntl
import hashlib
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import isfinite
from pathlib import Path
from typing import Any

from litconv.errors import ConfigError

log = logging.getLogger(__name__)
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
UNFINISHED = ".unfinished"  # the ending of a file that is being written


def local(path: str | os.PathLike[str], key: str) -> Path:
    """The path, refused if it is a URL."""
    if re.match(r"[a-z][a-z0-9+]+:/", os.fspath(path), flags=re.IGNORECASE):
        raise ConfigError(
            f"{key}={os.fspath(path)} is a URL; only files and folders of this machine are read and written"
        )
    return Path(path)


def digest(path: Path) -> str:
    """12 hexadecimal digits of what the file holds."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def write_whole(path: Path, content: bytes) -> None:
    """The file is the old one or the new one, never a part, whenever the process or the machine stops."""
    writer = f"{os.uname().nodename}-{os.getpid()}"  # of another machine that shares the folder, too
    unfinished = path.with_name(f".{path.name}.{writer}{UNFINISHED}")
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the name, too
        finally:
            os.close(folder)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def write_once(path: Path, content: bytes) -> None:
    """Whole or not at all; of two processes the first one's stands."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("wb", dir=path.parent) as file:
        file.write(content)
        file.flush()
        with suppress(FileExistsError):
            os.link(file.name, path)


def of_full_disk(error: BaseException | None) -> bool:
    """Whether it comes of a disk that is full, or of a quota."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            return True
        error = error.__cause__ or error.__context__
    return False


def remove_unfinished(folder: Path) -> None:
    """What a killed process left behind."""
    for path in folder.glob(f".*{UNFINISHED}"):
        path.unlink(missing_ok=True)


@contextmanager
def one_at_a_time(lock: Path, what: str = "") -> Iterator[None]:
    """Under a lock that works between machines (NFSv4 too), which the kernel, or a file server some time after a machine is
    gone, releases when its holder dies. The file is never removed: a lock on a removed file locks nothing.

    `what` another process does meanwhile is said where this one waits; without it this raises BlockingIOError.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not what:
                raise
            log.info("waiting for another process that %s (%s)", what, lock)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def reserve(path: Path, size: int) -> None:
    """Bytes of the disk that a later `unlink` gives back."""
    with path.open("wb") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error


def finite(value: Any) -> Any:
    """The same at any depth with null where a number is none, as JSON wants it."""
    if isinstance(value, dict):
        return {str(key): finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not isfinite(value) else value
